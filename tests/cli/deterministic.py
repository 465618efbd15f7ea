#!/usr/bin/env python3
"""What --deterministic takes, with bare-metal programs: the clock on the wall, time while the guest waits, state hashes, 64
harts, and the end of a replay, which stays to be looked at."""

import json
import pathlib
import re
import signal
import struct
import tempfile
import time

import bare
import jit
from bare import A0, T0, T1, T2, T3, ZERO
from command import LONG_S, VIREO, read_until, refused, vireo
from machine import Machine
from qmp import Qmp, socket_path
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
no_jit = jit.why_not(VIREO)
engines = ["interp", "interp" if no_jit else "jit"]
ENDED = re.compile(r"ended at step (\d+), guest time (\d+) ns, state hash ([0-9a-f]{16})")
CLINT, RTC, HART_TICK_HZ = 0x2000000, 0x101000, 10_000_000


def write(program, name):
    return program.write(tmp / name)


def clock_program():
    """Sends the wall clock's nanoseconds, 8 bytes (goldfish-rtc: the low half first)."""
    p = bare.Program()
    p.lui(T3, RTC >> 12)
    p.lui(T0, 0x10000)
    for off in (0, 4):
        p.lw(T1, off, T3)
        for _ in range(4):
            p.sb(T1, 0, T0)
            p.srli(T1, T1, 8)
    p.finish(0x5555)
    return p


def sleep_program(ticks):
    """Waits for its hart's timer, @ticks from power-on, in wfi."""
    p = bare.Program()
    p.li(T0, CLINT + 0x4000)
    p.li(T1, ticks >> 5)  # which fits
    p.slli(T1, T1, 5)
    p.sd(T1, 0, T0)
    p.li(T1, 1 << 7)
    p.csrw(0x304, T1)  # mie: its timer wakes it; mstatus.MIE stays off, so that nothing is taken
    p.wfi()
    p.finish(0x5555)
    return p


def crowd_program(harts):
    """Each hart counts a while, some longer than others, and adds itself to a sum; hart 0 waits for all, then ends."""
    p = bare.Program()
    p.csrr(A0, 0xF14)  # mhartid
    p.slli(T1, A0, 6)
    p.label("count")
    p.beq(T1, ZERO, "counted")
    p.addi(T1, T1, -1)
    p.jump("count")
    p.label("counted")
    p.li(T2, 0)
    p.auipc(T2, 1)  # a page behind
    p.li(T1, 1)
    p.amoadd_w(ZERO, T1, T2)
    p.beq(A0, ZERO, "first")
    p.label("rest")
    p.wfi()
    p.jump("rest")
    p.label("first")
    p.li(T3, harts)
    p.label("wait")
    p.lw(T1, 0, T2)
    p.beq(T1, T3, "all")
    p.jump("wait")
    p.label("all")
    p.finish(0x5555)
    return p


def life(*args):
    """(step, guest time in ns, hash), standard output"""
    code, out, err = vireo("run", "--firmware", "none", *args)
    found = ENDED.search(err)
    assert code == 0 and found, (code, out, err)
    return (int(found[1]), int(found[2]), found[3]), out


CLOCK = write(clock_program(), "clock.elf")
with tap.test("epoch=: the wall clock begins there, 2026 if it is not given, and is the guest's own"):
    for args, begin in ((["--deterministic=epoch=86400"], 86400), (["--deterministic"], 1767225600)):
        with Machine(*args, CLOCK, says=None) as machine:
            data = machine.process.stdout.read()
            assert machine.process.wait(LONG_S) == 0
        ns = struct.unpack("<Q", data)[0]
        assert begin * 10**9 <= ns < begin * 10**9 + 10**6, (args, ns)
    for bad in ("epoch=yesterday", "epoch=99999999999999999", "idle=jump", "seed=", "pace=1"):
        refused(2, "run", f"--deterministic={bad}", CLOCK, says=bad.split("=")[0])

with tap.test("idle=: a wait of an hour takes no time of the host's, or as long as it says"):
    hour = write(sleep_program(3600 * HART_TICK_HZ), "hour.elf")
    begin = time.monotonic()
    end, _ = life("--deterministic=idle=skip", hour)
    assert time.monotonic() - begin < LONG_S
    assert 3600 * 10**9 <= end[1] < 3601 * 10**9 and end[0] < 10**6, end
    assert life("--deterministic", hour)[0] == end
    short = write(sleep_program(HART_TICK_HZ // 2), "short.elf")
    begin = time.monotonic()
    end, _ = life("--deterministic=idle=wait", short)
    assert time.monotonic() - begin >= 0.5
    assert end[1] >= 5 * 10**8, end

with tap.test("64 harts: the same life twice, on " + " and ".join(engines)):
    crowd = write(crowd_program(64), "crowd.elf")
    lives = [life("-c", 64, "--deterministic", "--engine", engine, crowd) for engine in engines * 2]
    assert all(x == lives[0] for x in lives), lives

with tap.test("vireo status --hash: of the same step the same, of another one another"):
    hashes = []
    for begin in ("--paused", "--paused", None):
        args = ["--name", "box", "--deterministic", *([begin] if begin else [])]
        with Machine(*args, write(bare.idle_program(), "idle.elf"), says=None if begin else b"idle"):
            Qmp(socket_path("box")).close()  # it is there
            told = [vireo("status", "--hash", "--json", "box") for _ in range(2)]
            assert all(code == 0 for code, _, _ in told), told
            one, two = (json.loads(out)["hash"] for _, out, _ in told)
            assert re.fullmatch("[0-9a-f]{16}", one) and (not begin or one == two), told
            hashes.append(one)
            if begin:
                assert f"  state     {one}\n" in vireo("status", "--hash", "box")[1]
                assert "state" not in vireo("status", "box")[1]
    assert hashes[0] == hashes[1] != hashes[2], hashes

ECHO = write(bare.echo_program(), "echo.elf")
tape = tmp / "tape"


def held(qmp):
    """How far it has come, when it stands."""
    qmp.wait_state("paused")
    return qmp.ask("x-vireo-query-deterministic")


with tap.test("hold: a replay stays at its end, to be looked at, until it is told to quit"):
    with Machine("--record", tape, ECHO, says=b"ready") as machine:
        machine.type(b"x")
        machine.expect(b"x")
        machine.type(b"q")
        assert machine.process.wait(LONG_S) == 0
    for how in ("quit", "signal"):
        with Machine("--name", "held", "--deterministic=hold", "--replay", tape, ECHO, says=b"ready") as machine, \
                Qmp(socket_path("held")) as qmp:
            machine.expect(b"x")
            told = held(qmp)
            assert told["replaying"] and not told["recording"] and told["step"] == told["last-step"], told
            assert len(qmp.ask("x-vireo-hash")["hash"]) == 16
            if how == "quit":
                qmp.ask("quit")
            else:
                machine.process.send_signal(signal.SIGTERM)
            code = machine.process.wait(LONG_S)
            assert code == (0 if how == "quit" else -signal.SIGTERM), (code, machine.process.stderr.read())

with tap.test("hold: so does one that differs, which is told at once"):
    with Machine("--name", "held", "--deterministic=hold", "--replay", tape, CLOCK, says=None) as machine, \
            Qmp(socket_path("held")) as qmp:
        read_until(machine.process.stderr.fileno(), b"differs from the recording at step 0,")
        assert held(qmp)["step"] == 0
        qmp.ask("quit")
        machine.process.wait(LONG_S)

tap.finish()
