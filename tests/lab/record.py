#!/usr/bin/env python3
"""Records lab hosts with tools/record_sysfs.sh into tests/platform/trees, for replay tests: record.py [NAME...]"""

import pathlib
import subprocess
import sys
import tempfile

from host import ROOT, Host, fetched

TREES = ROOT / "tests/platform/trees"
# Virtual functions of both kinds, a device that came later, one that VFIO has.
BUSY = """set -e
echo 2 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs
echo 1 >/sys/bus/pci/devices/0000:03:00.0/sriov_numvfs
modprobe vfio-pci
device=/sys/bus/pci/devices/0000:02:00.0
echo vfio-pci >$device/driver_override
echo 0000:02:00.0 >$device/driver/unbind
echo 0000:02:00.0 >/sys/bus/pci/drivers_probe
echo 3 >/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
echo 0 >/sys/devices/system/cpu/cpu3/online
timeout 60 sh -c 'until [ -e /sys/bus/pci/devices/0000:04:00.0/driver ]; do usleep 5000; done'
mkdir -p /sys/fs/cgroup/outer; echo '+cpu +memory' >/sys/fs/cgroup/cgroup.subtree_control
echo '250000 100000' >/sys/fs/cgroup/outer/cpu.max; echo 96M >/sys/fs/cgroup/outer/memory.max
echo $$ >/sys/fs/cgroup/outer/cgroup.procs
record_sysfs"""


def big_little(folder):
    """QEMU's own device tree for the arm64 board, in which two processors are slower than the others."""
    blob = pathlib.Path(folder) / "board.dtb"
    from host import KINDS
    kind = KINDS["arm64"]
    args = [arg if not arg.startswith("virt,") else f"{arg},dumpdtb={blob}" for arg in kind.cpu_args]
    subprocess.run([str(fetched("qemu10", kind.cpu)), *args, "-display", "none", "-net", "none"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for cpu, capacity in enumerate((1024, 1024, 446, 446)):
        subprocess.run(["fdtput", "-t", "i", str(blob), f"/cpus/cpu@{cpu}", "capacity-dmips-mhz", str(capacity)], check=True)
    return ["-dtb", str(blob)]


def record(name, kind, script="record_sysfs", extra=(), hot=False):
    with Host(kind, program=None, extra=extra) as host:
        if hot:
            host.monitor("device_add", driver="nvme", id="new", bus="hot", serial="new", drive="spare")
        (TREES / f"{name}.txt").write_text(host.run(script))
    print(f"{name}: {(TREES / f'{name}.txt').stat().st_size} bytes", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        todo = {
            "pc": lambda: record("pc", "q35"),
            "pc-busy": lambda: record("pc-busy", "q35", BUSY, hot=True),
            "numa": lambda: record("numa", "numa"),
            "arm64": lambda: record("arm64", "arm64", extra=big_little(folder)),
            "riscv64": lambda: record("riscv64", "riscv64"),
        }
        for name in sys.argv[1:] or todo:
            todo[name]()


if __name__ == "__main__":
    main()
