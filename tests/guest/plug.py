"""Devices that come and go in a guest that runs tests/guest/plug.sh: for hotplug.py and tests/stress/hotplug.py."""

import hashlib
import os
import pathlib
import re

import vm
from qmp import Qmp, pci_functions, pci_place

MIB = 1 << 20


UNITS = {"lun"}  # what comes and goes at a SCSI controller that stays
# A switch with a slot, which must be behind one of port0 to port7 (docs/pci.md), and that controller.
STAYS = [word for device in ("pci-upstream-port,id=switch,bus=port0", "pci-downstream-port,id=down,bus=switch",
                             "virtio-scsi-pci,id=ctrl") for word in ("--device", device)]


class Plugged:
    """A machine whose guest uses what is plugged in. @kernel: its Image; @modules: of the initramfs; @native: the guest
    drives slots by itself (pciehp), else it is told to look and to let go."""

    def __init__(self, tmp, kernel, modules, native, *args, deadline_s=300, append="", machine="virt,slots=10"):
        self.tmp, self.native = pathlib.Path(tmp), native
        (self.tmp / "share").mkdir()
        for name in ("blk.img", "scsi.img", "lun.img", "cold.img"):
            (self.tmp / name).write_bytes(bytes(8 * MIB))
        sock = self.tmp / "control"
        initrd = vm.initramfs(vm.kernel_folder(), "-o", str(self.tmp / "initramfs"), "-m", modules, "-f",
                              f"{pathlib.Path(__file__).parent / 'plug.sh'}:/bin/plug")
        self.vm = vm.Vm("-q", "--kernel", kernel, "--initrd", initrd, "--net", "none", "--rng", "off", "--control",
                        f"unix:{sock}", "--machine", machine, "--disk", f"{self.tmp / 'cold.img'},serial=cold", *STAYS,
                        *args,
                        "-a", f"quiet {append} {vm.run_arg('exec sh /bin/plug')}", deadline_s=deadline_s, until="=ready")
        self.at = self.vm.at
        try:
            self.qmp = Qmp(sock)
        except BaseException:
            self.vm.__exit__()
            raise
        self.adds = {
            "blk": [f"virtio-blk-pci,path={self.tmp / 'blk.img'},id=blk,serial=hot"],
            "scsi": ["virtio-scsi-pci,id=scsi", f"scsi-hd,bus=scsi,path={self.tmp / 'scsi.img'},id=unit,serial=hot"],
            "lun": [f"scsi-hd,bus=ctrl,path={self.tmp / 'lun.img'},id=lun,serial=alone"],
            "net": ["virtio-net-pci,id=net"],
            "console": [f"virtio-console-pci,path=file:{self.tmp / 'console'},ports=hot,id=console"],
            "rng": ["virtio-rng-pci,id=rng,bus=down"],
            "balloon": ["virtio-balloon-pci,id=balloon"],
            "fs": [f"virtio-fs-pci,path={self.tmp / 'share'},tag=hot,id=fs"],
            "input": ["virtio-input-pci,id=input"],
            "watchdog": ["i6300esb,id=watchdog"],
        }

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.qmp.close()
        self.vm.__exit__(*exc)

    def tell(self, line):
        """Have the guest do it; what it said."""
        self.vm.send(line + "\n")
        begin, self.at = self.at, self.vm.expect(f"=done {line}\n", self.at)
        said = self.vm.text[begin:self.at]
        assert "=bad" not in said, said
        return said

    def fill(self, number):
        """New contents for what the guest reads; returns their digests by class."""
        digests = {}
        for name, file in (("blk", "blk.img"), ("scsi", "scsi.img"), ("lun", "lun.img"), ("fs", "share/in")):
            data = hashlib.shake_128(f"{name} {number}".encode()).digest(MIB)
            digests[name] = hashlib.md5(data).hexdigest()
            with open(self.tmp / file, "r+b" if name != "fs" else "wb") as f:
                f.write(data)
        return digests

    def round(self, number, classes, load=True):
        """All of @classes come, are used, and go while they are busy; both sides are looked at."""
        digests = self.fill(number)
        before = {d["id"] for d in self.qmp.ask("x-vireo-devices")}
        for name in classes:
            for text in self.adds[name]:
                self.qmp.ask("x-vireo-device-add", device=text)
        if not self.native:
            self.tell("rescan")
        said = dict(re.findall(r"=ok (\w+) (.*)", self.tell(f"use {number} {' '.join(classes)}")))
        assert set(said) == set(classes), said
        for name in digests:
            assert name not in classes or said[name] == digests[name], (name, said, digests)
        self.check_used(number, classes)
        if load:
            self.tell("load " + " ".join(classes))
        self.remove(classes)
        self.tell("gone")
        after = {d["id"] for d in self.qmp.ask("x-vireo-devices")}
        assert after == before, after ^ before
        for name in ("blk", "scsi", "lun"):
            data = (self.tmp / f"{name}.img").read_bytes()
            assert name not in classes or data[MIB:2 * MIB] == data[:MIB], f"{name}: what was written is lost"
        assert "console" not in classes or (self.tmp / "console").read_text().endswith(f"round {number}\n")
        assert "fs" not in classes or (self.tmp / "share/in").read_bytes() == (self.tmp / "share/out").read_bytes()

    def check_used(self, number, classes):
        rows = {d["id"]: d for d in self.qmp.ask("x-vireo-devices")}
        pci = {d["qdev_id"] for d in pci_functions(self.qmp)}
        for name in classes:
            # A watchdog's driver has no use for bus mastering, by which drivers are known; a unit has none.
            state = "attached" if name in {"watchdog"} | UNITS else "in-use"
            assert rows[name]["state"] == state and rows[name]["removable"], rows[name]
            assert (name in pci) == (name not in UNITS), (name, pci)

    def remove(self, classes):
        """Ask the guest for each, all at once, and hear that they have gone."""
        self.qmp.events.clear()
        if not self.native:
            places = {d["qdev_id"]: pci_place(d) for d in pci_functions(self.qmp)}
            self.tell("drop " + " ".join(places[name] for name in classes if name not in UNITS))
        for name in classes:
            self.qmp.ask("device_del", **{"id": name, "x-vireo-force": not self.native})
        left = set(classes)
        while left:
            event = self.qmp.wait_event("DEVICE_DELETED")
            left.discard(event["data"]["device"])

    def usage(self):
        """What the process holds of the host: descriptors, threads, KiB of private memory."""
        pid = self.vm.process.pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")),
                "kib": int(re.search(r"RssAnon:\s+(\d+)", status)[1])}

    def end(self):
        """The guest powers off; what its kernel complained of, and how much the disk that stayed was written."""
        self.vm.send("end\n")
        at = self.vm.expect("=end", self.at)
        said = self.vm.text[self.at:at]
        code = self.vm.wait()
        assert code == 0, (code, self.vm.errors())
        assert "=bad" not in said, said
        writes = re.search(r"=cold (\d+) writes", said)
        return re.findall(r"=dmesg (.*)", said), int(writes[1])
