#!/usr/bin/env python3
"""EDK2, Debian's UEFI firmware for this machine, whose drivers for flash, PCI Express, virtio disks and network cards
are nobody else's: its shell reads and writes files of a FAT file system, and reaches the network."""

import os
import pathlib
import re
import shutil
import tempfile

import debian
import vm
from tap import Tap

SCRIPT = """@echo -off
fs0:
echo == type
type hello.txt
echo == copy
cp -q big.bin copy.bin
comp big.bin copy.bin
echo == network
ifconfig -s eth0 static 10.0.2.15 255.255.255.0 10.0.2.2
ping -n 2 10.0.2.2
echo == pci
pci
setvar kept -guid 5ca1ab1e-0000-4000-8000-000000000001 -bs -rt -nv =0x2a
echo == end
reset -s
"""


def text_of(console):
    """Without what moves the cursor and colours."""
    return re.sub(r"\x1b\[[0-9;=]*[A-Za-z]", "", console)


tap = Tap()
with tempfile.TemporaryDirectory(prefix="vireo-efi.") as tmp:
    tmp = pathlib.Path(tmp)
    firmware = pathlib.Path(vm.fetched("packages", "qemu-efi-riscv64")[0]) / "usr/share/qemu-efi-riscv64"
    shutil.copy(firmware / "RISCV_VIRT_VARS.fd", tmp / "vars.fd")
    (tmp / "startup.nsh").write_text(SCRIPT)
    (tmp / "hello.txt").write_text("hello from the host\n")
    big = os.urandom(3000001)
    (tmp / "big.bin").write_bytes(big)
    disk = debian.sparse(tmp, "disk.img", 64 << 20)
    debian.run("mkfs.vfat", "-F", "32", disk)
    debian.run("mcopy", "-i", disk, *(tmp / name for name in ("startup.nsh", "hello.txt", "big.bin")), "::")
    with vm.Vm("--flash", firmware / "RISCV_VIRT_CODE.fd", "--flash-vars", tmp / "vars.fd", "--net", "none",
               *vm.BRIDGES, "--device", f"virtio-blk-pci,bus=inner,addr=3,path={disk}", "--device", "virtio-net-pci,bus=down0",
               deadline_s=240) as guest:
        with tap.test("EDK2 starts, and its menu leads to its shell"):
            at = guest.expect("Press ESCAPE")
            guest.send("\x1b")
            at = guest.expect("Continue", guest.expect("Boot Manager", at))
            guest.send("\x1b[B\x1b[B\r")
            at = guest.expect("EFI Internal Shell", at)
            guest.send("\x1b[A\r")
            at = guest.expect("to continue", at)
            guest.send("\r")

        with tap.test("its script runs to the end, and powers the machine off"):
            at = guest.expect("== end", at)
            assert guest.wait() == 0, guest.errors()
            parts = dict(re.findall(r"== (\w+)\n(.*?)(?=== )", text_of(guest.text[at - 8000:]), re.S))

        with tap.test("a file of the disk is read, another one written"):
            assert "hello from the host" in parts["type"], parts
            assert "no differences encountered" in parts["copy"], parts
            debian.run("mcopy", "-n", "-i", disk, "::copy.bin", tmp / "copy.bin")
            assert (tmp / "copy.bin").read_bytes() == big, "what EDK2 wrote differs on the host"

        with tap.test("the gateway answers"):
            assert len(re.findall(r"16 bytes from 10.0.2.2", parts["network"])) == 2, parts["network"]

        with tap.test("its PCI driver sees the functions there are"):
            for ids in ("Vendor 1B36 Device 0008", "Vendor 1AF4 Device 1042", "Vendor 1AF4 Device 1041"):
                assert ids in parts["pci"], parts["pci"]

        with tap.test("a variable that it set is in the flash file"):
            assert "kept".encode("utf-16-le") in (tmp / "vars.fd").read_bytes()

tap.finish()
