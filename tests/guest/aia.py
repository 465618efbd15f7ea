#!/usr/bin/env python3
"""Stock Debian on the interrupt controllers of the RISC-V Advanced Interrupt Architecture: its own drivers find them,
interrupts come through them, go to the hart that they are sent to, and harts interrupt each other.

On an APLIC alone devices interrupt by wires. With IMSICs, PCI functions do by messages (MSI-X), each queue of the disk
its own; a machine with virtio over MMIO has wires whose interrupts the APLIC makes into messages."""

import pathlib
import re

import debian
import vm
from tap import Tap

# Makes the disk (and the random source) work with interrupts sent to one hart after the other. @IRQ@: which one, by the
# end of its row in /proc/interrupts.
SCRIPT = r"""
. /test/lib.sh
number() {
    awk -v name="$1" '$NF ~ name { sub(":", "", $1); print $1; exit }' /proc/interrupts
}
count() {
    awk -v name="$1" -v cpu="$2" '$NF ~ name { print $(2 + cpu); exit }' /proc/interrupts
}
read_disk() {
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null
}
work() {
    read_disk
    dd if=/dev/hwrng of=/dev/null bs=64 count=20 2>/dev/null
}
# $1: a name; the rest is run, with counts of each hart before and after.
counted() {
    name=$1
    shift
    before=
    for hart in $all; do before="$before $(count "$name" $hart)"; done
    "$@"
    after=
    for hart in $all; do after="$after $(count "$name" $hart)"; done
    echo "before$before after$after"
}
to_hart() {
    irq=$(number '@IRQ@')
    echo $1 >/proc/irq/$irq/smp_affinity
    work
    counted '@IRQ@' work
    echo "effective $(cat /proc/irq/$irq/effective_affinity)"
}
queue() {
    counted "^virtio0-req[.]$1\$" taskset -c $1 dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null
}
harts=$(nproc)
all=$(seq -s ' ' 0 $((harts - 1)))
section interrupts cat /proc/interrupts
section to0 to_hart 1
if [ $harts = 2 ]; then
    section to1 to_hart 2
    section back to_hart 1
    if [ @QUEUES@ = 2 ]; then
        echo 3 >/proc/sys/vm/drop_caches
        section queue0 queue 0
        echo 3 >/proc/sys/vm/drop_caches
        section queue1 queue 1
    fi
fi
section after cat /proc/interrupts
section log dmesg
section cpuinfo cat /proc/cpuinfo
echo "main: exit 0"
"""


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


def only_on(said, hart, harts):
    """Interrupts came to @hart and no other."""
    match = re.search(r"before((?: \d+)+) after((?: \d+)+)", said)
    assert match, said
    before, after = numbers(match[1]), numbers(match[2])
    assert len(before) == len(after) == harts, said
    for i in range(harts):
        if i == hart:
            assert after[i] > before[i], f"none came to hart {i}: {said}"
        else:
            assert after[i] == before[i], f"some came to hart {i}, not {hart}: {said}"


def check_affinity(done, name, hart, harts):
    said = done.check(name)
    only_on(said, hart, harts)
    assert int(re.search(r"effective (\d+)", said)[1], 16) == 1 << hart, said


def check(done, aia, harts, messages):
    done.healthy()
    wires = {"aplic": "APLIC-DIRECT", "aplic-imsic": "APLIC-MSI"}[aia]
    rows = [row for row in done.check("interrupts").splitlines() if "virtio" in row]
    assert len(rows) >= 2, done.check("interrupts")
    assert all(("PCI-MSIX" if messages else wires) in row for row in rows), rows
    assert any(wires in row and "ttyS0" in row for row in done.check("interrupts").splitlines())
    assert "SiFive PLIC" not in done.check("interrupts")
    check_affinity(done, "to0", 0, harts)
    if harts > 1:
        check_affinity(done, "to1", 1, harts)
        check_affinity(done, "back", 0, harts)
        ipis = [sum(numbers(row.split(":")[1])[i] for row in done.check("after").splitlines()
                    if re.match(r"IPI[01]:", row)) for i in range(harts)]
        assert all(ipis), f"a hart got no IPI: {done.check('after')}"
    if harts > 1 and messages:
        for i in range(harts):
            only_on(done.check(f"queue{i}"), i, harts)
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
opensbi = ["--firmware", pathlib.Path(vm.fetched("firmware")[0]) / "fw_dynamic.bin"]
# aia, virtio, harts, firmware
MACHINES = [
    ("aplic", "pci", 1, []),
    ("aplic", "pci", 1, opensbi),
    ("aplic", "pci", 2, []),
    ("aplic", "pci", 2, opensbi),
    ("aplic-imsic", "pci", 1, []),
    ("aplic-imsic", "pci", 1, opensbi),
    ("aplic-imsic", "pci", 2, []),
    ("aplic-imsic", "pci", 2, opensbi),
    ("aplic-imsic", "mmio", 2, []),
]
with debian.scratch() as tmp:
    disk = debian.sparse(tmp, "disk.img", 16 << 20)
    for aia, virtio, harts, firmware in MACHINES:
        with tap.test(f"aia={aia}, virtio={virtio}, {harts} hart(s), {'OpenSBI' if firmware else 'built-in SBI'}"):
            messages = aia == "aplic-imsic" and virtio == "pci"
            # The kernel itself places the queues of a disk that have a message each; others may be moved.
            script = SCRIPT.replace("@IRQ@", "^virtio[0-9]+-input$" if messages else "^virtio0$")
            script = script.replace("@QUEUES@", "2" if messages else "1")
            done = debian.boot(*debian.small_machine(tmp, script), "--disk", f"{disk},queues=2", "-m", "256M", "--net",
                               "none", "--machine", f"virt,aia={aia},virtio={virtio}", "-c", harts, *firmware)
            check(done, aia, harts, messages)
            if firmware:
                ipi = "aia-imsic" if aia == "aplic-imsic" else "aclint-mswi"
                assert re.search(rf"^Platform IPI Device +: {ipi}$", done.text, re.M), done.text[:3000]
tap.finish()
