#!/usr/bin/env python3
"""Machines that move to another process: what goes with them, and that exactly one of two goes on, whatever fails.

MOVES, KILLS and FLIPS set how often, SEED which moments."""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import select
import socket
import struct
import tempfile
import threading
import time
import zlib

import bare
from command import LONG_S, Terminal, read_until, refused, start, vireo
from machine import Machine
from qmp import Qmp, Refused, runs, socket_path
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
MIB = 24
WRITER = bare.writer_program(MIB).write(tmp / "writer.elf")
SLOWER = bare.writer_program(6, 30000).write(tmp / "slower.elf")  # than memory, but faster than the line of a test
MOVES = int(os.environ.get("MOVES", "6"))
KILLS = int(os.environ.get("KILLS", "6"))
FLIPS = int(os.environ.get("FLIPS", "12"))
SEED = int(os.environ.get("SEED", "1"))
rng = random.Random(SEED)
F_OFD_GETLK = 36


class Side(Machine):
    """One of two processes."""

    def answers(self):
        """It runs, and memory holds what the guest wrote."""
        self.type(b"?")
        assert select.select([self.process.stdout], [], [], LONG_S)[0], "the guest does not answer"
        return os.read(self.process.stdout.fileno(), 1) == b"+"


def source(*args, name="box", program=WRITER):
    return Side("--name", name, "-m", "64M", *args, program, says=b"ready\n")


@contextlib.contextmanager
def target(uri=None, *args, name="box2"):
    """A process that waits for a machine: (side, address)."""
    uri = uri or f"unix:{tmp}/to.sock"
    with Side("--name", name, "--incoming", uri, *args, says=None, run=("run",)) as side:
        read_until(side.process.stderr.fileno(), b"may come to")
        yield side, uri


def migrate(name, uri, *args):
    return vireo("migrate", name, uri, *args)


def wait_status(qmp, *statuses):
    deadline = time.monotonic() + LONG_S
    while (info := qmp.ask("query-migrate"))["status"] not in statuses:
        assert time.monotonic() < deadline, info
        os.sched_yield()
    return info


def locked(path):
    """Has somebody locked it for writing?"""
    with open(path, "rb") as f:
        ask = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, F_OFD_GETLK, ask))[0] != fcntl.F_UNLCK


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


with tap.test(f"{MOVES} moves by unix and tcp, between engines: memory is whole, the source ends, the disk goes along"):
    disk = tmp / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    with contextlib.ExitStack() as sides:
        here = sides.enter_context(source("--disk", disk, name="box0"))
        downtimes = []
        for i in range(MOVES):
            uri = f"tcp:127.0.0.1:{free_port()}" if i % 2 else None
            engine = ["--engine", "interp"] if i % 3 == 1 else ["--engine", "auto"]
            there, uri = sides.enter_context(target(uri, *engine, "--incoming-files", tmp, name=f"box{i + 1}"))
            code, out, err = migrate(f"box{i}", uri)
            assert code == 0 and "stood still for" in out, (code, out, err)
            downtimes.append(int(out.split("stood still for ")[1].split()[0]))
            assert there.answers(), "memory does not hold what the guest wrote"
            assert here.process.wait(LONG_S) == 0
            assert locked(disk)
            with Qmp(socket_path(f"box{i + 1}")) as qmp:
                assert qmp.ask("query-status")["status"] == "running"
            here = there
        print(f"# downtimes, ms: {downtimes}")
        here.type(b"q")
        assert here.process.wait(LONG_S) == 0

