#!/usr/bin/env python3
"""What goes along with a machine's state besides the guest's own: to snapshots, to clones, to another process."""

import os
import pathlib
import select
import tempfile
import time

import bare
from command import LONG_S, vireo
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

tap.finish()
