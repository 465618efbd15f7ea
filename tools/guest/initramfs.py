#!/usr/bin/env python3
"""Makes the guest's initramfs (cpio "newc", see Linux's Documentation/driver-api/early-userspace):
busybox, an init, and kernel modules with what they depend on, loadable with modprobe.

  initramfs.py [-o FILE] [-k KERNELDIR] [-m MODULE,...] [-f SRC:DST]... [-i INIT] [--gzip]

KERNELDIR is what `fetch.sh kernel` prints. FILE's default is a name in there that only the same arguments
have: others may use theirs meanwhile. Nothing is written when FILE was made from the same inputs. Not
compressed by default: unpacking costs the guest more than reading.
File systems are not among the default modules (ext4 alone is 7 MB): -m virtio_mmio,virtio_blk,ext4."""

import argparse
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import stat
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MODULES = "virtio_mmio,virtio_blk,virtio_net,virtio_rng"

# What a module asks for by a cipher's name at run time, which no dependency field shows.
ALSO = {"ext4": ["crc32c_generic"]}


class Cpio:
    """An archive in memory; every entry belongs to root."""

    def __init__(self):
        self.data = bytearray()
        self.seen = set()
        self.ino = 0

    def entry(self, name, mode, body=b"", rdev=(0, 0)):
        self.ino += 1
        head = [self.ino, mode, 0, 0, 1, 0, len(body), 0, 0, *rdev, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08X" % field for field in head)
        self.data += name.encode() + b"\0"
        self.pad(4)
        self.data += body
        self.pad(4)

    def pad(self, to):
        self.data += b"\0" * (-len(self.data) % to)

    def folder(self, path):
        path = path.strip("/")
        if path and path not in self.seen:
            self.folder(os.path.dirname(path))
            self.seen.add(path)
            self.entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, body, mode=0o644):
        self.folder(os.path.dirname(path))
        self.entry(path.strip("/"), stat.S_IFREG | mode, body)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.entry(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def node(self, path, major, minor):
        self.folder(os.path.dirname(path))
        self.entry(path.strip("/"), stat.S_IFCHR | 0o600, rdev=(major, minor))

    def finish(self):
        self.entry("TRAILER!!!", 0)
        self.pad(512)
        return bytes(self.data)


class Modules:
    """The kernel's modules: bodies, and what modprobe has to know."""

    def __init__(self, folder):
        self.folder = folder
        self.path = {}
        for file in folder.rglob("*.ko*"):
            self.path[file.name.split(".ko")[0].replace("-", "_")] = file
        builtin = (folder / "modules.builtin").read_text().split()
        self.builtin = {pathlib.Path(line).stem.replace("-", "_") for line in builtin}
        self.picked = {}  # name: (path in the archive, body, transitive dependencies)

    def pick(self, name):
        """Adds module NAME and its dependencies; returns the names that must be loaded before it."""
        name = name.replace("-", "_")
        if name in self.builtin:
            return []
        if name in self.picked:
            return self.picked[name][2]
        if name not in self.path:
            sys.exit(f"initramfs: this kernel has no module {name}")
        file = self.path[name]
        body = file.read_bytes()
        if file.suffix == ".xz":
            body = lzma.decompress(body)
        before = []
        for one in [*ALSO.get(name, []), *",".join(self.info(body, "depends")).split(",")]:
            if one:
                before += [one.replace("-", "_"), *self.pick(one)]
        # modprobe loads from the end of the list: what several others need has to stand behind them all.
        before = [one for one in dict.fromkeys(reversed(before)) if one not in self.builtin][::-1]
        where = str(file.relative_to(self.folder)).removesuffix(".xz")
        self.picked[name] = (where, body, before)
        return before

    @staticmethod
    def info(body, key):
        """Values of KEY in the module's .modinfo strings."""
        mark = b"\0" + key.encode() + b"="
        return [part.split(b"\0", 1)[0].decode() for part in body.split(mark)[1:]]

    def add_to(self, cpio, version):
        base = f"lib/modules/{version}/"
        dep, alias, soft = [], [], []
        for name, (where, body, before) in self.picked.items():
            cpio.file(base + where, body)
            dep.append(f"{where}:" + "".join(" " + self.picked[one][0] for one in before))
            alias += [f"alias {pattern} {name}" for pattern in self.info(body, "alias")]
            soft += [f"softdep {name} {text}" for text in self.info(body, "softdep")]
        cpio.file(base + "modules.dep", "\n".join(dep + [""]).encode())
        cpio.file(base + "modules.alias", "\n".join(alias + [""]).encode())
        cpio.file(base + "modules.softdep", "\n".join(soft + [""]).encode())


def applets(busybox):
    """Names that this busybox answers to: its table of applets, NUL-separated and sorted."""
    text = busybox.read_bytes()
    start = text.index(b"[\0[[\0")
    names = []
    for name in text[start : start + 8192].split(b"\0"):
        if not name or (names and name < names[-1]):
            break
        names.append(name)
    return [name.decode() for name in names]


def build(args, kernel):
    cpio = Cpio()
    for folder in ("bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "root", "mnt"):
        cpio.folder(folder)
    cpio.node("dev/console", 5, 1)
    busybox = kernel / "busybox"
    cpio.file("bin/busybox", busybox.read_bytes(), 0o755)
    for name in applets(busybox):
        if name != "busybox":
            cpio.link("bin/" + name, "busybox")
    for name in ("modprobe", "poweroff", "reboot"):  # the kernel itself calls /sbin/modprobe
        cpio.link("sbin/" + name, "../bin/busybox")
    cpio.file("init", args.init.read_bytes(), 0o755)
    cpio.file("sbin/netup", (HERE / "netup").read_bytes(), 0o755)
    cpio.file("etc/filesystems", b"ext4\nvfat\niso9660\n")  # what `mount` tries without -t
    modules = Modules((kernel / "modules").resolve())
    for name in filter(None, args.modules.split(",")):
        modules.pick(name)
    modules.add_to(cpio, (kernel / "version").read_text().strip())
    for pair in args.file:
        source, _, target = pair.partition(":")
        source = pathlib.Path(source)
        cpio.file(target, source.read_bytes(), source.stat().st_mode & 0o777)
    data = cpio.finish()
    return gzip.compress(data, 6, mtime=0) if args.gzip else data


def main():
    parser = argparse.ArgumentParser(description="makes the guest's initramfs")
    parser.add_argument("-o", "--out", type=pathlib.Path, help="default: in KERNELDIR, named by the other arguments")
    parser.add_argument("-k", "--kernel", type=pathlib.Path, help="default: from fetch.sh")
    parser.add_argument("-m", "--modules", default=MODULES, help=f"default: {MODULES}")
    parser.add_argument("-f", "--file", action="append", default=[], metavar="SRC:DST")
    parser.add_argument("-i", "--init", type=pathlib.Path, default=HERE / "init")
    parser.add_argument("--gzip", action="store_true")
    args = parser.parse_args()
    kernel = args.kernel
    if not kernel:
        fetched = subprocess.run([HERE / "fetch.sh", "kernel"], stdout=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL)
        if fetched.returncode:
            sys.exit(fetched.returncode)
        kernel = pathlib.Path(fetched.stdout.strip())
    asked = [str(args.init), args.modules, args.file, args.gzip]
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    out = args.out or kernel / f"initramfs-{name}.cpio"

    stamp = out.with_name(out.name + ".inputs")
    inputs = [args.init, HERE / "netup", HERE / "initramfs.py", kernel / "version",
              *(pathlib.Path(pair.partition(":")[0]) for pair in args.file)]
    said = json.dumps([str(kernel), asked, [file.stat().st_mtime_ns for file in inputs]])
    if not (out.exists() and stamp.exists() and stamp.read_text() == said):
        print("guest: initramfs", file=sys.stderr)
        data = build(args, kernel)
        for file, body in ((out, data), (stamp, said.encode())):
            new = file.with_name(f"{file.name}.{os.getpid()}")
            new.write_bytes(body)
            new.replace(file)
    print(out)


if __name__ == "__main__":
    main()