with tap.test("the control socket: parameters, events, progress, states; a paused machine stays paused"):
    disk = tmp / "given.img"
    disk.write_bytes(bytes(1 << 20))
    with source("--disk", disk) as here, target() as (there, uri), Qmp(socket_path("box")) as qmp:
        assert vireo("snapshot", "save", "box", "--to", tmp / "here.vsnap", "-q") == (0, "", "")
        with open(disk, "r+b") as f:
            f.write(b"of the machine that moved")
        assert qmp.ask("query-migrate") == {"status": "none"}
        qmp.ask("migrate-set-parameters", max_bandwidth=1 << 30, downtime_limit=200)
        assert qmp.ask("query-migrate-parameters")["downtime-limit"] == 200
        for bad in ({"downtime_limit": 0}, {"max_cpu_throttle": 100}, {"max_bandwidth": -1}):
            try:
                qmp.ask("migrate-set-parameters", **bad)
                raise AssertionError(f"{bad} was taken")
            except Refused:
                pass
        qmp.ask("stop")
        qmp.ask("migrate", uri=uri)
        info = wait_status(qmp, "completed")
        assert info["ram"]["normal"] >= MIB * 256 and info["ram"]["total"] == 64 << 20, info
        assert [e["data"]["status"] for e in qmp.events if e["event"] == "MIGRATION"] in (
            ["setup", "active", "device", "completed"], ["setup", "active", "device"]), qmp.events
        assert qmp.ask("query-status") == {"running": False, "singlestep": False, "status": "postmigrate"}
        was = disk.read_bytes()
        for words in (["snapshot", "restore", "box", tmp / "here.vsnap"], ["fork", "box"],
                      ["snapshot", "save", "box", "--to", tmp / "there.vsnap"]):
            refused(5, *words, says="goes on elsewhere")  # nor does it touch what is the other's
        assert disk.read_bytes() == was
        for gone in ("cont",):
            try:
                qmp.ask(gone)
                raise AssertionError("it ran twice")
            except Refused as no:
                assert "goes on elsewhere" in no.desc, no
        with Qmp(socket_path("box2")) as other:
            assert other.ask("query-status") == {"running": False, "singlestep": False, "status": "paused"}
            other.ask("cont")
            assert there.answers()
        qmp.ask("quit")
        assert here.process.wait(LONG_S) == 0

with tap.test("what cannot be: nobody there, no such address, another machine, a name that is taken; the guest goes on"):
    with source() as here:
        refused(5, "migrate", "box", f"unix:{tmp}/nobody", says=["cannot connect", "goes on here"])
        refused(5, "migrate", "box", "tcp:127.0.0.1:1", says=["cannot connect", "goes on here"])
        for bad in ("somewhere", "tcp:4444", "tcp::4444", "tcp:::1:4444", "unix:"):
            code, out, err = migrate("box", bad)
            assert code != 0 and out == "" and err.count("\n") == 1, (bad, code, out, err)
        for bad in ("somewhere", "unix:"):
            refused(2, "migrate", "box", bad, says="expected unix:PATH")
        refused(2, "run", "--incoming", "somewhere", says="unix:PATH or tcp:HOST:PORT")
        for change, says in ((["-m", "128M"], "memory is not that"), (["-c", "2"], "CPUs"),
                             (["--kernel", tmp / "none"], "none"), (["--control", f"unix:{tmp}/no/x"], "no/x")):
            with target(None, *change) as (there, uri):
                code, out, err = migrate("box", uri)
                assert code == 5 and says in err and "goes on here" in err, (change, code, out, err)
                assert there.process.wait(LONG_S) != 0
        assert here.answers()

with tap.test("a path is meant from where the command is, not from where the machine is"):
    (tmp / "from").mkdir()
    here = os.getcwd()
    with source(), target(f"unix:{tmp}/from/rel.sock") as (there, uri):
        os.chdir(tmp / "from")
        try:
            code, _, err = migrate("box", "unix:rel.sock")
        finally:
            os.chdir(here)
        assert code == 0 and there.answers(), err

