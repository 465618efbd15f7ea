#!/usr/bin/env python3
"""The SCSI controller under Debian's virtio_scsi, sd_mod and sr_mod: disks are written, read, trimmed and refused,
a disc made by xorriso is mounted, and its tray opens and closes."""

import contextlib
import hashlib
import pathlib
import random
import re

import debian
from tap import Tap

MODULES = "virtio_mmio,virtio_scsi,sd_mod,sr_mod,isofs,ext4"
TIB = 1 << 40
DATA = 24 << 20

SCRIPT = r"""
. /test/lib.sh
modprobe -a sd_mod sr_mod isofs ext4
name() { # of the block device at target $1; found in a thread of its own, and named as it comes
    await "block device at target $1" "ls /sys/bus/scsi/devices/0:0:$1:0/block 2>/dev/null | grep ."
}
A=$(name 0) B=$(name 1) C=$(name 2) R=$(name 3)
for one in $A $B $C $R; do
    await /dev/$one "[ -e /dev/$one ]"
done
units() {
    for d in $A $B $C $R; do
        s=/sys/block/$d
        echo $(cat $s/device/vendor) $(cat $s/device/model) type $(cat $s/device/type) ro $(cat $s/ro) \
            size $(cat $s/size) serial $(tail -c +5 $s/device/vpd_pg80 2>/dev/null)
    done
}
queue() {
    cd /sys/block/$A/queue
    for name in write_cache rotational discard_max_bytes logical_block_size physical_block_size; do
        echo $name $(cat $name)
    done
    cat /sys/block/$A/device/scsi_disk/*/cache_type /sys/block/$A/device/scsi_disk/*/provisioning_mode
}
raw() {
    set -e
    head -c $DATA /dev/urandom >/tmp/data
    dd if=/tmp/data of=/dev/$A bs=1M conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/$A bs=1M count=$((DATA >> 20)) 2>/dev/null | cmp - /tmp/data
    dd if=/tmp/data of=/dev/$A bs=512 count=1 seek=100000 conv=fsync 2>/dev/null
    sha256sum </tmp/data
    rm /tmp/data
}
trim() {
    blkdiscard -o 4194304 -l 8388608 /dev/$A && dd if=/dev/$A bs=1M skip=4 count=8 2>/dev/null | tr -d '\0' | wc -c
}
cache_off() {
    cache=$(echo /sys/block/$A/device/scsi_disk/*/cache_type)
    echo 'write through' >$cache
    cat $cache /sys/block/$A/queue/write_cache
    echo 'write back' >$cache
    cat $cache
}
files() {
    set -e
    mke2fs -q /dev/$B >/dev/null
    mkdir -p /disk
    mount -t ext4 /dev/$B /disk
    for i in $(seq 1 200); do seq 1 $((i * 20)) >/disk/$i; done
    sha256sum /disk/200
    umount /disk
}
large() {
    size=$(blockdev --getsize64 /dev/$C)
    echo "size $size"
    dd if=/dev/$C bs=4096 skip=$((size / 4096 - 1)) 2>/dev/null | head -c 21; echo
    ! dd if=/dev/zero of=/dev/$C bs=4096 count=1 2>&1 || return 1
}
disc() {
    set -e
    mkdir -p /cd
    mount -t iso9660 -o ro /dev/$R /cd
    cd /cd
    find . -type f -print0 | xargs -0 sha256sum
    cd /
    umount /cd
    dd if=/dev/$R bs=2048 2>/dev/null | sha256sum
}
tray() {
    cd /proc/sys/dev/cdrom
    echo 1 >autoeject
    echo 0 >autoclose
    mount -t iso9660 -o ro /dev/$R /cd || return 1
    umount /cd # out it goes
    ! dd if=/dev/$R of=/dev/null bs=2048 count=1 2>&1 || return 2
    echo 0 >autoeject
    echo 1 >autoclose
    : </dev/$R # in it goes
    dd if=/dev/$R bs=2048 skip=16 count=1 2>/dev/null | tail -c +2 | head -c 5
    echo
}
for one in units queue raw trim cache_off files large disc tray; do
    section $one $one
done
dmesg | grep -iE 'scsi|sd[a-c]|sr0' | grep -iE 'error|fail|invalid|unhandled' >/tmp/bad
section complaints cat /tmp/bad
"""

