#!/usr/bin/env python3
"""SR-IOV under a stock Debian: its virtio-pci driver has a network card and a disk bring virtual functions into being by
sriov_numvfs; each of them is a card or a disk of its own with an end of its own, checked on the host; they go, and come
back as new ones. Messages (APLIC and IMSICs), since virtual functions have no wire."""

import hashlib
import os
import re

import debian
import pci_tools
import vm
from tap import Tap

SCRIPT = r"""
. /test/lib.sh
mount -t tmpfs none /run 2>/dev/null
lspci() { LD_LIBRARY_PATH=/test/lib /test/bin/lspci -n "$@" 2>&1 | grep -v "libkmod resources: error -2"; }
pf() { for d in /sys/bus/pci/devices/*; do [ "$(cat $d/device)" = $1 ] && [ -e $d/sriov_totalvfs ] && echo $d; done; }
NET=$(pf 0x1041) DISK=$(pf 0x1042)
wait_for() { for i in $(seq 200); do [ -e $1 ] && return; sleep 0.05; done; return 1; }
before() {
    set -e
    cat $NET/sriov_totalvfs $DISK/sriov_totalvfs $NET/sriov_numvfs $NET/sriov_offset $NET/sriov_stride
    ls /sys/class/net /sys/block
    ! echo 4 >$NET/sriov_numvfs
}
enable() {
    set -e
    echo 3 >$NET/sriov_numvfs
    echo 2 >$DISK/sriov_numvfs
    wait_for /sys/class/net/eth3; wait_for /dev/vdd
    for i in 1 2 3; do echo "eth$i" $(basename $(readlink -f /sys/class/net/eth$i/device/..)) $(cat /sys/class/net/eth$i/address); done
    for l in $NET/virtfn0 $NET/virtfn2 $DISK/virtfn1; do readlink $l; done
    cat $NET/virtfn0/virtio*/features
}
ping_by() {
    set -e
    ip link set $1 up
    ip addr add 10.0.2.15/24 dev $1
    ping -c 2 -W 5 -q 10.0.2.2 | grep loss
    ip addr flush dev $1
    ip link set $1 down
}
network() { set -e; for i in 0 1 2 3; do ping_by eth$i; done; }
disks() {
    set -e
    dd if=/dev/vdc bs=1M 2>/dev/null | sha256sum
    dd if=/dev/vdc of=/dev/vdd bs=1M 2>/dev/null
    sync
}
again() { # a VF is reset behind its driver's back, the VFs go, fewer come
    set -e
    vf=$(readlink -f $NET/virtfn1); name=$(basename $vf)
    echo $name >/sys/bus/pci/drivers/virtio-pci/unbind
    cat $vf/reset_method
    echo 1 >$vf/reset
    echo $name >/sys/bus/pci/drivers/virtio-pci/bind
    wait_for /sys/class/net/eth2
    ping_by eth2
    for i in 1 2 3 4 5; do
        echo 0 >$NET/sriov_numvfs
        [ ! -e /sys/class/net/eth1 ]; [ ! -e $NET/virtfn0 ]
        echo 2 >$NET/sriov_numvfs
        wait_for /sys/class/net/eth2
    done
    ! [ -e /sys/class/net/eth3 ]
    ping_by eth1; ping_by eth2; ping_by eth0
}
behind_a_port() { # more than seven: function numbers that the port forwards by ARI
    set -e
    R=$(pf 0x1044)
    cat $R/sriov_totalvfs
    echo 9 >$R/sriov_numvfs
    for i in 0 6 7 8; do basename $(readlink $R/virtfn$i); done
    await "drivers of 9 functions" '[ $(ls -d $R/virtfn*/driver | wc -l) = 9 ]'
    list=$(cat /sys/class/misc/hw_random/rng_available)
    last=${list% none}; last=${last##* }
    echo $last >/sys/class/misc/hw_random/rng_current
    [ $(cat /sys/class/misc/hw_random/rng_current) = $last ]
    dd if=/dev/hwrng bs=64 count=4 iflag=fullblock 2>/dev/null | wc -c
    lspci -vv -s $(basename $R) | grep -E "IOVCtl|ARIHierarchy"
    echo 0 >$R/sriov_numvfs
    [ ! -e $R/virtfn0 ]
    echo $list
}
section before before
section enable enable
section lspci lspci -vv
section network network
section disks disks
section again again
section port behind_a_port
section complaints dmesg -r -l emerg,alert,crit,err,warn
"""