with tap.test("files that a machine which comes by tcp may open are those that this side names, or whose folder it allows"):
    (tmp / "other").mkdir()
    out = tmp / "other" / "out"
    with source("--disk", disk, "--virtio-console", f"file:{out}", "--jit", "perf", "--pin", "compact") as here:
        for args, says in (([], f"kernel {WRITER}"), (["--incoming-files", tmp / "other"], f"kernel {WRITER}"),
                           (["--incoming-files", tmp / "other", "--kernel", WRITER], f"disk {disk}"),
                           (["--disk", disk, "--kernel", WRITER], f"virtio-console {out}")):
            with target(f"tcp:127.0.0.1:{free_port()}", *args) as (there, uri):
                code, _, err = migrate("box", uri)
                assert code == 5 and f"{says}: the other side names it" in err and "goes on here" in err, (args, err)
                assert there.process.wait(LONG_S) != 0
        assert here.answers()
        with target(f"tcp:127.0.0.1:{free_port()}", "--disk", disk, "--kernel", WRITER, "--incoming-files",
                    tmp / "other") as (there, uri):
            code, _, err = migrate("box", uri)
            assert code == 0 and there.answers(), err
            # How a host runs it is not for the other side to say.
            assert pathlib.Path(f"/tmp/perf-{here.process.pid}.map").exists()
            assert not pathlib.Path(f"/tmp/perf-{there.process.pid}.map").exists()
        pathlib.Path(f"/tmp/perf-{here.process.pid}.map").unlink()
    refused(5, "run", "--incoming", f"unix:{tmp}/x", "--incoming-files", tmp / "none", says="it is no folder")

with tap.test("it is called off while memory is copied, twice; one at a time"):
    with source() as here, Qmp(socket_path("box")) as qmp:
        qmp.ask("migrate-set-parameters", max_bandwidth=4 << 20)
        for _ in range(2):
            with target() as (there, uri):
                qmp.ask("migrate", uri=uri)
                wait_status(qmp, "active")
                try:
                    qmp.ask("migrate", uri=uri)
                    raise AssertionError("two at a time")
                except Refused as no:
                    assert "already" in no.desc
                qmp.ask("migrate_cancel")
                wait_status(qmp, "cancelled")
                assert there.process.wait(LONG_S) != 0
                assert b"gave up: called off" in there.process.stderr.read()
        assert here.answers()
        with target() as (there, uri):
            qmp.ask("migrate-set-parameters", max_bandwidth=0)
            qmp.ask("migrate", uri=uri)
            wait_status(qmp, "completed")
            assert there.answers()

with tap.test("a guest that writes faster than can be copied is slowed down, then given up, with figures"):
    with source() as here, target() as (there, uri), Qmp(socket_path("box")) as qmp:
        qmp.ask("migrate-set-parameters", downtime_limit=1, max_bandwidth=100 << 20, cpu_throttle_initial=40,
                cpu_throttle_increment=20, max_cpu_throttle=60)
        qmp.ask("migrate", uri=uri)
        seen = 0
        while (info := qmp.ask("query-migrate"))["status"] in ("setup", "active"):
            seen = max(seen, info.get("cpu-throttle-percentage", 0))
        assert seen == 60, seen
        assert info["status"] == "failed" and "slowed down by 60 %" in info["error-desc"], info
        assert here.answers()

with tap.test("a guest that writes faster than the line carries is slowed down until it moves; limits hold, and change meanwhile"):
    with source(program=SLOWER) as here, target() as (there, uri), Qmp(socket_path("box")) as qmp:
        slow = 4 << 20
        qmp.ask("migrate-set-parameters", max_bandwidth=slow, downtime_limit=60)
        begin = time.monotonic()
        qmp.ask("migrate", uri=uri)
        while (info := qmp.ask("query-migrate")).get("ram", {}).get("transferred", 0) < 3 << 20:
            assert info["status"] in ("setup", "active"), info
            assert info.get("ram", {}).get("transferred", 0) <= slow * (time.monotonic() - begin) + (1 << 20), info
        ram = info["ram"]
        assert info["status"] == "active" and 0 < ram["remaining"] < ram["total"] == 64 << 20, info
        assert ram["normal-bytes"] == ram["normal"] * ram["page-size"] <= ram["transferred"], info
        assert ram["dirty-sync-count"] == 0 and "downtime" not in info, info
        qmp.ask("migrate-set-parameters", max_bandwidth=20 << 20)
        slowed, expected = set(), []
        while (info := qmp.ask("query-migrate"))["status"] == "active":
            slowed.add(info["cpu-throttle-percentage"])
            if info.get("expected-downtime") not in (None, *expected[-1:]):
                expected.append(info["expected-downtime"])
                assert info["ram"]["mbps"] > 0 and info["ram"]["dirty-pages-rate"] > 0, info
        info = wait_status(qmp, "completed", "failed")
        assert info["status"] == "completed", info
        print(f"# slowed down by {sorted(slowed)} %, expected {expected} ms, stood still for {info['downtime']} ms, "
              f"{info['ram']['dirty-sync-count']} rounds, {info['ram']['transferred'] >> 20} MiB")
        assert max(slowed) >= 20 and expected[0] > 60, (slowed, expected)
        assert info["ram"]["dirty-sync-count"] >= 3 and info["ram"]["remaining"] == 0, info
        assert info["setup-time"] + info["downtime"] <= info["total-time"], info
        assert there.answers()

