#!/usr/bin/env python3
"""`vireo run DIR`: a Debian root directory that an ordinary user unpacked, booted by the stock kernel in it, with
neither initramfs nor image."""

import os
import shutil
import stat
import subprocess

import debian
import vm
from share import users_folder
from tap import Skip, Tap

PACKAGES = """base-files base-passwd bash coreutils dash mount util-linux procps grep sed findutils mawk hostname
    passwd busybox-static""".split()
NOBODY = 65534

MAIN = r"""
section() {
    echo "=== $1"
    ("${@:2}") 2>&1
    local code=$?
    read -r up idle </proc/uptime
    echo "=== $1: exit $code at $up"
}
identity() {
    cat /etc/debian_version
    findmnt -n -o SOURCE,FSTYPE,OPTIONS / | tr -s ' '
    stat -c '%u:%g %a %n' / /etc/passwd /usr/bin/su /tmp /usr/bin/bash
    grep -o 'init=.*' /proc/cmdline
}
as_joe() { # su wants PAM's configuration, which unpacking does not make
    HOME=/home/joe setpriv --reuid=joe --regid=joe --clear-groups bash -c "$1"
}
users() {
    set -e
    useradd -m -s /bin/bash joe
    id joe
    stat -c '%U:%G %a' /home/joe /home/joe/.bashrc
    as_joe 'echo mine >~/file && chmod 600 ~/file && ln -s file ~/link && stat -c "%U %a %F" ~/file ~/link'
    ! as_joe 'echo x >/etc/motd' 2>/dev/null
    ! as_joe 'rm -f /usr/bin/bash' 2>/dev/null
    as_joe 'mkdir /tmp/joes; touch /tmp/joes/x; rm -r /tmp/joes'
    touch /tmp/roots
    ! as_joe 'rm -f /tmp/roots' 2>/dev/null
}
changes() {
    set -e
    cp -a /usr/share/perl5 /var/tmp/copy 2>/dev/null || cp -a /usr/share/bash-completion /var/tmp/copy
    find /var/tmp/copy | wc -l
    echo changed >/etc/motd
    rm -r /var/tmp/copy
    find / -xdev -newer /etc/debian_version -type f | wc -l
}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
section identity identity
section users users
section changes changes
echo "main: exit 0"
sync
busybox poweroff -f
"""


def make_root(root, user):
    """Unpacks Debian there, as the ordinary user."""
    def run(*args):
        debian.run(*user, *args)
    for deb in debian.vm.fetched("debs", *PACKAGES):
        copy = root.parent / "deb"
        shutil.copy(deb, copy)  # where it lies, the user may not read
        copy.chmod(0o644)
        run("dpkg-deb", "-x", copy, root)
    for name in ("usr/share/doc", "usr/share/locale", "usr/share/man"):
        run("rm", "-rf", root / name)
    run("mkdir", "-p", root / "boot")
    shutil.copy(root / "usr/share/base-passwd/passwd.master", root / "etc/passwd")
    shutil.copy(root / "usr/share/base-passwd/group.master", root / "etc/group")
    (root / "root/main").write_text(MAIN)
    (root / "usr/bin/awk").symlink_to("mawk")
    (root / "usr/bin/sh").unlink(missing_ok=True)
    (root / "usr/bin/sh").symlink_to("dash")
    kernel = vm.kernel_folder()
    shutil.copy(kernel / "Image", root / "boot" / f"vmlinux-{(kernel / 'version').read_text().strip()}")
    (root / "boot/vmlinux-5.0").write_bytes(b"an older one, which is no kernel")
    for path in ("etc/passwd", "etc/group", "root/main", "usr/bin/awk", "usr/bin/sh", "boot/vmlinux-5.0"):
        if os.geteuid() == 0:
            os.chown(root / path, NOBODY, NOBODY, follow_symlinks=False)


def main():
    tap = Tap()
    with users_folder() as (folder, user):
        root, work = folder / "root", folder / "work"
        for path in (root, work, folder / "run"):
            path.mkdir(mode=0o755)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, NOBODY)
        shutil.copy(vm.VIREO, work / "vireo")
        make_root(root, user)
        vireo = [*user, "env", f"XDG_RUNTIME_DIR={folder / 'run'}", str(work / "vireo"), "run"]

        with tap.test("a folder without a kernel is refused, with what to do"):
            done = subprocess.run([*vireo, work], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            assert done.returncode == 5 and "--kernel" in done.stderr, (done.returncode, done.stderr)

        with tap.test("a Debian root directory boots, owned by an ordinary user of the host"):
            try:
                os.setxattr(root / "root/main", "user.probe", b"1")
            except OSError as error:
                raise Skip("the file system of /var/tmp keeps no user attributes") from error
            command = [*vireo, str(root), "--net", "none", "-c", "2", "-a", "quiet init=/bin/bash -- /root/main"]
            with vm.Vm(deadline_s=180, command=command) as guest:
                done = debian.Done(guest)
            done.healthy()
            lines = done.check("identity").splitlines()
            assert lines[0].startswith("13."), lines
            assert lines[1].startswith("root virtiofs rw"), lines
            assert lines[2:7] == ["0:0 755 /", "0:0 644 /etc/passwd", "0:0 4755 /usr/bin/su", "0:0 1777 /tmp",
                                  "0:0 755 /usr/bin/bash"], lines

        with tap.test("its users own what they should, and may do what they should"):
            text = done.check("users")
            for line in ("joe:joe 700", "joe 600 regular file", "joe 777 symbolic link"):
                assert line in text, text

        with tap.test("the host has the changes, as its own user's"):
            done.check("changes")
            assert (root / "etc/motd").read_text() == "changed\n"
            assert (root / "home/joe/file").read_text() == "mine\n"
            for name in ("home/joe", "home/joe/file", "home/joe/link", "etc/motd"):
                st = (root / name).lstat()
                assert st.st_uid == (os.geteuid() or NOBODY) and not stat.S_ISLNK(st.st_mode), name
            assert not (root / "var/tmp/copy").exists()
    tap.finish()


if __name__ == "__main__":
    main()
