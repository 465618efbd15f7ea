#!/usr/bin/env python3
"""Disks under a real Debian: what is written is there after the next boot and on the host, read-only disks,
disks beyond 2^31 sectors, discards that give room back, locks, and a host that pulls the plug."""

import hashlib
import os
import re
import subprocess

import debian
import vm
from tap import Skip, Tap

TIB = 1 << 40
MARK = b"The far end of a large disk, written by the host."
FILES = ["big", "seq", "tree/a/b/c/8", "sparse", "hard"]

WRITES = r"""
. /test/lib.sh
serials() {
    for d in a b c d; do cat /sys/block/vd$d/serial; echo; done
}
write_files() {
    set -e
    mkdir -p /data/tree/a/b/c
    cd /data
    head -c 16M /dev/urandom >big
    seq 1 100000 >seq
    for i in $(seq 1 300); do echo "small file $i" >tree/a/b/c/$i; done
    ln seq hard
    ln -s tree/a/b/c/8 soft
    dd if=seq of=sparse bs=4k seek=5000 count=10 status=none
    for i in $(seq 1 2 300); do rm tree/a/b/c/$i; done
    mv tree/a/b/c/300 tree/300
    find . -type f | sort | xargs sha256sum >/sums
    sync
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum --quiet -c /sums
    grep -v 'c/[0-9]*[^8]$' /sums
}
flushes() {
    cat /sys/block/vda/queue/write_cache
    awk '{print "flushes", $16}' /sys/block/vda/stat
}
read_only() {
    [ "$(blockdev --getro /dev/vdc)" = 1 ] || return 1
    ! dd if=/dev/zero of=/dev/vdc bs=4k count=1 oflag=direct 2>&1 || return 2
    ! blkdiscard /dev/vdc || return 3
    sha256sum </dev/vdc
}
large() {
    size=$(blockdev --getsize64 /dev/vdd)
    echo "size $size"
    dd if=/dev/vdd bs=4096 skip=$((size / 4096 - 1)) iflag=direct status=none | head -c 49; echo
    dd if=/dev/vdd bs=4096 skip=$((2**31 / 8)) iflag=direct status=none count=1 | head -c 49; echo
    printf %-4096s "and by the guest" | dd of=/dev/vdd bs=4096 seek=$((size / 4096 - 2)) oflag=direct status=none
    ! dd if=/dev/vdd bs=4096 skip=$((size / 4096)) count=1 status=none | grep -q . || return 1
    ! printf %4096s x | dd of=/dev/vdd bs=4096 seek=$((size / 4096)) oflag=direct || return 2
}
ask() { # what the host measures between two steps
    echo "host: $1"
    read -r answer </dev/console
}
discard() {
    set -e
    mkfs.ext4 -q /dev/vdb
    mount /dev/vdb /mnt
    ask empty
    head -c 48M /dev/zero | tr '\0' v >/mnt/file
    sync
    ask full
    rm /mnt/file
    sync
    fstrim -v /mnt
    ask trimmed
    umount /mnt
    printf %65536s x | dd of=/dev/vdb bs=65536 seek=100 oflag=direct status=none
    blkdiscard -fz -o $((100 * 65536)) -l 32768 /dev/vdb
    dd if=/dev/vdb bs=65536 skip=100 count=1 iflag=direct status=none | tr '\0' 0 | sha256sum
    blkdiscard -f /dev/vdb
    ask discarded
}
section serials serials
section write write_files
section flushes flushes
section read_only read_only
section large large
section discard discard
"""

# Checks what the first boot wrote, then writes until the plug is pulled: what it says it has, is on disk.
AGAIN = r"""
. /test/lib.sh
check() {
    cd /data && sha256sum --quiet -c /sums && readlink soft && [ ! -e tree/a/b/c/1 ] && [ $(stat -c %h seq) = 2 ]
}
section check check
cat >/writer.py <<'END'
import os
n = 0
while True:
    n += 1
    path = f"/crash/{n}"
    with open(path + ".new", "wb") as file:
        file.write(f"{n}\n".encode() * (n * 37 % 9000))
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    folder = os.open("/crash", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    print(f"stored {n}.", flush=True)
END
mkdir /crash
sync
(while :; do cp -r /usr/include/linux /crash.noise; rm -r /crash.noise; done) &
python3 /writer.py
"""

RECOVER = r"""
. /test/lib.sh
section journal sh -c 'dmesg | grep "EXT4-fs (vda)"'
section check sh -c 'cd /data && sha256sum --quiet -c /sums'
section stored python3 -c '
import os, sys
last = int(sys.argv[1])
for n in range(1, last + 1):
    with open(f"/crash/{n}", "rb") as file:
        assert file.read() == f"{n}\n".encode() * (n * 37 % 9000), n
print("all of", last)' $LAST
section clean rm -r /crash /crash.noise
"""


