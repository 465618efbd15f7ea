#!/usr/bin/env python3
"""The platform layer, built for arm64 and riscv64, on such hosts (tests/lab/host.py). Part of
`make lab`; builds what it needs, in the same folders as `make test`."""

import collections
import subprocess
import sys

from host import ROOT, Host
from tap import Tap

tap = Tap()
BOARDS = {
    # name: processors as (package, core, node), memory nodes, IOMMU, drivers of VFIO, what the processor is
    "arm64": ([(0, i, 0) for i in range(4)], [(400, 512)], "Arm SMMUv3", True, ("aarch64", "EL2")),
    "riscv64": ([(0, i, i // 2) for i in range(4)], [(190, 256), (190, 256)], "none", False, ("riscv64", "H")),
}


def build(name, arch):
    """The programs for the host, as "SRC:DST"."""
    folder = ROOT / f"build-{name}"
    steps = [["ninja", "-C", folder, "tests/lab/lab_facts", "tests/lab/lab_device"]]
    if not (folder / "build.ninja").exists():
        steps.insert(0, ["meson", "setup", folder, "--cross-file", f"tools/cross/{arch}-linux.ini", "-Dparts=platform",
                         "--buildtype=release"])
    for step in steps:
        done = subprocess.run(step, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\nboards: {step[0]} failed")
    return [f"{folder}/tests/lab/lab_{what}:bin/{what}" for what in ("facts", "device")]


def facts(host):
    found = collections.defaultdict(list)
    for line in host.run("facts").splitlines():
        key, *words = line.split(" ")
        found[key].append(words)
    return found


for name, (cpus, nodes, iommu, has_vfio, (arch, virt)) in BOARDS.items():
    with Host(name, program=None, files=build(name, arch)) as host:
        print(f"# {name}: there after {host.boot_s:.1f} s", flush=True)
        said = facts(host)

        with tap.test(f"{name}: processors and memory are those that the emulator was told to make"):
            assert said["arch"] == [[arch]], said["arch"]
            assert [tuple(map(int, c)) for c in said["cpu"]] == [(i, *c) for i, c in enumerate(cpus)], said["cpu"]
            for (number, size), (least, most) in zip(said["node"], nodes, strict=True):
                assert least < int(size) < most, (number, size)

        with tap.test(f"{name}: each PCI device is told as the emulator plugged it in"):
            theirs = host.plugged()
            mine = {words[0]: words[1:] for words in said["pci"]}
            assert set(mine) == set(theirs) and len(mine) > 5, set(mine) ^ set(theirs)
            for where, device in theirs.items():
                numbers = [device["id"]["vendor"], device["id"]["device"], device["class_info"]["class"]]
                assert [int(text, 16) for text in mine[where][:3]] == numbers, (where, mine[where], device)
                groups = host.run(f"readlink /sys/bus/pci/devices/{where}/iommu_group || true").strip()
                assert mine[where][3] == (groups.rpartition("/")[2] or "-1"), (where, mine[where], groups)
            assert " ".join(said["iommu"][0]) == iommu, said["iommu"]
            assert mine["0000:01:00.0"][4] == "igb" and mine["0000:02:00.0"][4] == "nvme", mine

        with tap.test(f"{name}: KVM, io_uring and made code are judged by what they do"):
            assert said["io_uring"][0][:2] == ["1", "1"], said["io_uring"]
            assert said["jit"][0][:2] == ["1", "1"], said["jit"]
            if name == "riscv64":
                assert said["kvm"][0][:2] == ["0", "0"] and said["virt"] == [[virt, "0"]], (said["kvm"], said["virt"])
                host.run("modprobe kvm")
                said = facts(host)
            assert said["kvm"][0][:2] == ["1", "1"] and "ran to its end" in " ".join(said["kvm"][0]), said["kvm"]
            assert said["virt"][0][0] == virt and said["virt"][0][-1] == "1", said["virt"]

        if has_vfio:
            with tap.test(f"{name}: a disk is opened by VFIO and given back"):
                disk = "0000:02:00.0"
                host.run(f"modprobe -a vfio-pci vfio_iommu_type1; cd /sys/bus/pci; echo vfio-pci >devices/{disk}/driver_override;"
                         f"echo {disk} >drivers/nvme/unbind; echo {disk} >drivers_probe")
                host.start(f"device hold {disk} group", "/tmp/held", ".")
                assert host.run("cat /tmp/held") == "held\n", host.run("cat /tmp/held")
                host.run(f"echo {disk} >/sys/bus/pci/drivers/vfio-pci/unbind; until grep -q closed /tmp/held; do usleep 5000; done")
                assert host.run("cat /tmp/held") == "held\nthe host wants it back\nclosed\n"

tap.finish()
