#!/usr/bin/env python3
"""Devices that come and go, with Debian's stock kernel. It has no driver for slots (pciehp), so the guest looks for new
devices when it is told to, and takes them out of the kernel before they go by force; `make hotplug` has a kernel that
does both by itself. i6300esb is not here: this kernel has no driver for it."""

import os
import tempfile

import vm
from plug import Plugged
from qmp import pci_functions, pci_place
from tap import Tap

CLASSES = "blk scsi lun net console rng balloon fs input".split()
MODULES = "virtio_blk,virtio_scsi,sd_mod,virtio_net,virtio_rng,virtio_balloon,virtio_input"
ROUNDS = 3


def device(sock, verb, *words):
    done = vm.vireo("device", verb, sock, *words, code=None)
    return done.returncode, done.stdout, done.stderr


tap = Tap()
with tempfile.TemporaryDirectory() as tmp:
    with Plugged(tmp, vm.kernel_folder() / "Image", MODULES, False) as machine:
        usage = []
        for n in range(ROUNDS):
            with tap.test(f"round {n + 1}: every class comes, is used, and goes"):
                machine.round(n, CLASSES, load=n > 0)
                usage.append(machine.usage())
        with tap.test("no descriptors and no threads are left behind"):
            assert usage[-1]["fds"] == usage[0]["fds"], usage
            # The disk that stays starts threads as it needs them.
            assert usage[-1]["threads"] <= usage[0]["threads"] + 2, usage
        with tap.test("vireo device add, list and del"):
            sock = f"{tmp}/control"
            code, out, err = device(sock, "add", f"virtio-blk-pci,path={os.path.relpath(tmp)}/blk.img,id=blk,serial=hot")
            assert (code, err) == (0, "") and out.startswith("blk: virtio-blk-pci, at port"), (code, out, err)
            machine.tell("rescan")
            assert "=ok blk " in machine.tell("use 9 blk")
            code, out, err = device(sock, "list")
            row, = [line for line in out.splitlines() if line.startswith("blk ")]
            *_, path = row.split()
            assert code == 0 and row.split()[1:3] == ["virtio-blk-pci", "port1"], out
            assert os.path.isabs(path) and os.path.samefile(path, f"{tmp}/blk.img"), out
            code, out, err = device(sock, "del", "blk", "--timeout", "1")
            assert code != 0 and "has no driver for its slot" in err, (code, err)
            assert "leaving" in device(sock, "list")[1]
            blk, = [d for d in pci_functions(machine.qmp) if d["qdev_id"] == "blk"]
            machine.tell(f"drop {pci_place(blk)}")
            assert device(sock, "del", "--force", "blk") == (0, "", "")
            assert "\nblk " not in device(sock, "list")[1]
            code, out, err = device(sock, "del", "disk0")
            assert code != 0 and "not in a slot" in err, (code, err)
        with tap.test("the disk that stayed had no error, and the kernel no complaint"):
            complaints, writes = machine.end()
            assert writes > 0 and not complaints, (writes, complaints)
tap.finish()
