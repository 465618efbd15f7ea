#!/usr/bin/env python3
"""Our QMP next to QEMU's, by the schemas that both tell, and by what a machine answers. Where they differ is a row of
docs/control.md, with the reason: one that is not there fails, and so does a row that nothing needs."""

import fnmatch
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import bare
from command import LONG_S, ROOT
from machine import Machine
from qmp import Qmp, Refused, socket_path
from qmp_schema_diff import Compare, Schema, misfit
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
QEMU = shutil.which("qemu-system-riscv64")
IDLE = bare.idle_program().write(tmp / "idle.elf")
for name in ("disk", "more", "cd"):
    (tmp / f"{name}.img").write_bytes(bytes(1 << 20))


def qemu_schema():
    if not QEMU:
        raise Skip("no qemu-system-riscv64 here (Debian: qemu-system-misc)")
    version = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().split()[3]
    if not version.startswith("7.2."):
        raise Skip(f"this is QEMU {version}: the table is about 7.2")
    ask = "".join(json.dumps({"execute": c}) + "\n" for c in ("qmp_capabilities", "query-qmp-schema", "quit"))
    done = subprocess.run([QEMU, "-M", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"], input=ask.encode(),
                          stdout=subprocess.PIPE, timeout=LONG_S, check=True)
    for line in done.stdout.splitlines():
        answer = json.loads(line).get("return")
        if isinstance(answer, list):
            return Schema(answer)
    raise AssertionError(done.stdout[:1000])


def excused():
    """The patterns of the table in docs/control.md."""
    text = (ROOT / "docs/control.md").read_text().partition("## Where it differs from QEMU's")[2].partition("\n## ")[0]
    rows = []
    for line in text.splitlines():
        if line.startswith("| `"):
            rows += re.findall(r"`([^`]+)`", line.split(" | ")[0])
    return rows


with Machine("--name", "box", "--disk", tmp / "disk.img", "--cdrom", tmp / "cd.img", "--balloon", "on", "--io-threads", "2",
             "--machine", "virt,slots=2", "-c", "2", IDLE) as m, Qmp(socket_path("box")) as qmp:
    with tap.test("commands, their arguments and answers, and events are QEMU's, but for what docs/control.md names"):
        found = Compare(qemu_schema(), Schema(qmp.ask("query-qmp-schema"))).found
        rows = excused()
        assert len(rows) >= 5, rows
        wrong = [f for f in sorted(found) if not any(fnmatch.fnmatchcase(f, row) for row in rows)]
        assert not wrong, "\n".join(wrong)
        idle = [row for row in rows if not fnmatch.filter(found, row)]
        assert not idle, f"nothing needs these rows: {idle}"

    with tap.test("what a machine answers is what QEMU's schema says"):
        theirs = qemu_schema()
        ours = Schema(qmp.ask("query-qmp-schema"))
        qmp.ask_raw("blockdev-add", {"driver": "raw", "node-name": "more", "read-only": False, "discard": "unmap",
                                     "cache": {"direct": False, "no-flush": False},
                                     "file": {"driver": "file", "filename": str(tmp / "more.img"), "aio": "threads",
                                              "auto-read-only": True, "locking": "auto"}})
        qmp.ask("device_add", driver="virtio-blk-pci", id="late", drive="more")
        asked = 0
        for name, command in ours.named("command").items():
            if name in theirs.entry and name.startswith("query-") and name != "query-qmp-schema":
                answer = qmp.ask(name)
                no = misfit(theirs, theirs.entry[name]["ret-type"], answer)
                assert no is None or no.endswith(".acpi is unknown"), f"{name}: {no}: {answer}"
                asked += 1
        assert asked > 20, asked
        for name, members in (("query-blockstats", {"query-nodes": True}), ("query-named-block-nodes", {"flat": True})):
            no = misfit(theirs, theirs.entry[name]["ret-type"], qmp.ask_raw(name, members))
            assert no is None, no

    with tap.test("images are nodes, with disks, drives and without; a disk's limits are found by any of them"):
        nodes = {n["node-name"]: n for n in qmp.ask("query-named-block-nodes")}
        assert set(nodes) == {"#disk0", "#scsi0.0", "more"}, nodes
        disks = {d["device"]: d for d in qmp.ask("query-block")}
        assert set(disks) == {"disk0", "scsi0.0", "late"} and disks["scsi0.0"]["removable"], disks
        assert not disks["disk0"]["removable"] and disks["late"]["inserted"]["node-name"] == "more", disks
        qmp.ask_raw("block_set_io_throttle", {"id": "scsi0.0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 9, "iops_rd": 0,
                                              "iops_wr": 0, "iops_max_length": 1})
        assert {d["device"]: d["inserted"]["iops"] for d in qmp.ask("query-block")} == {"disk0": 0, "scsi0.0": 9, "late": 0}
        qmp.ask_raw("device_del", {"id": "late", "x-vireo-force": True})
        assert [d["device"] for d in qmp.ask("query-block")] == ["disk0", "scsi0.0"]
        assert "more" in {n["node-name"] for n in qmp.ask("query-named-block-nodes")}
        stats = qmp.ask_raw("query-blockstats", {"query-nodes": True})
        assert [s["node-name"] for s in stats] == ["#disk0", "more", "#scsi0.0"], stats
        qmp.ask_raw("blockdev-del", {"node-name": "more"})

    with tap.test("I/O threads are those of the process; a pty tells where it is"):
        threads = qmp.ask("query-iothreads")
        tids = {int(t.name) for t in pathlib.Path(f"/proc/{m.process.pid}/task").iterdir()}
        assert [t["id"] for t in threads] == ["iothread0", "iothread1"] and {t["thread-id"] for t in threads} <= tids
        pty = qmp.ask("chardev-add", id="c", backend={"type": "pty", "data": {}})["pty"]
        assert pathlib.Path(pty).is_char_device(), pty
        qmp.ask("chardev-remove", id="c")

    with tap.test("what QEMU takes and is not here is refused with the reason, not passed over"):
        limits = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        file = {"driver": "file", "filename": str(tmp / "more.img")}
        for command, args, says in (
            ("blockdev-add", file, "'node-name' must be specified for the root node"),
            ("blockdev-add", file | {"driver": "qcow2", "node-name": "n"}, "there are: raw|file|host_device"),
            ("blockdev-add", file | {"node-name": "n", "cache": {"direct": True}}, "the host's cache is used"),
            ("blockdev-add", file | {"node-name": "n", "locking": "off"}, "images are locked"),
            ("blockdev-add", file | {"node-name": "n", "offset": 512}, "'offset' is unexpected"),
            ("blockdev-add", {"driver": "raw", "node-name": "n", "file": file | {"aio": "native"}}, "threads read and write"),
            ("block_set_io_throttle", limits | {"id": "disk0", "iops_max_length": 5}, "'iops_max_length' is not here"),
            ("migrate", {"uri": f"unix:{tmp}/none", "blk": True}, "disks are not copied"),
            ("migrate", {"uri": f"unix:{tmp}/none", "resume": True}, "begins anew"),
            ("netdev_add", {"type": "tap", "id": "n"}, "there are: user|stream"),
            ("netdev_add", {"type": "user", "id": "n", "server": True}, "'server' is unexpected"),
            ("netdev_add", {"type": "user", "id": "n", "smb": "/"}, "'smb' is unexpected"),
            ("chardev-add", {"id": "c", "backend": {"type": "udp", "data": {}}}, "there are: null, pty, file, socket"),
            ("chardev-add", {"id": "c", "backend": {"type": "socket", "data": {
                "server": False, "addr": {"type": "unix", "data": {"path": f"{tmp}/s"}}}}}, "where we listen"),
        ):
            try:
                qmp.ask_raw(command, args)
            except Refused as no:
                assert says in no.desc, (command, args, no)
            else:
                raise AssertionError((command, args))
        assert qmp.ask("query-status")["running"]

tap.finish()
