#!/usr/bin/env python3
"""Switches and bridges under a stock Debian: disks and a network card behind them do real work, by wires that each bridge
turns (PLIC) and by messages (APLIC and IMSICs); the tree that the kernel finds is the one that was asked for and the one
that query-pci tells; a bridge's bus is reset under its device."""

import hashlib
import os
import re

import debian
import pci_tools
import vm
from qmp import Qmp, pci_functions, pci_place
from tap import Tap

# A disk behind a bridge behind a root port; a switch with a network card, a disk behind two bridges, one behind the
# other, a random source and a switch of its own; and a bridge on the root bus.
TREE = """
    pci-root-port,id=root
    pci-bridge,id=bridge,bus=root
    virtio-blk-pci,id=disk,bus=bridge,addr=1e,path={disk},serial=disk
    pci-upstream-port,id=switch,bus=port0
    pci-downstream-port,id=down0,bus=switch
    pci-downstream-port,id=down1,bus=switch,addr=7
    pci-downstream-port,id=down2,bus=switch
    virtio-net-pci,id=card,bus=down0
    pci-bridge,id=outer,bus=down1
    pci-bridge,id=inner,bus=outer,addr=3
    virtio-blk-pci,id=deep,bus=inner,addr=2,path={deep},serial=deep
    pci-upstream-port,id=switch2,bus=down2
    pci-downstream-port,id=down3,bus=switch2
    virtio-rng-pci,id=source,bus=down3
    pci-bridge,id=plain
    virtio-blk-pci,id=old,bus=plain,path={old},serial=old
""".split()
ABOVE = dict(bridge="root", disk="bridge", switch="port0", down0="switch", down1="switch", down2="switch", card="down0",
             outer="down1", inner="outer", deep="inner", switch2="down2", down3="switch2", source="down3", old="plain",
             root=None, plain=None)

SCRIPT = r"""
. /test/lib.sh
mount -t tmpfs none /run 2>/dev/null
lspci() { LD_LIBRARY_PATH=/test/lib /test/bin/lspci -n "$@" 2>&1 | grep -v "libkmod resources: error -2"; }
by_serial() { for d in /sys/block/vd*; do [ "$(cat $d/serial)" = $1 ] && echo /dev/${d##*/}; done; true; }
tree() { cd /sys/bus/pci/devices; for d in *; do echo $d $(basename $(dirname $(readlink -f $d))); done; }
copy() { # from the disk behind the bridge to the others, while the network is at work
    set -e
    a=$(by_serial disk) b=$(by_serial deep) c=$(by_serial old)
    ip link set eth0 up
    ip addr add 10.0.2.15/24 dev eth0
    ping -c 20 -i 0.05 -q 10.0.2.2 >/run/ping &
    dd if=$a of=$b bs=64k oflag=direct status=none &
    dd if=$a of=$c bs=16k oflag=direct status=none &
    wait
    sync
    grep loss /run/ping
    dd if=$b bs=1M iflag=direct status=none | sha256sum
    head -c 64 /dev/hwrng | wc -c
}
reset() { # all that is behind the bridge in port root: its configuration is lost, and given back by the kernel
    set -e
    disk=$(readlink -f /sys/block/$(basename $(by_serial disk))/device/..) name=$(basename $disk)
    cat $disk/reset_method
    echo $name >/sys/bus/pci/drivers/virtio-pci/unbind
    echo bus >$disk/reset_method
    echo 1 >$disk/reset
    echo $name >/sys/bus/pci/drivers/virtio-pci/bind
    await disk '[ -n "$(by_serial disk)" ]'
    dd if=$(by_serial disk) bs=1M iflag=direct status=none | sha256sum
}
again() { # the switch goes with all that is behind it, and is found again, its windows perhaps elsewhere
    set -e
    switch=$(dirname $(dirname $(readlink -f /sys/class/net/eth0/device/..)))
    echo 1 >$switch/remove
    [ ! -e /sys/class/net/eth0 ]; [ -z "$(by_serial deep)" ]
    echo 1 >/sys/bus/pci/rescan
    await "disk or card" '[ -n "$(by_serial deep)" ] && [ -e /sys/class/net/eth0 ]'
    dd if=$(by_serial deep) bs=1M iflag=direct status=none | sha256sum
    ip link set eth0 up
    ip addr add 10.0.2.15/24 dev eth0
    ping -c 3 -i 0.05 -q 10.0.2.2 | grep loss
}
section tree tree
section lspci lspci -vv
section copy copy
section interrupts cat /proc/interrupts
section reset reset
section again again
section complaints dmesg -r -l emerg,alert,crit,err,warn
echo ask away
read word
"""
# What the kernel warns of on every machine like this one.
USUAL = ("Memory resource size exceeds max for 32 bits", "EXT4-fs", "random: crng", "hw perfevents", "cacheinfo")