def blocks(path):
    """Bytes of the host that @path takes."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    return os.stat(path).st_blocks * 512


def punches_holes(folder):
    path = os.path.join(folder, "hole")
    with open(path, "wb") as file:
        file.write(b"x" * (1 << 20))
    done = subprocess.run(["fallocate", "-p", "-l", "1M", path], stderr=subprocess.DEVNULL)
    return done.returncode == 0 and blocks(path) == 0


tap = Tap()
with debian.scratch() as tmp:
    root = debian.copy(tmp)
    data = debian.sparse(tmp, "data.img", 256 << 20)
    locked = debian.sparse(tmp, "ro.img", 1 << 20)
    locked.write_bytes(os.urandom(1 << 20))
    ro_sum = hashlib.sha256(locked.read_bytes()).hexdigest()
    large = debian.sparse(tmp, "large.img", 3 * TIB)
    with open(large, "r+b") as file:
        for off in (1 << 40, 3 * TIB - 4096):
            file.seek(off)
            file.write(MARK)

    used = {}
    with tap.test("a guest with four disks writes, reads, discards and powers off"):
        args = ["--disk", f"{root},serial=root-disk-20-chars.x", "--disk", f"{data},serial=data",
                "--disk", f"{locked},ro,serial=locked", "--disk", f"{large},serial=large"]
        with vm.Vm(*debian.machine(tmp, WRITES), *args, deadline_s=300) as guest:
            try:
                at = 0
                for step in ("empty", "full", "trimmed", "discarded"):
                    at = guest.expect(f"host: {step}\n", at)
                    used[step] = blocks(data)
                    guest.send("\n")
            finally:
                first = debian.Done(guest)
        first.healthy()
        first.check("write")

    with tap.test("each disk has its serial"):
        lines = first.check("serials").split("\n")
        assert lines == ["root-disk-20-chars.x", "data", "locked", "large", ""], lines

    with tap.test("a disk with a cache is flushed"):
        output = first.check("flushes")
        assert output.startswith("write back\n") and int(output.split()[-1]) > 0, output

    with tap.test("a read-only disk reads, and refuses writes and discards"):
        assert ro_sum in first.check("read_only")
        assert hashlib.sha256(locked.read_bytes()).hexdigest() == ro_sum, "the file changed"

    with tap.test("a disk of 3 TiB is right at 2^31 sectors and at its end"):
        lines = first.check("large").splitlines()
        assert lines[:3] == [f"size {3 * TIB}", MARK.decode(), MARK.decode()], lines
        with open(large, "rb") as file:
            file.seek(3 * TIB - 8192)
            assert file.read(16) == b"and by the guest"
        assert os.stat(large).st_size == 3 * TIB

    with tap.test("fstrim and blkdiscard give the host its room back"):
        output = first.check("discard")
        zeroed = hashlib.sha256(b"0" * 32768 + b" " * 32767 + b"x").hexdigest()
        assert zeroed in output, output
        assert used["full"] - used["empty"] > 40 << 20, used
        if not punches_holes(tmp):
            raise Skip("the file system of the cache folder makes no holes")
        assert used["full"] - used["trimmed"] > 40 << 20, used
        assert used["discarded"] < 1 << 20, used

    with tap.test("the host finds the file system clean, and the guest's data in it"):
        debian.fsck(root)
        sums = dict(reversed(line.split("  ")) for line in first.check("write").splitlines() if "  " in line)
        for name in FILES:
            got = hashlib.sha256(debian.debugfs(root, f"cat /data/{name}")).hexdigest()
            assert got == sums["./" + name], f"{name} differs on the host"

    # The first boot found its disks on PCI, this one finds them by MMIO.
    with vm.Vm(*debian.machine(tmp, AGAIN), "--machine", "virt,virtio=mmio", "--disk", root,
               deadline_s=300) as guest:
        with tap.test("a second boot reads what the first wrote"):
            guest.expect("=== check: exit 0 ")
            guest.expect("stored 5.\n")

        with tap.test("a disk in use is refused to another Vireo"):
            done = subprocess.run([vm.VIREO, "run", *map(str, debian.machine(tmp, "true")), "--disk", str(root)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=120)
            text = done.stderr.decode()
            assert done.returncode in (3, 5) and len(text.splitlines()) == 1, (done.returncode, text)
            assert str(root) in text, text

        with tap.test("a host pulls the plug while the guest writes"):
            guest.expect("stored 40.\n")
            guest.process.kill()
            while guest._read():
                pass
            stored = [int(n) for n in re.findall(r"^stored (\d+)\.$", guest.text, re.M)]
            assert stored == list(range(1, len(stored) + 1)), stored

    with tap.test("after the plug was pulled, the host's e2fsck recovers the journal"):
        twin = os.path.join(tmp, "twin.img")
        debian.run("cp", "--reflink=auto", "--sparse=always", root, twin)
        done = subprocess.run(["e2fsck", "-p", twin], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert done.returncode in (0, 1) and b"recovering journal" in done.stdout, (done.returncode, done.stdout)
        debian.fsck(twin)
        os.unlink(twin)

    with tap.test("and so does the guest: everything it had stored is there"):
        last = debian.boot(*debian.machine(tmp, RECOVER.replace("$LAST", str(stored[-1]))), "--disk", root)
        last.healthy()
        assert "recovery complete" in last.check("journal"), last.text
        assert last.check("stored") == f"all of {stored[-1]}\n"
        last.check("check")
        debian.fsck(root)

tap.finish()
