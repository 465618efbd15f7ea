#!/usr/bin/env python3
"""Virtual functions that the guest enabled, and what is behind switches and bridges, are in a machine's state: a stock
kernel is saved while it works with all of them, goes on in another process, is taken back, and forked."""

import hashlib
import json
import os
import pathlib
import random
import tempfile

import debian
import vm
from qmp import Console
from tap import Tap
from work import facts

TURNS = 24
DISKS = ("pf", "vf", "deep")
GUEST = r"""
by() { for d in /sys/block/vd*; do [ "$(cat $d/serial)" = $1 ] && echo /dev/${d##*/}; done; }
for d in /sys/bus/pci/devices/*; do [ -e $d/sriov_totalvfs ] && echo 1 >$d/sriov_numvfs; done
work() {
    echo begin >/tmp/sum; i=0
    while [ $i -lt $1 ]; do
        o=$((i % 30))
        dd if=$P of=/tmp/in bs=64k skip=$o count=2 iflag=direct 2>/dev/null || echo read failed
        cat /tmp/in /tmp/sum | sha256sum >/tmp/next
        cat /tmp/next /tmp/in | head -c 65536 >/tmp/out
        dd if=/tmp/out of=$V bs=64k seek=$o oflag=direct conv=notrunc 2>/dev/null || echo write failed
        dd if=$V of=$D bs=64k skip=$o seek=$o count=1 oflag=direct conv=notrunc 2>/dev/null || echo copy failed
        dd if=$D bs=64k skip=$o count=1 iflag=direct 2>/dev/null | cat - /tmp/next | sha256sum >/tmp/sum
        i=$((i + 1)); echo turn $i
    done
    echo "sum $(cut -c1-64 /tmp/sum)"
}
up() { ifconfig $1 10.0.2.15 up; ping -c 1 -W 9 10.0.2.2 >/dev/null && echo $1 answers; ifconfig $1 0.0.0.0 down; }
again() {
    for v in /sys/bus/pci/devices/*/virtfn0; do
        f=${v%/*}
        echo 0 >$f/sriov_numvfs; [ ! -e $f/virtfn0 ] && echo 1 >$f/sriov_numvfs && [ -e $f/virtfn0 ] && echo came back
    done
}
"""

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
os.environ["XDG_DATA_HOME"] = str(tmp / "data")
KERNEL = vm.kernel_folder()
RAM = debian.initrd(tmp, GUEST, init=vm.ROOT / "tools/guest/init", modules="virtio_blk,virtio_net")


def fresh():
    """The disks as they are at the beginning."""
    for name in DISKS:
        (tmp / name).write_bytes(random.Random(name).randbytes(4 << 20))


def digests():
    return [hashlib.sha256((tmp / name).read_bytes()).hexdigest() for name in DISKS]


def start(forked=False):
    """@forked: what may be forked, which a disk of --device has to be read-only for."""
    fresh()
    args = ["--machine", "virt,aia=aplic-imsic", "-c", 2, "-m", "128M", "--rng", "off",
            "--net", "user", "--net", "user,sriov_pf=net0", "--disk", f"{tmp}/pf,serial=pf",
            "--disk", f"{tmp}/vf,serial=vf,sriov_pf=disk0"]
    for device in ("pci-upstream-port,id=switch,bus=port0", "pci-downstream-port,id=down,bus=switch",
                   "pci-bridge,id=outer,bus=down", "pci-bridge,id=inner,bus=outer",
                   f"virtio-blk-pci,bus=inner,addr=3,path={tmp}/deep,serial=deep" + ",ro" * forked, "virtio-net-pci,bus=outer"):
        args += ["--device", device]
    return vm.Shell("--name", "box", "--kernel", KERNEL / "Image", "--initrd", RAM, *args, before=". /test/main; ",
                    needs='P=$(by pf) V=$(by vf) D=$(by deep); [ -n "$V" ] && [ -n "$D" ] && [ -e /sys/class/net/eth2 ]')


def again(shell):
    """The virtual functions of both cards go and come back."""
    said = shell.run("again")
    assert said.count("came back") == 2, said
    vm.until(shell, '[ -n "$(by vf)" ] && [ -e /sys/class/net/eth1 ]')


def cards(guest):
    """All three reach their networks: the PF, its VF, the one behind the bridge."""
    for name in ("eth0", "eth1", "eth2"):
        assert f"{name} answers" in guest.run(f"up {name}"), (name, guest.text[-500:], guest.errors())


def done(guest):
    at = guest.expect(f"done: work {TURNS}\n", guest.at)
    said = facts(guest.text[guest.at:at])
    guest.at = at
    return said


with start() as guest:
    with tap.test("a guest works with virtual functions and behind bridges"):
        guest.send(f"work {TURNS}\n")
        expected = done(guest)
        assert len(expected) == 1, guest.text
        cards(guest)
expected_disks = digests()

snap = tmp / "work.vsnap"
with start() as guest:
    with tap.test("saved at work: the machine goes on as if nothing was"):
        guest.send(f"work {TURNS}\n")
        guest.expect("turn 9\n")
        vm.vireo("snapshot", "save", "box", "--to", snap)
        vm.vireo("snapshot", "save", "box", "--to", "mark")
        assert done(guest) == expected and digests() == expected_disks
        cards(guest)
    with tap.test("taken back: the same again"):
        vm.vireo("snapshot", "restore", "box", "mark")
        guest.expect("turn ", guest.at)
        assert done(guest)[-1:] == expected and digests() == expected_disks
        again(guest)
        cards(guest)
for engine in ("jit", "interp"):
    with tap.test(f"continued by {engine} in another process: the same sums"):
        with vm.Shell(snap, "--engine", engine, "--snapshot-disks", "revert", boot=False) as guest:
            guest.at = 0
            assert done(guest)[-1:] == expected, (guest.text, guest.errors())
            assert digests() == expected_disks
            again(guest)
            cards(guest)

with start(forked=True) as guest:
    with tap.test("a clone has virtual functions and bridges of its own"):
        guest.run("dd if=$P of=$V bs=64k 2>/dev/null; sync")
        told, = json.loads(vm.vireo("fork", "box", "--json", "--overlays", tmp).stdout)["clones"]
        clone = Console(told["name"])
        for name in ("eth0", "eth1", "eth2"):
            assert f"{name} answers" in clone.run(f"up {name}"), name
        clone.run("dd if=$D of=$V bs=64k 2>/dev/null; sync")
        again(clone)
        deep, pf = (clone.run(f"sha256sum <${x}").split()[0] for x in "DP")
        assert [clone.run("sha256sum <$V").split()[0], guest.run("sha256sum <$V").split()[0]] == [deep, pf]
        assert digests() == [pf, pf, deep]
        vm.vireo("stop", told["name"])

tap.finish()
