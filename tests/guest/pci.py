#!/usr/bin/env python3
"""PCI Express under a stock Debian: lspci finds a clean machine, disks and networks work with INTx (PLIC) and
with MSI-X (APLIC and IMSICs), devices are removed, found again and reset, and the kernel has no complaint."""

import hashlib
import os
import re

import debian
import pci_tools
from tap import Tap

SCRIPT = r"""
. /test/lib.sh
mount -t tmpfs none /run 2>/dev/null
# There are no files of modules here, which lspci says; everything else that it says counts.
lspci() { LD_LIBRARY_PATH=/test/lib /test/bin/lspci -n "$@" 2>&1 | grep -v "libkmod resources: error -2"; }
disk() {
    set -e
    dd if=/dev/vdb of=/dev/null bs=1M iflag=direct status=none
    dd if=/dev/vdb bs=1M status=none | sha256sum
    dd if=/dev/vdb of=/dev/vdb bs=64k seek=64 count=64 oflag=direct status=none
    sync
}
network() {
    set -e
    ip link set eth0 up
    ip addr add 10.0.2.15/24 dev eth0
    ping -c 3 -i 0.2 -q 10.0.2.2
}
random() { dd if=/dev/hwrng bs=64 count=4 status=none | wc -c; }
interrupts() { grep -E "virtio|CPU0" /proc/interrupts; }
again() { # gone, and found again
    set -e
    dev=/sys/bus/pci/devices/0000:00:02.0
    echo 1 >$dev/remove
    [ ! -e /dev/vdb ] && [ ! -e $dev ]
    echo 1 >/sys/bus/pci/rescan
    [ -e $dev ]
    await /dev/vdb "[ -e /dev/vdb ]"
    dd if=/dev/vdb bs=1M count=4 iflag=direct status=none | sha256sum
}
reset() { # function-level, with the driver away
    set -e
    dev=/sys/bus/pci/devices/0000:00:04.0
    cat $dev/reset_method
    echo 0000:00:04.0 >/sys/bus/pci/drivers/virtio-pci/unbind
    echo flr >$dev/reset_method
    echo 1 >$dev/reset
    echo 0000:00:04.0 >/sys/bus/pci/drivers/virtio-pci/bind
    random
}
section lspci lspci
section tree lspci -t
section verbose lspci -vv
section disk disk
section network network
section random random
section interrupts interrupts
section again again
section reset reset
section complaints dmesg -r -l emerg,alert,crit,err,warn
"""

# What the kernel warns of on every machine like this one, QEMU's included.
USUAL = ("Memory resource size exceeds max for 32 bits", "EXT4-fs", "random: crng", "hw perfevents", "cacheinfo")


SLOTS = 8  # root ports that wait for what is plugged in


def check_lspci(text, msix):
    functions = re.split(r"^(?=[0-9a-f]{2}:[0-9a-f]{2}\.)", text, flags=re.M)[1:]
    assert len(functions) == 6 + SLOTS, text
    for word in ("lspci:", "unassigned", "!!!", "access denied", "invalid", "<TAbort+", "<MAbort+", ">SERR+", "<PERR+"):
        assert word not in text, f"{word}:\n{text}"
    states = re.findall(r"^\t\t(?:DevSta|UESta|CESta):\t(.*)", text, re.M)
    assert len(states) == 15 + 3 * SLOTS and not any("+" in state for state in states), states
    for function in functions:
        if " 1af4:" in function.splitlines()[0]:
            assert "Kernel driver in use: virtio-pci" in function, function
            assert f"MSI-X: Enable{'+' if msix else '-'}" in function, function
            assert "Integrated Endpoint" in function and "FLReset+" in function, function
    port = next(f for f in functions if "0604" in f.splitlines()[0])
    assert "Root Port" in port and "Access Control Services" in port and "Bus: primary=00, secondary=01" in port, port


tap = Tap()
with debian.scratch() as tmp:
    root = debian.copy(tmp)
    data = debian.sparse(tmp, "data.img", 8 << 20)
    data.write_bytes(os.urandom(8 << 20))
    files = pci_tools.lspci_files()
    for machine, msix in (("virt", False), ("virt,aia=aplic-imsic", True)):
        before = data.read_bytes()
        with tap.test(f"{machine}: a guest uses its PCI devices and powers off"):
            done = debian.boot(*debian.machine(tmp, SCRIPT, files), "--machine", machine, "-c", 2, "--disk", root,
                               "--disk", data, "--net", "user", "--device", "pci-root-port", deadline_s=300)
            done.healthy()
        with tap.test(f"{machine}: lspci sees a clean machine"):
            check_lspci(done.check("verbose"), msix)
            ids = [line.split()[2] for line in done.check("lspci").splitlines()]
            assert ids == ["1b36:0008", "1af4:1042", "1af4:1042", "1af4:1041", "1af4:1044", "1b36:000c", *["1b36:000c"] * SLOTS], ids
        with tap.test(f"{machine}: disk, network and random source work"):
            assert hashlib.sha256(before).hexdigest() in done.check("disk")
            after = data.read_bytes()
            assert after[:4 << 20] == before[:4 << 20] and after[4 << 20:] == before[:4 << 20], "what was written"
            assert " 0% packet loss" in done.check("network")
            assert done.check("random").strip() == "256"
        with tap.test(f"{machine}: interrupts are {'messages' if msix else 'wires'}"):
            rows = done.check("interrupts")
            assert ("PCI-MSIX" in rows) == msix and ("PLIC" in rows) != msix, rows
            assert not msix or "req.1" in rows or "req.0" in rows, rows
        with tap.test(f"{machine}: a device is removed and found again, another is reset"):
            assert hashlib.sha256(before[:4 << 20]).hexdigest() in done.check("again")
            assert done.check("reset").split()[0] == "flr" and done.check("reset").split()[-1] == "256", done.text
        with tap.test(f"{machine}: the kernel has no complaint"):
            lines = [line for line in done.check("complaints").splitlines()
                     if not any(usual in line for usual in USUAL)]
            assert not [line for line in lines if re.search("pci|virtio|irq|msi|aer", line, re.I)], "\n".join(lines)

tap.finish()