with tap.test("on a terminal it is shown how far it is; Ctrl-C calls it off"):
    with source() as here, target() as (there, uri), Terminal("migrate", "box", uri, "--bandwidth", "4M") as shown:
        for what in (b"active: ", b" %, ", b" MB/s, ", b" MiB left"):
            shown.expect(what)
        while not re.search(rb" [1-9]\d* MB/s", shown.text):  # in the first round, too
            shown.text += os.read(shown.master, 4096)
        shown.type(b"\x03")
        shown.expect(b"the migration was called off; the machine goes on")
        assert shown.wait() == 5
        shown.check_restored()
        assert there.process.wait(LONG_S) != 0 and here.answers()


def moves(*args, to=()):
    """One with @args moves to a process that was told @to: its number of devices here, and there."""
    with source(*args) as here, target(None, *to) as (there, uri):
        before = vireo("device", "list", "box", "--json")[1]
        code, _, err = migrate("box", uri)
        assert code == 0 and there.answers(), (args, to, code, err)
        after = vireo("device", "list", "box2", "--json")[1]
        return [d["id"] for d in json.loads(before)], [d["id"] for d in json.loads(after)]


with tap.test("machines of all kinds of parts move; what cannot is told before the guest stops"):
    (tmp / "share").mkdir()
    for name in ("iso", "scsi", "code", "vars"):
        (tmp / name).write_bytes(bytes(1 << 20))
    for args, to in (
            (["--engine", "interp"], ["--engine", "jit"]), (["--engine", "jit"], ["--engine", "interp"]),
            (["--mirror", "off"], ["--engine", "lockstep"]), (["--io-threads", "3"], ["--io-threads", "1"]),
            ([], ["--io-threads", "3"]), (["--net", "user,iothread=1", "--io-threads", "2"], []),
            (["--net", "user", "--net", "user,sriov_pf=net0"], []), (["--share", f"{tmp}/share"], []),
            (["--balloon", "on", "--watchdog", "i6300esb", "--power-button"], []), (["--mmu", "sv48"], []),
            (["--disk", f"{tmp}/scsi,bus=scsi", "--cdrom", f"{tmp}/iso"], []), (["--cdrom", "none"], []),
            (["--virtio-console", "mem,name=a", "--virtio-console", "pty"], []),
            (["--machine", "virt,aia=aplic-imsic"], []), (["--gdb", "auto"], []),
            (["--device", "virtio-rng-pci,id=second", "--device", f"virtio-blk-pci,path={tmp}/scsi"], [])):
        was, has = moves(*args, to=to)
        assert was == has, (args, was, has)
    for args, says in ((["--deterministic"], "is deterministic"),
                       (["--flash", tmp / "code", "--flash-vars", tmp / "vars"], "--flash-vars cannot be migrated")):
        with source(*args) as here, target() as (there, uri):
            code, _, err = migrate("box", uri)
            assert code == 5 and says in err, (args, code, err)
            assert here.answers()
            with Qmp(socket_path("box")) as qmp:
                assert qmp.ask("query-status")["status"] == "running"