tap = Tap()
with debian.scratch() as tmp:
    images = []
    for i in range(3):
        images.append(debian.sparse(tmp, f"disk{i}.img", 4 << 20))
        images[i].write_bytes(os.urandom(4 << 20))
    args = ["--machine", "virt,aia=aplic-imsic", "-c", 2, "--net", "user"]
    for i in range(3):
        args += ["--net", f"user,sriov_pf=net0,mac=52:56:52:00:01:0{i}"]
    args += ["--disk", debian.copy(tmp), "--disk", images[0]]
    for image in images[1:]:
        args += ["--disk", f"{image},sriov_pf=disk1"]
    args += ["--device", "virtio-rng-pci,id=source,bus=port0"]
    args += ["--device", "virtio-rng-pci,sriov_pf=source"] * 9
    with tap.test("a guest uses a card and a disk that have virtual functions"):
        machine = debian.machine(tmp, SCRIPT, pci_tools.lspci_files())
        done = debian.boot(*machine, *args, deadline_s=240)
        done.healthy()

    with tap.test("there are none until they are asked for, and no more than there are"):
        lines = done.check("before").splitlines()
        assert lines[:5] == ["3", "2", "0", "1", "1"], lines
        words = " ".join(lines).split()
        assert "eth0" in words and "eth1" not in words and "vdb" in words and "vdc" not in words, lines

    with tap.test("they appear as functions of their own, with driver and messages"):
        lines = done.check("enable").splitlines()
        rows = dict((line.split()[0], line.split()[2]) for line in lines if line.startswith("eth"))
        assert rows == {f"eth{i + 1}": f"52:56:52:00:01:0{i}" for i in range(3)}, lines
        assert lines[-1][37] == "0", "a VF offers SR_IOV"
        functions = re.split(r"^(?=[0-9a-f]{2}:[0-9a-f]{2}\.)", done.check("lspci"), flags=re.M)[1:]
        pfs = [f for f in functions if "Single Root I/O Virtualization" in f]
        vfs = [f for f in functions if re.match(r"\S+\.[1-7] ", f) and "Root Port" not in f]
        assert len(pfs) == 3 and len(vfs) == 5, f"{len(pfs)} and {len(vfs)} functions"
        assert re.search(r"IOVCtl:\s+Enable\+.*MSE\+", pfs[0]) and "Number of VFs: 3" in "".join(pfs), pfs
        for vf in vfs:
            assert "Kernel driver in use: virtio-pci" in vf and "MSI-X: Enable+" in vf and "FLReset+" in vf, vf
        for word in ("unassigned", "!!!", "access denied", "invalid"):
            assert word not in done.check("lspci"), done.check("lspci")

    with tap.test("each card reaches its own network"):
        assert done.check("network").count(" 0% packet loss") == 4, done.check("network")

    with tap.test("each disk is its own image"):
        digest = hashlib.sha256(images[1].read_bytes()).hexdigest()
        assert digest in done.check("disks")
        assert images[2].read_bytes() == images[1].read_bytes() != images[0].read_bytes()

    with tap.test("a virtual function is reset alone; all go, and come back, six times"):
        assert done.check("again").split()[0] == "flr", done.check("again")
        assert done.check("again").count(" 0% packet loss") == 4, done.check("again")

    with tap.test("nine behind a root port, two of them past function 7"):
        lines = done.check("port").splitlines()
        assert lines[0] == "9" and lines[5] == "256", lines
        first, seventh, eighth, ninth = lines[1:5]
        bus = first.split(":")[1]
        assert bus != "00" and lines[1:5] == [f"0000:{bus}:{fn}" for fn in ("00.1", "00.7", "01.0", "01.1")], lines
        assert "ARIHierarchy+" in lines[6], lines

    with tap.test("the kernel has no complaint"):
        lines = done.check("complaints").splitlines()
        assert not [line for line in lines if re.search("pci|virtio|irq|msi|aer", line, re.I)
                    and "Memory resource size exceeds max for 32 bits" not in line], "\n".join(lines)

    with tap.test("what cannot be is refused with a reason"):
        for given, why in ((["--net", "user,sriov_pf=net7"], "no device of this name"),
                           (["--device", "virtio-rng-pci", "--device", "virtio-balloon-pci,sriov_pf=dev0"], "has to be of its class"),
                           (["--device", "pci-root-port", "--device", "virtio-rng-pci,sriov_pf=dev0"], "cannot have virtual functions")):
            with vm.Vm("--kernel", vm.kernel_folder() / "Image", *given, stdin=False) as guest:
                assert guest.wait() == 2 and why in guest.errors(), guest.errors()

tap.finish()
