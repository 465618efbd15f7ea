#!/usr/bin/env python3
"""Stock Debian on the interrupt controllers of the RISC-V Advanced Interrupt Architecture: its own drivers find them,
interrupts come through them, go to the hart that they are sent to, and harts interrupt each other."""

import pathlib
import re

import debian
import vm
from tap import Tap

# Reads the disk with interrupts sent to one hart after the other. $1: how many harts.
SCRIPT = r"""
. /test/lib.sh
count() {
    awk -v name="$1" -v cpu="$2" '$NF == name { print $(2 + cpu) }' /proc/interrupts
}
read_disk() {
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null
}
to_hart() {
    irq=$(awk -v name=virtio0 '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts)
    echo $1 >/proc/irq/$irq/smp_affinity
    read_disk
    before=
    for hart in $2; do before="$before $(count virtio0 $hart)"; done
    read_disk
    after=
    for hart in $2; do after="$after $(count virtio0 $hart)"; done
    echo "affinity $1: before$before after$after effective $(cat /proc/irq/$irq/effective_affinity)"
}
harts=$(nproc)
all=$(seq -s ' ' 0 $((harts - 1)))
section interrupts cat /proc/interrupts
read_disk
section to0 to_hart 1 "$all"
[ $harts = 1 ] || section to1 to_hart 2 "$all"
[ $harts = 1 ] || section back to_hart 1 "$all"
section after cat /proc/interrupts
section log dmesg
section cpuinfo cat /proc/cpuinfo
echo "main: exit 0"
"""


def counts(line):
    return [int(n) for n in re.findall(r"\d+", line)]


def check_affinity(done, name, hart, harts):
    said = done.check(name)
    match = re.search(r"affinity (\d+): before((?: \d+)+) after((?: \d+)+) effective (\d+)", said)
    assert match, said
    before, after = counts(match[2]), counts(match[3])
    assert len(before) == len(after) == harts, said
    for i in range(harts):
        if i == hart:
            assert after[i] > before[i], f"none came to hart {i}: {said}"
        else:
            assert after[i] == before[i], f"some came to hart {i}, not {hart}: {said}"
    assert int(match[4], 16) == 1 << hart, said


def check(done, aia, harts):
    done.healthy()
    chip = {"aplic": "APLIC-DIRECT", "aplic-imsic": "APLIC-MSI"}[aia]
    rows = [line for line in done.check("interrupts").splitlines() if "virtio" in line or "ttyS0" in line]
    assert len(rows) >= 2 and all(chip in row and "Level" in row for row in rows), rows
    assert "PLIC  " not in done.check("interrupts")
    check_affinity(done, "to0", 0, harts)
    if harts > 1:
        check_affinity(done, "to1", 1, harts)
        check_affinity(done, "back", 0, harts)
        ipis = [sum(counts(line.split(":")[1].rsplit("  ", 1)[0])[i] for line in done.check("after").splitlines()
                    if re.match(r"IPI[01]:", line)) for i in range(harts)]
        assert all(ipis), f"a hart got no IPI: {done.check('after')}"
    log = done.check("log")
    assert "64 local interrupts mapped using AIA" in log
    assert ("imsic: interrupt-controller@28000000: providing IPIs using interrupt 1" in log) == (aia == "aplic-imsic")
    if aia == "aplic-imsic":
        assert f"total {254 * harts} interrupts available" in log, log
        assert "95 interrupts forwarded to MSI base 0x0000000028000000" in log, log
    else:
        assert f"95 interrupts directly connected to {harts} CPUs" in log, log
    isa = re.search(r"^isa\t+: (\S+)$", done.check("cpuinfo"), re.M)
    assert isa and {"smaia", "ssaia"} <= set(isa[1].split("_")), done.check("cpuinfo")


tap = Tap()
opensbi = pathlib.Path(vm.fetched("firmware")[0]) / "fw_dynamic.bin"
with debian.scratch() as tmp:
    disk = debian.sparse(tmp, "disk.img", 16 << 20)
    base = [*debian.small_machine(tmp, SCRIPT), "--disk", disk, "-m", "256M"]
    for aia in ("aplic", "aplic-imsic"):
        for harts in (1, 2):
            for name, firmware in (("built-in SBI", []), ("OpenSBI", ["--firmware", opensbi])):
                with tap.test(f"aia={aia}, {harts} hart(s), {name}"):
                    done = debian.boot(*base, *firmware, "--machine", f"virt,virtio=mmio,aia={aia}", "-c", harts)
                    check(done, aia, harts)
                    if firmware:
                        ipi = "aia-imsic" if aia == "aplic-imsic" else "aclint-mswi"
                        assert re.search(rf"^Platform IPI Device +: {ipi}$", done.text, re.M), done.text[:3000]
tap.finish()