with tap.test("devices that were plugged in go along in their slots, and those that left do not"):
    with source("--machine", "virt,slots=3") as here, target() as (there, uri):
        for text in (f"virtio-blk-pci,path={tmp}/scsi,id=one", f"virtio-fs-pci,path={tmp}/share,id=two",
                     "virtio-rng-pci,id=three"):
            assert vireo("device", "add", "box", text)[0] == 0
        assert vireo("device", "del", "box", "two", "--force")[0] == 0
        code, _, err = migrate("box", uri)
        assert code == 0 and there.answers(), err
        there_are = {d["id"]: d for d in json.loads(vireo("device", "list", "box2", "--json")[1])}
        assert "one" in there_are and "three" in there_are and "two" not in there_are, there_are
        assert locked(tmp / "scsi")

def frame(kind, number, payload):
    """As src/control/migrate_wire.h has it."""
    head = struct.pack("<IHHII", 0x766d5256, 1, kind, len(payload), number)
    return head + struct.pack("<I", zlib.crc32(head + payload)) + payload


with tap.test("what a hostile side says does not reach the terminal as it is: as source, and as target"):
    hello = struct.pack("<IQ", 1, 64 << 20) + b"vireo-config 1\n"
    for sent in (frame(1, 0, hello + b"\x1b[2J\x07\x9b=1\n"), frame(1, 0, hello + b"kernel=/no/\\x1b[2J\n"),
                 frame(7, 0, b"\x1b[2Jgone\r\nvireo: fine\xff")):
        with target() as (there, uri), socket.socket(socket.AF_UNIX) as s:
            s.connect(uri.partition(":")[2])
            s.sendall(sent)
            assert there.process.wait(LONG_S) == 5
            said = read_until(there.process.stderr.fileno(), b"no machine came to") + there.process.stderr.read()
            said = said[said.index(b"no machine came to"):]
            assert said.count(b"\n") == 1, said
            assert all(0x20 <= c < 0x7f or c == 0x0a for c in said), said
    with source() as here, socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp / "bad.sock"))
        s.listen()

        def refuse():
            peer, _ = s.accept()
            with peer:
                peer.recv(1 << 20)
                peer.sendall(frame(36, 0, b"\x1b]0;mine\x07\nvireo: it moved"))
                peer.recv(1 << 20)

        bad = threading.Thread(target=refuse, daemon=True)
        bad.start()
        code, _, err = migrate("box", f"unix:{tmp}/bad.sock")
        assert code == 5 and err.count("\n") == 1 and "\x1b" not in err and "\x07" not in err, err
        bad.join(LONG_S)
        assert here.answers()


class Proxy:
    """Between the two: changes one byte, or hangs up, at a place of either direction."""

    def __init__(self, path, to, back, at, flip):
        self.path, self.to, self.back, self.at, self.flip, self.done = path, to, back, at, flip, False
        self.listener = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.listener.settimeout(LONG_S)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        one, _ = self.listener.accept()
        other = socket.socket(socket.AF_UNIX)
        other.connect(str(self.to))
        back = threading.Thread(target=self.pump, args=(other, one, self.back), daemon=True)
        back.start()
        self.pump(one, other, not self.back)
        back.join()
        one.close()
        other.close()
        self.listener.close()

    def pump(self, a, b, mine):
        count = 0
        with contextlib.suppress(OSError):
            while data := a.recv(1 << 16):
                if mine and not self.done and count + len(data) > self.at:
                    self.done = True
                    if self.flip is None:
                        b.sendall(data[:self.at - count])
                        break
                    data = bytearray(data)
                    data[self.at - count] ^= self.flip
                count += len(data)
                b.sendall(data)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