tap = Tap()
with contextlib.ExitStack() as stack:
    tmp = pathlib.Path(stack.enter_context(debian.scratch()))
    raw, files, large = (debian.sparse(tmp, name, size) for name, size in
                         (("raw", 64 << 20), ("files", 32 << 20), ("large", 3 * TIB)))
    with open(large, "r+b") as image:
        image.seek(-4096, 2)
        image.write(b"the far end of a disk")
    tree = tmp / "tree"
    (tree / "a/b").mkdir(parents=True)
    rng = random.Random(5)
    bodies = {"a/b/big": rng.randbytes(3_000_000), "a/small": b"small\n", "a/A long name, with blanks.txt": b"x" * 5000}
    for name, body in bodies.items():
        (tree / name).write_bytes(body)
    iso = tmp / "disc.iso"
    debian.run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "VIREO", "-o", iso, tree)

    done = debian.boot(*debian.small_machine(tmp, f"DATA={DATA}\n" + SCRIPT, modules=MODULES), "--net", "none",
                       "--disk", f"{raw},bus=scsi,serial=VIREO-77", "--disk", f"{files},bus=scsi",
                       "--disk", f"{large},ro,bus=scsi", "--cdrom", iso, "-c", 2, stdin=False, deadline_s=40)
    with tap.test("the guest ends well"):
        assert done.code == 0 and "vireo.run: exit 0" in done.text, (done.code, done.text[-3000:], done.errors)
    with tap.test("three disks and a drive, as they are"):
        lines = done.check("units").splitlines()
        assert lines[0] == f"VIREO disk type 0 ro 0 size {(64 << 20) // 512} serial VIREO-77", lines
        assert lines[1] == f"VIREO disk type 0 ro 0 size {(32 << 20) // 512} serial", lines
        assert lines[2] == f"VIREO disk type 0 ro 1 size {3 * TIB // 512} serial", lines
        assert lines[3].startswith(f"VIREO CD-ROM type 5 ro 1 size {iso.stat().st_size // 2048 * 4}"), lines
    with tap.test("write cache, no rotation, discards"):
        text = done.check("queue")
        for line in ("write_cache write back", "rotational 0", "logical_block_size 512", "write back", "unmap"):
            assert line in text.splitlines(), text
        assert int(re.search(r"discard_max_bytes (\d+)", text)[1]) > 0, text
    with tap.test("24 MB through a disk are on the host"):
        data = raw.read_bytes()
        # `trim` came later: 8 MiB at 4 MiB are zero now.
        assert data[4 << 20:12 << 20].count(0) == 8 << 20 and done.check("trim").strip() == "0"
        assert data[:4096].count(0) < 100 and len(set(data[13 << 20:14 << 20])) == 256
        assert len(done.check("raw").split()[0]) == 64
        assert raw.stat().st_blocks * 512 < DATA - (7 << 20), "the discarded blocks still take room"
        assert data[51200000:51200512] == data[:512]
    with tap.test("the write cache goes off and on"):
        assert done.check("cache_off").splitlines() == ["write through", "write through", "write back"], \
            done.check("cache_off")
    with tap.test("a file system that the guest made is clean, and holds what it wrote"):
        debian.fsck(files)
        body = debian.debugfs(files, "cat /200")
        assert body == "".join(f"{i}\n" for i in range(1, 4001)).encode()
        assert done.check("files").split()[0] == hashlib.sha256(body).hexdigest()
    with tap.test("a disk beyond 2^32 blocks, to its end; nothing writes to it"):
        assert f"size {3 * TIB}\nthe far end of a disk\n" in done.check("large"), done.check("large")
        assert large.stat().st_blocks * 512 < 1 << 20
    with tap.test("xorriso's disc, file by file and block by block"):
        text = done.check("disc")
        for name, body in bodies.items():
            assert f"{hashlib.sha256(body).hexdigest()}  ./{name}\n" in text, text
        assert text.splitlines()[-1].split()[0] == hashlib.sha256(iso.read_bytes()).hexdigest()
    with tap.test("the tray: out, and in again"):
        lines = done.check("tray").splitlines()
        assert "No medium found" in lines[0] and lines[-1] == "CD001", lines
    with tap.test("the kernel has no complaint"):
        assert done.check("complaints").strip() == "", done.check("complaints")
tap.finish()
