#!/usr/bin/env python3
"""Shared directories (virtio-fs) under the stock kernel's own driver, by an ordinary user of the host: files are
identical on both sides, owners and modes hold, exercisers find nothing, locks are seen across."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import stat
import tempfile

import debian
import vm
from tap import Skip, Tap

NOBODY = 65534
FILES, ROUNDS = 300, 12
HERE = pathlib.Path(__file__).resolve().parent

SCRIPT = r"""
. /test/lib.sh
mkdir -p /m /ro /l /twin
mount -t tmpfs twin /twin
mounted() {
    mount -t virtiofs share /m && mount -t virtiofs readonly /ro && mount -t virtiofs locks /l
    ! mount -t virtiofs none /mnt
}
identical() {
    set -e
    cd /m/host
    sha256sum -c ../host.sums >/tmp/out || { cat /tmp/out; exit 1; }
    wc -l </tmp/out
    readlink link
    mkdir -p /m/guest/a/b/c
    cd /m/guest
    head -c 5000000 /dev/urandom >big
    seq 1 20000 >a/b/c/seq
    for i in $(seq 1 200); do echo "file $i" >a/$i; done
    dd if=big of=sparse bs=4k seek=1000 count=10 2>/dev/null
    ln big hard
    ln -s a/b/c/seq soft
    find . -type f | sort | xargs sha256sum >../guest.sums
    sync
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum -c ../guest.sums >/tmp/out || { cat /tmp/out; exit 1; }
}
tree() {
    mkdir /m/t
    for seed in 1 2 3; do
        rm -rf /m/t/* /twin/*
        /test/share tree /m/t /twin $seed 3000 || return
    done
    rm -rf /m/t
}
owners() {
    set -e
    mkdir -m 700 /m/owned
    cd /m/owned
    echo secret >shadow; chown 0:42 shadow; chmod 640 shadow
    cp /bin/busybox su; chown 0:0 su; chmod 4755 su
    mknod null c 1 3; chmod 666 null; echo gone >null
    mkfifo fifo; (echo through >fifo &) ; cat fifo
    echo 1 >user; chown 1000:1000 user; ln -s user link; chown -h 1000:1000 link
    mkdir -m 1777 tmp; mkdir -m 2775 staff; chown 0:50 staff; echo >staff/file
    ls -ln
    stat -c '%n %a %u %g %t,%T' * staff/file
}
executes() {
    cp /bin/busybox /m/busybox && chmod 755 /m/busybox && /m/busybox echo it runs
}
only_read() {
    cat /ro/file
    ! echo x >/ro/file && ! rm /ro/file && ! mkdir /ro/new && ! touch /ro/file
}
section mounted mounted
section identical identical
section data /test/share data /m/data 7 3000
section tree tree
section list /test/share list /m/listed /m/lists @ROUNDS@
section mmap /test/share mmap /m/mapped
section xattr /test/share xattr /m/attributes
section locks /test/share locks /m/locks
section shared_locks /test/share locks /l/locks
section owners owners
section executes executes
section only_read only_read
section holds /test/share hold /l/file
section speed /test/share speed /m
section unmounted umount /m /ro /l
"""


def build(folder):
    """The exerciser, for the guest."""
    out = folder / "share.rv"
    debian.run("riscv64-linux-gnu-gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-static", "-o", out,
               HERE / "programs/share.c")
    return out.read_bytes()


@contextlib.contextmanager
def users_folder():
    """A folder of an ordinary user's, and the command that makes one of us."""
    with tempfile.TemporaryDirectory(prefix="vireo-share.", dir="/var/tmp") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        if os.geteuid():
            yield folder, []
        else:
            yield folder, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def own(path):
    """Everything there belongs to the ordinary user."""
    if os.geteuid() == 0:
        for folder, names, files in os.walk(path):
            for name in [".", *names, *files]:
                os.chown(os.path.join(folder, name), NOBODY, NOBODY, follow_symlinks=False)


def has_xattrs(folder):
    probe = folder / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except OSError:
        return False
    finally:
        probe.unlink()
    return True


def sums(folder):
    """{relative path: SHA-256} of the regular files below @folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()}


def host_tree(folder):
    for i in range(300):
        path = folder / f"d{i % 7}" / f"e{i % 3}" / f"file {i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(i * i % 70000))
    (folder / "link").symlink_to("../../../etc/passwd")


class Changes:
    """What the host does to a folder when the guest says so, and how the folder was then."""

    def __init__(self, folder):
        self.folder, self.count, self.states = folder, 0, {}
        for i in range(FILES):
            (folder / f"f{i}").write_text("")

    def make(self):
        """Some names come, go, move, and come to mean something else. Every other time, the folder looks as if
        it had not been written since."""
        before = self.folder.stat()
        for i in range(self.count % 7, FILES, 23):
            path = self.folder / f"f{i}"
            what = (i + self.count) % 4
            if not path.exists():
                path.write_text("again")
            elif what == 0:
                path.unlink()
            elif what == 1:
                path.rename(self.folder / f"moved{i}.{self.count}")
            elif what == 2:
                (self.folder / f"new{i}.{self.count}").mkdir()
            elif path.is_file():
                path.unlink()
                path.mkdir()
        if self.count % 2:
            os.utime(self.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.count += 1

    def serve(self, guest, at=0):
        """The host's part of `share list`."""
        for i in range(ROUNDS):
            for what in ("between", "rewound", "within"):
                at = guest.expect(f"host: {what} {i}\n", at)
                self.make()
                self.states[i, what] = {".", "..", *os.listdir(self.folder)}
                guest.send("\n")
        return at

    def check(self, lists):
        """The listings that the guest made."""
        for i in range(ROUNDS):
            got = {what: (lists / f"{i}.{what}").read_text().split() for what in ("new", "again", "rest", "second")}
            for what, names in got.items():
                assert len(names) == len(set(names)), (i, what, sorted(names))
            for what, state in (("new", "between"), ("again", "rewound"), ("second", "within")):
                wrong = set(got[what]) ^ self.states[i, state]
                assert not wrong, (i, what, sorted(wrong))
            before, after = self.states[i, "rewound"], self.states[i, "within"]
            assert before & after <= set(got["rest"]) <= before | after, (i, sorted(got["rest"]))


def main():
    tap = Tap()
    with users_folder() as (folder, user):
        work = folder / "work"
        share, readonly, locks = (folder / name for name in ("share", "readonly", "locks"))
        for path in (work, share, readonly, locks):
            path.mkdir()
        host_tree(share / "host")
        for name in ("listed", "lists"):
            (share / name).mkdir()
        changes = Changes(share / "listed")
        (share / "host.sums").write_text("".join(f"{digest}  {name}\n" for name, digest in sums(share / "host").items()))
        (readonly / "file").write_text("only to be read\n")
        (locks / "file").write_text("")
        (folder / "run").mkdir(mode=0o700)
        own(folder)
        shutil.copy(vm.VIREO, work / "vireo")
        machine = debian.small_machine(work, SCRIPT.replace("@ROUNDS@", str(ROUNDS)), {"share": build(work)})
        shutil.copy(machine[1], work / "Image")
        machine[1] = work / "Image"
        for path in work.iterdir():
            path.chmod(0o755)

        args = ["--net", "none", "-c", "2", "--share", f"{share},cache=auto", "--share", f"{readonly}:readonly,ro",
                "--share", f"{locks}:locks,locks"]
        command = [*user, "env", f"XDG_RUNTIME_DIR={folder / 'run'}", work / "vireo", "run", *machine, *args]
        with tap.test("a guest works in three shares, served by an ordinary user"):
            if not has_xattrs(share):
                raise Skip("the file system of /var/tmp keeps no user attributes")
            with vm.Vm(deadline_s=240, command=[*map(str, command)]) as guest:
                try:
                    at = guest.expect("host: locked 0", changes.serve(guest))
                    with open(locks / "file", "r+b") as file:
                        try:
                            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
                            seen = False
                        except BlockingIOError:
                            seen = True
                        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 100)
                        guest.send("\n")
                        at = guest.expect("host: waiting", at)
                        fcntl.lockf(file, fcntl.LOCK_UN, 10, 100)
                finally:
                    done = debian.Done(guest)
            assert done.code == 0, (done.code, done.errors, done.text[-2000:])
            for name in ("mounted", "unmounted"):
                done.check(name)
            for word in ("Oops", "WARNING:", "BUG:", "rcu: INFO"):
                assert word not in done.text, done.text[-3000:]

        with tap.test("what the host wrote, the guest reads, and the other way round"):
            assert done.check("identical").split() == ["300", "../../../etc/passwd"]
            theirs = dict(reversed(line.split("  ./")) for line in (share / "guest.sums").read_text().splitlines())
            assert len(theirs) == 204 and sums(share / "guest") == theirs
            assert os.readlink(share / "guest/soft") == "a/b/c/seq"
            assert (share / "guest/big").stat().st_ino == (share / "guest/hard").stat().st_ino

        with tap.test("what the host does to a folder is in the guest's next listing of it, and in none half"):
            print("#", done.check("list").splitlines()[-1], flush=True)
            changes.check(share / "lists")

        for name, what in (("data", "random reads, writes, mappings and holes of a file match a model"),
                           ("tree", "random operations by three users match those on another file system"),
                           ("mmap", "processes share mappings"), ("xattr", "extended attributes"),
                           ("locks", "locks between processes of the guest"),
                           ("shared_locks", "the same with locks that the host keeps"),
                           ("executes", "a program in the share runs")):
            with tap.test(what):
                print("#", done.check(name).replace("\n", "; "), flush=True)

        with tap.test("owners and modes hold in the guest, and give nothing away on the host"):
            text = done.check("owners")
            for line in ("fifo 644 0 0 0,0", "link 777 1000 1000 0,0", "null 666 0 0 1,3", "shadow 640 0 42 0,0",
                         "staff 2775 0 50 0,0", "staff/file 644 0 50 0,0", "su 4755 0 0 0,0", "tmp 1777 0 0 0,0",
                         "user 644 1000 1000 0,0"):
                assert line in text.splitlines(), (line, text)
            assert "through" in text
            for path in (share / "owned").rglob("*"):
                st = path.lstat()
                assert st.st_uid == (os.geteuid() or NOBODY), path
                assert stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode), path
                assert not st.st_mode & 0o7022, (path, oct(st.st_mode))
            assert os.getxattr(share / "owned/shadow", "user.vireo.stat") == b"0 42 100640 0"
            assert os.getxattr(share / "owned/null", "user.vireo.stat") == b"0 0 20666 259"

        with tap.test("a read-only share stays as it is"):
            assert done.check("only_read").startswith("only to be read\n")
            assert [path.name for path in readonly.iterdir()] == ["file"]
            assert (readonly / "file").read_text() == "only to be read\n"

        with tap.test("the host sees the guest's locks, and the guest waits for the host's"):
            done.check("holds")
            assert seen, "the host got a lock that the guest had"

        with tap.test("the speed of a share (told, not judged)"):
            print("#", done.check("speed").strip(), flush=True)

    tap.finish()


if __name__ == "__main__":
    main()
