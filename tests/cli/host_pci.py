#!/usr/bin/env python3
"""vireo platform pci|gpu|iommu|sriov|vfio, on recorded machines (tests/platform/trees)."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import recorded
from command import ROOT, refused, vireo
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
DEVICES = "sys/bus/pci/devices"


base = pathlib.Path(folder.name)
q35 = recorded.replay("q35", base / "q35")


def said(*args):
    code, out, err = vireo("platform", *args, "--root", q35)
    assert code == 0 and err == "", f"exit code {code}: {err}"
    return out


def asked(view):
    answer = json.loads(said(view, "--json"))
    assert list(answer) == [view], list(answer)
    return answer[view]


with tap.test("a replayed machine, recorded again, is the same"):
    for name in recorded.names():
        tree = recorded.replay(name, base / "again" / name)
        again = subprocess.run([ROOT / "tools/record_sysfs.sh", tree], stdout=subprocess.PIPE, text=True, check=True)
        before = (recorded.TREES / f"{name}.txt").read_text()
        assert again.stdout.splitlines()[1:] == before.splitlines()[1:], name  # the first line names the kernel

with tap.test("every view is there, in JSON and in text"):
    devices = asked("pci")
    assert len(devices) == 15
    assert [d["address"] for d in devices] == sorted(os.listdir(q35 / DEVICES))
    assert [d["address"] for d in asked("gpu")] == ["0000:00:01.0"]
    assert [d["address"] for d in asked("sriov")] == ["0000:01:00.0", "0000:01:10.0", "0000:01:10.2"]
    iommu = asked("iommu")
    assert iommu["kind"] == "Intel VT-d"
    assert sorted(a for g in iommu["groups"] for a in g["devices"]) == [d["address"] for d in devices]
    for device in devices:
        assert device["address"] in said("pci")
        assert device["address"] in said("iommu")
    assert "2 of 7 virtual functions" in said("sriov")
    assert "virtual GPU, memory BAR of 16 MiB" in said("gpu")

with tap.test("every member is documented, and the other way round"):
    text = (ROOT / "docs/pci-json.md").read_text()
    table = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in text.splitlines()
                                               if row.startswith("| `"))))
    assert table == set(devices[0]), table ^ set(devices[0])
    for member in list(iommu) + list(iommu["groups"][0]):
        assert f"`{member}`" in text, member

with tap.test("a dry run shows each step and changes nothing"):
    before = {path: path.read_bytes() for path in q35.rglob("*") if path.is_file()}
    steps = said("sriov", "set", "1:0", "4", "--dry-run").splitlines()
    assert [s.split(" (")[0] for s in steps if s.startswith("write")] == [
        f"write '{n}' to /{DEVICES}/0000:01:00.0/sriov_numvfs" for n in (0, 4)], steps
    steps = said("vfio", "bind", "01:10.0", "--dry-run").splitlines()
    assert [s.split(" (")[0] for s in steps if s.startswith("write")] == [
        f"write 'vfio-pci' to /{DEVICES}/0000:01:10.0/driver_override",
        f"write '0000:01:10.0' to /{DEVICES}/0000:01:10.0/driver/unbind",
        "write '0000:01:10.0' to /sys/bus/pci/drivers_probe"], steps
    assert before == {path: path.read_bytes() for path in q35.rglob("*") if path.is_file()}

with tap.test("virtual functions are deleted and made"):
    said("sriov", "delete", "1:0")
    numvfs = q35 / DEVICES / "0000:01:00.0/sriov_numvfs"
    assert numvfs.read_text() == "0\n"
    assert said("sriov", "delete", "1:0") == "nothing to do\n"
    assert said("sriov", "create", "0000:01:00.0", "3", "--quiet") == ""
    assert numvfs.read_text() == "3\n"
    refused(5, "platform", "sriov", "create", "1:0", "3", "--root", q35, says="has 3 virtual functions")

with tap.test("functions are shown one by one"):
    shown = json.loads(said("sriov", "show", "1:0", "--json"))["vfs"]
    assert [v["address"] for v in shown] == ["0000:01:10.0", "0000:01:10.2"], shown
    assert all(v["owner"] == "host" and v["driver"] == "igbvf" and v["settings"] == {} for v in shown), shown
    assert asked("sriov")[0]["sriov"]["vfs"] == shown
    assert "function 1" in said("sriov", "show", "1:10.2") and "function 0" not in said("sriov", "show", "1:10.2")

with tap.test("mediated devices"):
    assert asked("mdev") == {"types": [], "devices": []}
    assert "no driver" in said("mdev")
    mtty = q35 / "sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1"
    (mtty / "devices").mkdir(parents=True)
    uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
    for name, text in (("available_instances", "2"), ("name", "Single port serial"), ("device_api", "vfio-pci"),
                       ("create", "")):
        (mtty / name).write_text(text)
    assert asked("mdev")["types"] == [{"parent": "mtty", "type": "mtty-1", "name": "Single port serial",
                                       "description": None, "api": "vfio-pci", "available": 2}]
    assert "mtty-1 of mtty, Single port serial: 2 available" in said("mdev")
    assert f"write '{uuid}' to" in said("mdev", "create", "mtty", "mtty-1", uuid, "--dry-run")
    assert (mtty / "create").read_text() == ""
    refused(5, "platform", "mdev", "create", "mtty", "mtty-1", "--root", q35, says="made no device")
    refused(5, "platform", "mdev", "destroy", uuid, "--root", q35, says="no such mediated device")
    refused(2, "platform", "mdev", "destroy", "--root", q35, says="destroy UUID")
    refused(2, "platform", "mdev", "--group", "--root", q35, says="--json is for the list")

with tap.test("what a kernel does not do is said, and undone"):
    # Files are no kernel: the driver stays.
    code, out, err = vireo("platform", "vfio", "bind", "1:10.0", "--root", q35)
    assert code == 5 and "undone" in err and "igbvf" in err, err
    assert (q35 / DEVICES / "0000:01:10.0/driver_override").read_text() == "\n"

with tap.test("what makes no sense is refused"):
    refused(2, "platform", "sriov", "make", "1:0", says="create ADDRESS COUNT")
    refused(2, "platform", "sriov", "create", "1:0", says="create ADDRESS COUNT")
    refused(2, "platform", "vfio", says="bind ADDRESS")
    refused(2, "platform", "vfio", "test", "1:0", "--dry-run", "--root", q35, says="no --dry-run")
    refused(2, "platform", "sriov", "set", "1:10.0", "vlan=7", "--root", q35, says="not in files")
    refused(2, "platform", "sriov", "set", "1:10.0", "vlan=7", "vlan=8", "--root", q35, says="twice")
    refused(2, "platform", "sriov", "set", "1:10.0", "colour=red", "--root", q35, says="no setting")
    refused(2, "platform", "sriov", "create", "1:0", "2", "--force", "--root", q35, says="no --force")
    refused(2, "platform", "sriov", "show", "81:0", "--root", q35, says="no physical function")
    refused(2, "platform", "vfio", "bind", "1:0", "--way", "group", "--root", q35, says="--way")
    refused(2, "platform", "vfio", "hold", "1:0", "--dry-run", "--root", q35, says="no --dry-run")
    refused(2, "platform", "vfio", "hold", "1:0", "--way", "ouija", "--root", q35, says="auto, group or iommufd")
    refused(2, "platform", "vfio", "test", "1:0", "--way", "ouija", "--root", q35, says="auto, group or iommufd")
    refused(5, "platform", "vfio", "test", "1:0", "--root", q35, says="/dev/vfio/vfio is not there")
    refused(2, "platform", "gpu", "1:0", says="nothing may follow")
    refused(2, "platform", "cpu", "1", says="sriov")
    refused(2, "platform", "pci", "--dry-run", "--root", q35, says="--dry-run")
    refused(2, "platform", "vfio", "bind", "1:0", "--json", "--root", q35, says="no --json")
    refused(5, "platform", "cpu", "--root", "/nonexistent", says="/nonexistent")
    refused(2, "platform", "caps", "--root", q35, says="leave --root out")
    refused(2, "platform", "vfio", "bind", "hello", "--root", q35, says="'hello'")
    refused(2, "platform", "vfio", "bind", "0:20", "--root", q35, says="00 to 1f")
    refused(2, "platform", "sriov", "set", "1:0", "many", "--root", q35, says="'many'")
    refused(2, "platform", "sriov", "set", "1:0", "8", "--root", q35, says="7 virtual functions, not 8")
    refused(5, "platform", "vfio", "bind", "9:0", "--root", q35, says="no such PCI device")
    refused(5, "platform", "pci", "--root", folder.name, says="no PCI")
    refused(5, "platform", "pci", "--root", "/nonexistent", says="/nonexistent")

with tap.test("a device that cannot be read is told, the others are shown"):
    (q35 / DEVICES / "0000:81:00.0/class").write_bytes(b"\0\1\2")
    code, out, err = vireo("platform", "pci", "--root", q35)
    assert code == 0 and "0000:81:00.0" not in out and "0000:01:00.0" in out
    assert "0000:81:00.0: left out" in err and "'class'" in err, err

with tap.test("a machine without IOMMU says what to do"):
    cloud = recorded.replay("firecracker", base / "cloud")
    code, out, err = vireo("platform", "pci", "--root", cloud)
    assert code == 0 and "no IOMMU" in out and "intel_iommu=on" in out, out + err

folder.cleanup()
tap.finish()
