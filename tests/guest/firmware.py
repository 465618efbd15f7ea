#!/usr/bin/env python3
"""Debian's firmware: OpenSBI in M-mode, U-Boot on it with drivers of its own for disk and network, and the way that
a distribution starts: OpenSBI, U-Boot, extlinux.conf on a disk, Linux."""

import pathlib
import re
import struct
import zlib

import debian
import vm
from tap import Tap

PROMPT = "=> "
EXTLINUX = """\
default test
timeout 1
label test
    kernel /boot/Image
    initrd /boot/initrd
    append quiet {append}
"""


class Uboot:
    """U-Boot's prompt on the console of @guest."""

    def __init__(self, guest):
        self.guest = guest
        self.at = guest.expect("Hit any key to stop autoboot")
        guest.send(" ")
        self.at = guest.expect(PROMPT, self.at)

    def __call__(self, command):
        """Runs @command; returns what it says."""
        start = self.at
        self.guest.send(command + "\r")
        self.at = self.guest.expect("\n" + PROMPT, start)
        return self.guest.text[start:self.at - len(PROMPT)].removeprefix(command)


def boot_disk(folder):
    """A disk that holds a kernel, an initramfs, and what tells U-Boot to start them."""
    tree = pathlib.Path(folder) / "tree"
    (tree / "boot/extlinux").mkdir(parents=True)
    kernel = vm.kernel_folder()
    (tree / "boot/Image").write_bytes((kernel / "Image").read_bytes())
    (tree / "boot/initrd").write_bytes(pathlib.Path(vm.initramfs(kernel)).read_bytes())
    append = vm.run_arg("dmesg | grep 'SBI implementation'; nproc")
    (tree / "boot/extlinux/extlinux.conf").write_text(EXTLINUX.format(append=append))
    out = debian.sparse(folder, "boot.img", 129 << 20)
    debian.run("mkfs.ext4", "-q", "-F", "-E", "offset=1048576", "-d", tree, out, "128M")
    with open(out, "r+b") as file:  # a master boot record with one partition, bootable, of Linux's type
        file.seek(446)
        file.write(struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 128 << 11))
        file.seek(510)
        file.write(b"\x55\xaa")
    return out


tap = Tap()
firmware = pathlib.Path(vm.fetched("firmware")[0])
base = ["--firmware", firmware / "fw_dynamic.bin", "--kernel", firmware / "u-boot.bin"]
with debian.scratch() as tmp:
    disk = debian.copy(tmp)
    raw = debian.sparse(tmp, "raw.img", 1 << 20)
    with vm.Vm(*base, "--disk", disk, "--net", "none", *vm.BRIDGES, "--device", f"virtio-blk-pci,bus=inner,addr=3,path={raw}",
               "--device", "virtio-net-pci,bus=down0", "-c", 2) as guest:
        with tap.test("OpenSBI starts U-Boot"):
            uboot = Uboot(guest)
            assert "OpenSBI v" in guest.text and "Platform HART Count         : 2" in guest.text, guest.text
            assert re.search(r"^DRAM: +512 MiB$", guest.text, re.M), guest.text

        with tap.test("U-Boot: version and bdinfo"):
            assert "U-Boot 20" in uboot("version")
            info = uboot("bdinfo")
            assert re.search(r"start += 0x0*80000000\n", info) and re.search(r"size += 0x0*20000000\n", info), info

        with tap.test("U-Boot: a file on the disk"):
            assert "Capacity: 1024.0 MB" in uboot("virtio info")
            body = debian.debugfs(disk, "cat /etc/mime.types")
            assert f"{len(body)} bytes read" in uboot("load virtio 0 84000000 /etc/mime.types")
            assert f"==> {zlib.crc32(body):08x}" in uboot("crc32 84000000 $filesize")

        with tap.test("U-Boot: sectors of another disk, behind a switch and two bridges"):
            uboot("virtio dev 1; mw.b 84000000 5a 400; virtio write 84000000 10 2; virtio read 85000000 f 4")
            assert "were the same" in uboot("cmp.b 84000000 85000200 400")
            assert raw.read_bytes() == bytes(16 * 512) + b"Z" * 1024 + bytes((2048 - 18) * 512)

        with tap.test("U-Boot: the network, behind a switch"):
            assert "bound to address 10.0.2.15" in uboot("setenv autoload no; dhcp")
            assert "host 10.0.2.2 is alive" in uboot("ping 10.0.2.2")

        with tap.test("U-Boot: a reset starts from the beginning"):
            guest.send("reset\r")
            uboot.at = guest.expect("OpenSBI v", uboot.at)
            guest.expect("Hit any key to stop autoboot", uboot.at)
            guest.send(" ")
            uboot.at = guest.expect(PROMPT, uboot.at)

        with tap.test("U-Boot: poweroff"):
            guest.send("poweroff\r")
            assert guest.wait() == 0, guest.errors()

    with tap.test("OpenSBI, U-Boot, extlinux.conf, Linux, with no key pressed"):
        with vm.Vm(*base, "--disk", boot_disk(tmp), "-c", 2, stdin=False) as guest:
            code = guest.wait()
            text = guest.text
            assert code == 0 and "\nvireo.run: exit 0\n" in text, (code, text[-3000:], guest.errors())
            assert "SBI implementation ID=0x1 " in text, text[-2000:]
            assert "\n2\n" in text, text[-2000:]

tap.finish()