def one_of_two(here, there, what):
    """Exactly one runs, and its memory is whole: "source" or "target"."""
    with contextlib.suppress(Refused):
        with Qmp(socket_path("box")) as qmp:
            wait_status(qmp, "completed", "failed")
            if qmp.ask("query-status")["status"] == "postmigrate":
                assert there.answers(), what
                return "target"
    assert there.process.wait(LONG_S) != 0, what
    assert here.answers(), what
    return "source"


with tap.test(f"{FLIPS} streams with a changed byte, or cut, in either direction: refused, and one of two goes on"):
    went = {"source": 0, "target": 0}
    changed = 0
    for i in range(FLIPS):
        back = i % 4 == 3
        at = rng.randrange(60) if back else rng.choice([rng.randrange(2000), rng.randrange(MIB << 20)])
        flip = None if i % 3 == 2 else 1 << rng.randrange(8)
        with source() as here, target() as (there, uri):
            proxy = Proxy(tmp / "proxy.sock", tmp / "to.sock", back, at, flip)
            with Qmp(socket_path("box")) as qmp:
                qmp.ask("migrate", uri=f"unix:{tmp}/proxy.sock")
                who = one_of_two(here, there, (i, back, at, flip))
            went[who] += 1
            changed += proxy.done
            assert proxy.done or back, f"the stream ended before byte {at}"
            # A changed "it runs" may be read as nobody's word: then the target runs, and the source says so.
            assert not proxy.done or back or who == "source", (i, back, at, flip, who)
        proxy.thread.join(LONG_S)
        assert not proxy.thread.is_alive(), "the connection does not end"
    print(f"# {changed} changed; went on: {went}")
    assert changed == FLIPS


def until(test, what):
    """What @test says, once it says something."""
    deadline = time.monotonic() + LONG_S
    while not (said := test()):
        assert time.monotonic() < deadline, what
        os.sched_yield()
    return said


def who_goes_on(victim, here, there, qmp):
    """When @victim has been killed: who of the two answers, if any does."""
    dead = "none: it died with its process"
    if victim == "source":
        here.process.wait(LONG_S)
        # It is the target's if all had arrived: then it answers; else the target gives up.
        until(lambda: there.process.poll() is not None or runs("box2"), "the target neither runs nor gives up")
        who = "target" if there.process.poll() is None else dead
        assert who != "target" or there.answers()
    elif victim == "target":
        there.process.wait(LONG_S)
        try:
            state = wait_status(qmp, "completed", "failed", "none")["status"]
            who = dead if state == "completed" else "source"
        except (AssertionError, OSError, Refused):
            who = dead  # it had moved, and the source has ended
            assert here.process.wait(LONG_S) == 0
        assert who != "source" or here.answers()
    else:
        def side():
            if there.process.poll() is not None:
                return "source"
            if runs("box2"):
                return "target"
            if here.process.poll() is not None:  # it has moved, and the target is about to say so
                return None
            try:
                return "source" if qmp.ask("query-migrate")["status"] == "none" else None
            except (AssertionError, OSError):  # it has just ended
                return None

        who = until(side, "neither of the two goes on")
        assert (there if who == "target" else here).answers()
    return who


with tap.test(f"{KILLS} times kill -9 of source, target and client at random moments: one goes on"):
    went = {}
    for i in range(KILLS):
        victim = ("source", "target", "client")[i % 3]
        disk.write_bytes(bytes(1 << 20))
        with source("--disk", disk) as here, target() as (there, uri), Qmp(socket_path("box")) as qmp:
            qmp.ask("migrate-set-parameters", max_bandwidth=rng.choice([0, 0, 200 << 20]))
            client = start("migrate", "box", uri)
            try:
                moment = time.monotonic() + rng.random() * 0.5
                while time.monotonic() < moment:
                    os.sched_yield()
                {"source": here.process, "target": there.process, "client": client}[victim].kill()
                who = who_goes_on(victim, here, there, qmp)
            finally:
                client.kill()
                client.communicate()
            went[f"{victim}: {who}"] = went.get(f"{victim}: {who}", 0) + 1
    print(f"# killed, and who went on: {went}")

tap.finish()
