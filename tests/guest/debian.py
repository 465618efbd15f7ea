"""Debian's riscv64 userland as a root disk, and guests that run scripts in it.

The disk image is made once from Debian's packages, unpacked and not installed (no maintainer scripts, no
emulation, no root), and kept beside the fetched guest under the user's cache; tests work on copies.

A script reaches its guest in a second cpio archive behind the initramfs, as /test in the guest, so that its
length does not matter and the disk is written by the guest alone. The guest prints what `section NAME COMMAND`
ran between marks; Run.sections holds it by name."""

import collections
import contextlib
import fcntl
import hashlib
import inspect
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import vm

sys.path.insert(0, str(vm.ROOT / "tools/guest"))
import initramfs  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
os.environ["PATH"] += ":/usr/sbin:/sbin"  # mkfs.ext4, debugfs and e2fsck, for those who are not root
MODULES = "virtio_mmio,virtio_blk,virtio_net,virtio_rng,ext4"
PACKAGES = """base-files bash busybox-static coreutils curl dash diffutils findutils gcc grep gzip iproute2 iputils-ping
    libc6-dev libpython3-stdlib mawk mount netcat-openbsd openssl perl-base procps python3-minimal sed util-linux
    e2fsprogs""".split()

# A root disk: its name in the cache, what is on it, its size, and what is left out beside DROPPED.
Disk = collections.namedtuple("Disk", "name packages size dropped")
ROOT_DISK = Disk("root", PACKAGES, 1 << 30, [])

# What no test needs and takes most of the room.
DROPPED = """usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/zoneinfo
    usr/lib/gcc/*/*/lib[altu]*san* usr/lib/*/lib[altu]*san.so* usr/libexec/gcc/*/*/lto1 usr/lib/*/libc.a
    usr/lib/*/gprofng usr/lib/*/perl-base/unicore usr/share/icons usr/lib/gcc/*/*/lto1""".split()

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/fstab": "",
}
LINKS = {"usr/bin/sh": "dash", "usr/bin/awk": "mawk", "usr/bin/pager": "more", "etc/mtab": "../proc/self/mounts"}


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "vireo/guest/debian"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def lock(folder):
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*args, **kw):
    """The standard output of a host command, which must succeed."""
    done = subprocess.run([str(a) for a in args], stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **kw)
    if done.returncode:
        raise AssertionError(f"{args[0]}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-1500:]}")
    return done.stdout


def unpack(debs, root, dropped):
    for deb in debs:
        run("dpkg-deb", "-x", deb, root)
    for pattern in [*DROPPED, *dropped]:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name in ("proc", "sys", "dev", "run", "mnt", "root", "test", "tmp", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for name, text in FILES.items():
        (root / name).write_text(text)
    for name, target in LINKS.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def own_by_root(image):
    """Every inode belongs to root, whoever unpacked the files."""
    stats = run("dumpe2fs", "-h", image).decode()
    count = int(re.search(r"^Inode count: *(\d+)", stats, re.M)[1])
    free = int(re.search(r"^Free inodes: *(\d+)", stats, re.M)[1])
    lines = []
    for ino in [2, *range(11, 11 + count - free)]:  # mkfs hands out inodes in order
        lines += [f"sif <{ino}> uid 0", f"sif <{ino}> gid 0"]
    run("debugfs", "-w", "-f", "-", image, stdin=None, input="\n".join(lines).encode())


def make_image(debs, disk, out):
    with tempfile.TemporaryDirectory(dir=out.parent) as tmp:
        root = pathlib.Path(tmp) / "root"
        root.mkdir(mode=0o755)
        unpack(debs, root, disk.dropped)
        new = pathlib.Path(tmp) / "image"
        with open(new, "wb") as file:
            file.truncate(disk.size)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-L", "debian", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d",
            root, new)
        if os.geteuid():
            own_by_root(new)
        run("e2fsck", "-fn", new)
        # Folders of a package may not be writable, and TemporaryDirectory must remove them.
        for folder in root.rglob("*"):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
        new.replace(out)