def check_tree(guest, told):
    """What the guest's kernel found is what query-pci tells, which is what was asked for."""
    by_id = {d["qdev_id"]: d for d in told}
    parents = {line.split()[0]: line.split()[1] for line in guest.splitlines()}
    assert set(parents) == {pci_place(d) for d in told}, (guest, told)
    for name, above in ABOVE.items():
        where = parents[pci_place(by_id[name])]
        assert where == (pci_place(by_id[above]) if above else "pci0000:00"), (name, where, guest)
    assert by_id["disk"]["slot"] == 0x1e and by_id["down1"]["slot"] == 7 and by_id["deep"]["slot"] == 2
    for d in told:
        if "pci_bridge" in d:
            bus = d["pci_bridge"]["bus"]
            assert bus["number"] == d["bus"] < bus["secondary"] <= bus["subordinate"], d
            for inner in d["pci_bridge"]["devices"]:
                assert inner["bus"] == bus["secondary"], (d, inner)
                for region in inner["regions"]:
                    if region["address"] >= 0:
                        ranges = [bus[r] for r in ("io_range", "memory_range", "prefetchable_range")]
                        assert any(r["base"] <= region["address"] <= r["limit"] for r in ranges) or \
                            region["type"] == "io", (region, ranges)


def check_lspci(text, by_id, msix):
    functions = {f.split()[0]: f for f in re.split(r"^(?=[0-9a-f]{2}:[0-9a-f]{2}\.)", text, flags=re.M)[1:]}
    for word in ("lspci:", "unassigned", "!!!", "access denied", "invalid", "<TAbort+", "<MAbort+", ">SERR+", "<PERR+"):
        assert word not in text, f"{word}:\n{text}"
    said = {name: functions[pci_place(by_id[name])[5:]] for name in ABOVE}
    for name, words in dict(root="Root Port", switch="Upstream Port", down0="Downstream Port", bridge="PCI-Express to PCI",
                            outer="PCI-Express to PCI", card="Express (v2) Endpoint").items():
        assert words in said[name], said[name]
    for name in ("inner", "plain", "disk", "deep", "old"):  # conventional: without links
        assert "Express" not in said[name] and "Advanced Error" not in said[name], said[name]
    assert "Access Control Services" in said["down0"] and "Advanced Error Reporting" in said["switch"], said
    for name in ("disk", "deep", "old", "card", "source"):
        assert "Kernel driver in use: virtio-pci" in said[name] and f"MSI-X: Enable{'+' if msix else '-'}" in said[name], \
            said[name]


tap = Tap()
with debian.scratch() as tmp:
    root = debian.copy(tmp)
    images = {name: debian.sparse(tmp, f"{name}.img", 4 << 20) for name in ("disk", "deep", "old")}
    images["disk"].write_bytes(os.urandom(4 << 20))
    digest = hashlib.sha256(images["disk"].read_bytes()).hexdigest()
    files = pci_tools.lspci_files()
    devices = [word for row in TREE for word in ("--device", row.format(**images))]
    for machine, msix in (("virt", False), ("virt,aia=aplic-imsic", True)):
        for name in ("deep", "old"):
            images[name].write_bytes(bytes(4 << 20))
        sock = f"{tmp}/control{msix}"
        with vm.Vm(*debian.machine(tmp, SCRIPT, files), "--machine", machine, "-c", 2, "--disk", root, "--net", "none",
                   "--rng", "off", *devices, "--control", f"unix:{sock}", deadline_s=300) as guest:
            with tap.test(f"{machine}: a guest uses what is behind bridges and powers off"):
                guest.expect("ask away")
                with Qmp(sock) as qmp:
                    told = pci_functions(qmp)
                guest.send("\n")
                done = debian.Done(guest)
                done.healthy()
        with tap.test(f"{machine}: the tree is as it was asked for"):
            check_tree(done.check("tree"), told)
        with tap.test(f"{machine}: lspci sees clean switches and bridges"):
            check_lspci(done.check("lspci"), {d["qdev_id"]: d for d in told}, msix)
        with tap.test(f"{machine}: disks, network and random source work through them"):
            text = done.check("copy")
            assert " 0% packet loss" in text and digest in text and text.split()[-1] == "64", text
            for name in ("deep", "old"):
                assert hashlib.sha256(images[name].read_bytes()).hexdigest() == digest, name
        with tap.test(f"{machine}: interrupts are {'messages' if msix else 'wires'}"):
            rows = done.check("interrupts")
            assert ("PCI-MSIX" in rows) == msix and bool(re.search(r"\bPLIC", rows)) != msix, rows
        with tap.test(f"{machine}: a bus reset, and a switch that goes and is found again"):
            text = done.check("reset")
            assert "bus" in text.splitlines()[0] and digest in text, text
            text = done.check("again")
            assert digest in text and " 0% packet loss" in text, text
        with tap.test(f"{machine}: the kernel has no complaint"):
            lines = [line for line in done.check("complaints").splitlines()
                     if not any(usual in line for usual in USUAL)]
            assert not [line for line in lines if re.search("pci|virtio|irq|msi|aer", line, re.I)], "\n".join(lines)

tap.finish()
