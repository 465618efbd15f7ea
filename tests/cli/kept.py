#!/usr/bin/env python3
"""What goes along with a machine's state besides the guest's own: to snapshots, to clones, to another process."""

import os
import pathlib
import select
import tempfile
import time

import bare
from command import LONG_S, refused, vireo
from machine import Machine
from qmp import Qmp, socket_path
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
IDLE = bare.idle_program().write(tmp / "idle.elf")
NO_LIMITS = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
for disk in ("a", "b", "c"):
    (tmp / f"{disk}.img").write_bytes(bytes(1 << 20))


def good(*args, **kw):
    code, out, err = vireo(*args, **kw)
    assert code == 0, (args, code, err)
    return out


def limits(qmp):
    """{disk: {limit: what it is, if not 0}}"""
    return {d["device"]: {k: d["inserted"][k] for k in NO_LIMITS if d["inserted"][k]} for d in qmp.ask("query-block")}


def links(qmp):
    return {s["id"]: s["value"] for s in qmp.ask("x-vireo-stats", group="device") if s["name"] == "link_up"}


SET = {"disk0": {"iops": 70}, "disk1": {}, "scsi0.0": {"bps_rd": 1 << 20, "iops_wr": 5}, "late": {"bps": 4096}}
NONE = dict.fromkeys(SET, {})

with tap.test("limits of disks and cables of cards are in snapshots, clones and migrations"):
    with Machine("--name", "box", "--disk", tmp / "a.img", "--disk", f"{tmp}/b.img,ro", "--disk", f"{tmp}/c.img,bus=scsi,ro",
                 "--device", f"virtio-blk-pci,id=late,path={tmp}/b.img,ro", "--net", "user", "--net", "user", IDLE) as m, \
            Qmp(socket_path("box")) as qmp:
        assert limits(qmp) == NONE and links(qmp) == {"net0": 1, "net1": 1}, (limits(qmp), links(qmp))
        good("snapshot", "save", "box", "--to", tmp / "plain.vsnap")
        good("set", "box", "disk0.iops=70", "net1.link=down", "scsi0.0.bps_rd=1M", "scsi0.0.iops_wr=5", "late.bps=4096")
        assert limits(qmp) == SET and links(qmp) == {"net0": 1, "net1": 0}
        good("snapshot", "save", "box", "--to", tmp / "set.vsnap")
        # The same machine, taken back and forth.
        good("snapshot", "restore", "box", tmp / "plain.vsnap")
        assert limits(qmp) == NONE and links(qmp) == {"net0": 1, "net1": 1}
        good("snapshot", "restore", "box", tmp / "set.vsnap")
        assert limits(qmp) == SET and links(qmp) == {"net0": 1, "net1": 0}
        good("pause", "box")
        # To another process.
        with Machine("--name", "there", "--incoming", f"unix:{tmp}/to.sock", says=None, run=("run",)) as there:
            there.process.stderr.readline()
            good("migrate", "box", f"unix:{tmp}/to.sock")
            with Qmp(socket_path("there")) as other:
                assert limits(other) == SET and links(other) == {"net0": 1, "net1": 0}
    for name, what, up in (("set", SET, 0), ("plain", NONE, 1)):
        with Machine("--name", name, "--snapshot", tmp / f"{name}.vsnap", says=None, run=("run", "-q")), \
                Qmp(socket_path(name)) as qmp:
            qmp.wait_state("running")
            assert limits(qmp) == what and links(qmp) == {"net0": 1, "net1": up}, (name, limits(qmp), links(qmp))

with tap.test("a deterministic machine has no limits: it says so when a snapshot has some, and goes on"):
    with Machine("--name", "det", "--snapshot", tmp / "set.vsnap", "--deterministic", says=None, run=("run",)) as m, \
            Qmp(socket_path("det")) as qmp:
        qmp.wait_state("running")
        assert limits(qmp) == NONE and links(qmp) == {"net0": 1, "net1": 0}
        qmp.ask("stop")
        hashed = qmp.ask("x-vireo-hash")
        good("set", "det", "net0.link=down")  # nothing of the guest's yet: it hears of it in the next beat
        assert qmp.ask("x-vireo-hash") == hashed and links(qmp)["net0"] == 1
        qmp.ask("cont")
        while links(qmp)["net0"]:
            os.sched_yield()
        qmp.ask("quit")
        assert m.process.wait(LONG_S) == 0 and b"a deterministic machine has none" in m.process.stderr.read()