def image(disk=ROOT_DISK):
    """The path of the pristine image of @disk; nobody writes to it."""
    folder = cache()
    out, stamp = folder / f"{disk.name}.img", folder / f"{disk.name}.stamp"
    with lock(folder):
        debs = vm.fetched("debs", *disk.packages)
        recipe = [*(pathlib.Path(deb).name for deb in debs), str((disk.size, DROPPED, disk.dropped, FILES, LINKS)),
                  *map(inspect.getsource, (unpack, own_by_root, make_image))]
        said = hashlib.sha256("\n".join(recipe).encode()).hexdigest()
        if not (out.exists() and stamp.exists() and stamp.read_text() == said):
            print("# making the Debian disk image", flush=True)
            stamp.unlink(missing_ok=True)
            make_image(debs, disk, out)
            stamp.write_text(said)
    return out


def copy(folder, name="root.img", disk=ROOT_DISK):
    """A disk of one's own in @folder, which costs room only where it is written to if the host can."""
    out = pathlib.Path(folder) / name
    run("cp", "--reflink=auto", "--sparse=always", image(disk), out)
    return out


def sparse(folder, name, size_bytes):
    out = pathlib.Path(folder) / name
    with open(out, "wb") as file:
        file.truncate(size_bytes)
    return out


def fsck(path):
    """The host finds the file system clean."""
    run("e2fsck", "-fn", path)


def debugfs(path, command):
    return run("debugfs", "-R", command, path)


def scratch():
    """A folder that goes away. Disks lie in it: not in a /tmp that may be memory."""
    for left in cache().glob("test.*"):  # by a test that was killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 7200:
                shutil.rmtree(left)
    return tempfile.TemporaryDirectory(prefix="test.", dir=cache())


def initrd(folder, script, files=None, init=HERE / "root_init", modules=MODULES):
    """An initramfs in @folder that runs @script; @files {name: bytes} lie beside it in the guest's /test."""
    kernel = vm.kernel_folder()
    name = hashlib.sha256(f"{init} {modules}".encode()).hexdigest()[:12]
    with lock(cache()):
        base = vm.initramfs(kernel, "-o", cache() / f"initramfs-{name}.cpio", "-i", init, "-m", modules)
    more = initramfs.Cpio()
    lib = (HERE / "lib.sh").read_bytes()
    for path, body in {"lib.sh": lib, "main": script.encode(), **(files or {})}.items():
        more.file("test/" + path, body, 0o755)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".cpio", delete=False) as out:
        out.write(pathlib.Path(base).read_bytes())
        out.write(more.finish())
    return pathlib.Path(out.name)


def machine(folder, script, files=None, init=HERE / "root_init", modules=MODULES):
    """The arguments of `vireo run` that boot Debian's kernel into @script."""
    return ["--kernel", vm.kernel_folder() / "Image", "--initrd", initrd(folder, script, files, init, modules),
            "-a", "quiet"]


def small_machine(folder, script, files=None, modules=initramfs.MODULES):
    """The same with nothing but busybox, in memory, which starts sooner."""
    init = vm.ROOT / "tools/guest/init"
    return ["--kernel", vm.kernel_folder() / "Image", "--initrd", initrd(folder, script, files, init, modules),
            "-a", "quiet " + vm.run_arg("sh /test/main")]


def sections(text):
    """{name: (exit code, output)} of what `section` ran in the guest."""
    found = {}
    for match in re.finditer(r"^=== (\S+)\n(.*?)^=== \1: exit (\d+) at [\d.]+$", text, re.M | re.S):
        found[match[1]] = (int(match[3]), match[2])
    return found


class Done:
    """What a guest did that ran its script to the end."""

    def __init__(self, guest):
        self.code = guest.wait()
        self.text = guest.text
        self.errors = guest.errors()
        self.sections = sections(self.text)

    def check(self, name):
        """The output of section @name, which must have succeeded."""
        assert name in self.sections, f"{name} did not run to its end; the console ends:\n{self.text[-500:]}"
        code, output = self.sections[name]
        assert code == 0, f"{name}: exit {code}:\n{output[-3000:]}"
        return output

    def healthy(self):
        """The script ended well, the machine powered off, and the kernel has no complaint."""
        assert "\nmain: exit 0\n" in self.text, f"{self.text[-3000:]}\n{self.errors}"
        for word in ("Oops", "WARNING:", "BUG:", "rcu_sched", "rcu: INFO", "soft lockup", "I/O error", "EXT4-fs error"):
            assert word not in self.text, f"{word}:\n{self.text[-6000:]}"
        assert self.code == 0, f"exit code {self.code}: {self.errors}"


def boot(*args, deadline_s=300, **kw):
    """Boots @args and waits for the end."""
    with vm.Vm(*args, deadline_s=deadline_s, **kw) as guest:
        return Done(guest)