with tap.test("what was typed to a deterministic machine, and found no room yet, is in its snapshot"):
    def read_all(machine, want):
        data, deadline = b"", time.monotonic() + LONG_S
        while len(data) < want:
            assert select.select([machine.process.stdout], [], [], deadline - time.monotonic())[0], data
            more = os.read(machine.process.stdout.fileno(), 4096)
            assert more, data
            data += more
        return data

    typed = bytes(range(ord("A"), ord("Z") + 1)) * 3
    slow = bare.writer_program(1, 300000).write(tmp / "slow.elf")  # looks for a byte in 256 pages times so many turns
    with Machine("--name", "slow", "--deterministic", slow, says=b"ready\n") as m:
        m.type(typed)
        first = read_all(m, 2)
        good("pause", "slow")
        good("snapshot", "save", "slow", "--to", tmp / "held.vsnap")
        before = first + (os.read(m.process.stdout.fileno(), 4096) if select.select([m.process.stdout], [], [], 0)[0] else b"")
    assert typed.startswith(before) and len(before) < len(typed), before
    lives = []
    for _ in range(2):
        with Machine("--name", "on", "--snapshot", tmp / "held.vsnap", says=None, run=("run", "-q")) as m:
            lives.append(read_all(m, len(typed) - len(before)))
    assert before + lives[0] == typed and lives[0] == lives[1], (before, lives)

with tap.test("files that were named from one folder are found from another; one that has moved is named, with what to do"):
    here, there = tmp / "here", tmp / "there"
    for where in (here, there, here / "share"):
        where.mkdir()
    for file in ("d1", "d2", "d3", "d4", "d5", "late"):
        (here / f"{file}.img").write_bytes(bytes(1 << 20))
    bare.idle_program().write(here / "idle.elf")
    with Machine("--name", "moves", "--disk", "d1.img", "--disk", "path=d2.img,ro", "--cdrom", "d3.img", "--share", "share",
                 "--device", "virtio-blk-pci,path=d4.img,id=x", "--device", "virtio-scsi-pci,id=sc",
                 "--device", "scsi-hd,bus=sc,id=y,path=d5.img,ro", "--device", "virtio-fs-pci,path=share,id=fs",
                 "--virtio-console", "file:out", "--device", "virtio-console-pci,path=file:out2",
                 "--machine", "virt,slots=1", "idle.elf", cwd=here):
        good("device", "add", "moves", "virtio-blk-pci,id=late,path=late.img", cwd=here)
        good("snapshot", "save", "moves", "--to", "s.vsnap", cwd=there)
    with Machine("--name", "moved", "--snapshot", "s.vsnap", says=None, run=("run", "-q"), cwd=there), \
            Qmp(socket_path("moved")) as qmp:
        qmp.wait_state("running")
        found = {d["device"]: d["inserted"]["file"] for d in qmp.ask("query-block")}
        assert found == {d: str(here / f"{f}.img") for d, f in (("disk0", "d1"), ("disk1", "d2"), ("scsi0.0", "d3"), ("x", "d4"),
                                                               ("y", "d5"), ("late", "late"))}, found
    assert {p.name for p in there.iterdir()} == {"s.vsnap"}
    again = ("run", "-q", "--snapshot", "s.vsnap")
    for file, says in (("d1.img", ["--snapshot-disks", "where it is now"]), ("d2.img", ["Say --disk with its new place"]),
                       ("d4.img", ["--snapshot-disks", "where it is now"]), ("d5.img", ["Say --device with its new place"]),
                       ("d3.img", ["Say --cdrom with its new place"]), ("share", ["give its option anew"]),
                       ("idle.elf", ["kernel", "give its option anew"])):
        (here / file).rename(here / "elsewhere")
        refused(5, *again, says=[str(here / file), *says], cwd=there)
        (here / "elsewhere").rename(here / file)
    # Said anew: all of --device, as they repeat.
    (here / "d5.img").rename(there / "d5.img")
    with Machine("--name", "moved", *again[2:], "--device", f"virtio-blk-pci,path={here}/d4.img,id=x", "--device",
                 "virtio-scsi-pci,id=sc", "--device", "scsi-hd,bus=sc,id=y,path=d5.img,ro", "--device",
                 f"virtio-fs-pci,path={here}/share,id=fs", "--device", "virtio-console-pci,path=null", "--device",
                 f"virtio-blk-pci,id=late,bus=port0,path={here}/late.img", says=None, run=("run", "-q"), cwd=there), \
            Qmp(socket_path("moved")) as qmp:
        qmp.wait_state("running")
        assert {d["device"]: d["inserted"]["file"] for d in qmp.ask("query-block")}["y"] == str(there / "d5.img")

tap.finish()
