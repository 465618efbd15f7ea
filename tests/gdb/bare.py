#!/usr/bin/env python3
"""GDB at bare-metal guests: breakpoints, watchpoints, steps, registers and memory of several harts, on each engine;
beginnings and ends; hostile packets."""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "cli"), str(HERE.parent / "cpu")]

import cross  # noqa: E402
import jit  # noqa: E402
from command import LONG_S, VIREO, refused, vireo  # noqa: E402
from machine import RUN, Machine  # noqa: E402
from qmp import Qmp, Refused, socket_path  # noqa: E402
from remote import GDB, Remote, gdb, show, values  # noqa: E402
from tap import Skip, Tap  # noqa: E402

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
TARGET = socket_path().with_suffix(".gdb")
ENGINES = ("--engine interp", "--engine jit --jit hot=1", "--engine jit")
LOOP = 0x00190913  # the instruction there: addi s2, s2, 1
LOOP_AT, AFTER = 0x80000054, 0x80000080  # `loop`, and behind its end


def program():
    return cross.compiled(tmp / "guest.elf", [HERE / "guest.S"], "-nostdlib", "-march=rv64imafd_zicsr", "-g",
                          "-Wl,-Ttext=0x80000000,--build-id=none,--no-relax,--no-warn-rwx-segments")


def engines(test):
    for engine in ENGINES:
        def run(engine=engine):
            if "jit" in engine and (why := jit.why_not(VIREO)):
                raise Skip(why)
            test(engine.split())
        yield engine, run


def breakpoints(engine):
    with Machine("--gdb", "auto", "-c", "2", *engine, GUEST, says=b"go\n"):
        text = gdb(
            TARGET, "info threads", "break loop thread 1", "continue", show(pc="$pc", at="&loop", first="$s2"),
            "continue", show(second="$s2"), show(inside="*(unsigned int *)&loop"), "continue", show(seen="$s4"),
            "delete", "tbreak twice thread 2", "continue", show(hart="$mhartid", scratch="$mscratch", mode="$priv"),
            "thread 1", show(other_hart="$mhartid", other_scratch="$mscratch"), "thread 2",
            "tbreak *&back thread 2", "continue", show(back="$pc", at_back="&back", doubled="$a1 - 2 * $s2"),
            "hbreak *&tail thread 2", "continue", show(float="$fa0.double == $s2", csr="$fcsr", fs="$mstatus >> 13 & 3"),
            program=GUEST)
        v = values(text)
        assert v["pc"] == v["at"] and v["second"] == v["first"] + 1, text
        # The breakpoint is at `loop` while it runs: neither the debugger nor the guest sees another instruction.
        assert v["inside"] == v["seen"] == LOOP, text
        assert (v["hart"], v["scratch"], v["mode"]) == (1, 0x1235, 3), text
        assert (v["other_hart"], v["other_scratch"]) == (0, 0x1234), text
        assert v["back"] == v["at_back"] and v["doubled"] == 0, text
        assert v["float"] == 1 and v["fs"] == 3, text
        assert "hart 0: M-mode" in text and "hart 1: M-mode" in text, text


def watchpoints(engine):
    with Machine("--gdb", "auto", *engine, GUEST, says=b"go\n"):
        long = "*(long *)((char *)&counts + {})"
        text = gdb(
            TARGET, f"watch {long.format(0)}", "continue", show(wrote="$pc", at_wrote="&wrote"),
            show(count=long.format(0), s2="$s2"), "continue", show(count2=long.format(0)), "delete",
            f"rwatch {long.format(8)}", "continue", show(read="$pc", at_read="&read"), "delete",
            # A byte in the middle, of an atomic that reads and writes.
            "awatch *((char *)&counts + 16)", "continue", show(swapped="$pc", at_swapped="&swapped"), "delete",
            f"watch {long.format(8)}", f"rwatch {long.format(16)}", "continue",
            show(again="$pc"), "delete", "tbreak loop", "continue", show(end="$pc", at_end="&loop"), program=GUEST)
        v = values(text)
        for name in ("wrote", "read", "swapped", "end"):
            assert v[name] == v["at_" + name], (name, text)
        assert v["count"] == v["s2"] and v["count2"] == v["count"] + 1, text
        assert v["again"] == v["at_swapped"], text


def steps(engine):
    with Machine("--gdb", "auto", "-c", "2", *engine, GUEST, says=b"go\n"):
        ahead = ["stepi", show(pc="$pc", hart="$mhartid")] * 6
        text = gdb(
            TARGET, "tbreak loop thread 2", "continue", show(s2="$s2", pc0="$pc"), *ahead,
            # The other hart stands still, then goes on.
            "thread 1", show(still="$s2"), "thread 2", "set scheduler-locking on", "stepi 200", "thread 1",
            show(still2="$s2"), "thread 2", "set scheduler-locking off", "tbreak *&loop thread 1", "continue",
            "tbreak *&wrote thread 1", "continue", show(moved="$s2"), program=GUEST)
        v = values(text)
        pcs = [int(line[3:], 16) for line in text.splitlines() if line.startswith("pc=")]
        assert pcs == [v["pc0"] + 4 * i for i in range(1, 7)] and v["hart"] == 1, text
        assert v["still"] == v["still2"] < v["moved"], text
        # GDB makes steps of breakpoints on RISC-V; others ask for them, one by one or until a range is left.
        with Remote(TARGET) as remote:
            def pc():
                return int.from_bytes(bytes.fromhex(remote.ask("p20")), "little")

            assert remote.ask("Z0,80000054,4") == "OK"
            assert remote.ask("vCont;c:2") == "T05thread:2;" and pc() == LOOP_AT
            assert remote.ask("z0,80000054,4") == "OK"
            for i in range(1, 8):
                assert remote.ask("vCont;s:2") == "T05thread:2;" and pc() == LOOP_AT + 4 * i
            assert remote.ask(f"vCont;r{LOOP_AT:x},{AFTER:x}:2;c") == "T05thread:2;" and not LOOP_AT <= pc() < AFTER
            # A breakpoint in the range; the instruction where a step begins is made, breakpoint or not.
            assert remote.ask(f"Z0,{LOOP_AT + 8:x},4") == "OK"
            assert remote.ask("vCont;r0,ffffffffffffffff:2") == "T05thread:2;" and pc() == LOOP_AT + 8
            assert remote.ask("vCont;s:2") == "T05thread:2;" and pc() == LOOP_AT + 12
            assert remote.ask(f"z0,{LOOP_AT + 8:x},4") == "OK"
            assert remote.ask("s") == "T05thread:2;" and pc() == LOOP_AT + 16


def changes(engine):
    with Machine("--gdb", "auto", *engine, GUEST, says=b"go\n") as m:
        nop = 0x00000013
        text = gdb(
            TARGET, "tbreak loop", "continue", "set $s2 = 1000", "stepi", show(s2="$s2"),
            "set $fa1.double = 2.5", show(f="$fa1.double * 2"),
            "set $mscratch = 77", show(scratch="$mscratch"), "set $x0 = 5", show(zero="$zero"),
            "set var *(long *)((char *)&counts + 8) = 0x1122334455667788", "tbreak read", "continue", show(s3="$s3"),
            # Code that has been translated: the loop does not count any more.
            f"set var *(unsigned int *)&loop = {nop}", "tbreak loop", "continue", show(a="$s2"),
            "tbreak *&tail", "continue", "tbreak loop", "continue", show(b="$s2", seen="$s4"), program=GUEST)
        v = values(text)
        assert v["s2"] == 1001 and v["f"] == 5 and v["scratch"] == 77 and v["zero"] == 0, text
        assert v["s3"] == 0x1122334455667788, text
        assert v["a"] == v["b"] and v["seen"] == nop, text
        with Qmp(socket_path()) as qmp:
            assert qmp.ask("query-status")["status"] == "running"
        assert m.process.poll() is None


try:
    GUEST = program()
except Skip as skip:
    print(f"1..0 # skip {skip}")
    sys.exit(77)

for what, test in (("breakpoints, registers of each hart", breakpoints), ("watchpoints", watchpoints),
                   ("steps", steps), ("registers and memory are changed", changes)):
    for engine, run in engines(test):
        with tap.test(f"{what}, {engine}"):
            run()

with tap.test("--paused: before the first instruction; vireo gdb says where; detaching lets it go on"):
    with Machine("--paused", GUEST, says=b"") as m:
        with Qmp(socket_path()) as qmp:  # as soon as it listens
            code, out, err = vireo("gdb", "--address", "vm")
            assert (code, out, err) == (0, f"{TARGET}\n", ""), (code, out, err)
            assert qmp.ask("query-status") == {"running": False, "singlestep": False, "status": "paused"}
            text = gdb(TARGET, show(pc="$pc", ram="*(int *)0x1000 != 0"), program=GUEST)
            assert values(text) == {"pc": 0x1000, "ram": 1}, text
            m.expect(b"go\n")
            assert qmp.ask("query-status")["status"] == "running"

with tap.test("vireo gdb starts GDB, which ends as it was told to"):
    if not shutil.which(GDB):
        raise Skip(f"no {GDB} here")
    with Machine(GUEST, says=b"go\n"):
        done = subprocess.run([VIREO, "gdb", "vm", str(GUEST)], input=b"tbreak loop\ncontinue\nprintf \"at=%lx\\n\", $pc\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONG_S)
        text = done.stdout.decode()
        assert done.returncode == 0 and "at=8000" in text, text
        with Qmp(socket_path()) as qmp:
            assert qmp.ask("query-status")["status"] == "running"

with tap.test("a debugger that vanishes, one that kills; a second one is sent away"):
    with Machine("--gdb", "auto", GUEST, says=b"go\n") as m, Qmp(socket_path()) as qmp:
        with Remote(TARGET) as first:
            assert first.ask("?").startswith("T05thread:1;")
            assert qmp.wait_event("STOP") and qmp.ask("query-status")["status"] == "paused"
            with Remote(TARGET) as second:
                assert second.ended()
            assert first.ask("Z0,80000000,4") == "OK"
        qmp.wait_event("RESUME")
        with Remote(TARGET) as third:
            qmp.wait_event("STOP")
            third.say("vCont;c")
            qmp.wait_event("RESUME")
            third.send(b"\x03")  # Ctrl-C
            assert third.hear().startswith("T02")
            # Somebody else pauses it, and lets it go on.
            third.say("c")
            qmp.wait_event("RESUME")
            qmp.ask("stop")
            assert third.hear().startswith("T02")
            third.say("k")
            qmp.wait_event("SHUTDOWN")
        m.ended()
    assert not TARGET.exists()

with tap.test("a machine that ends tells its debugger; x-vireo-gdb-stop"):
    with Machine(GUEST, says=b"go\n") as m, Qmp(socket_path()) as qmp:
        assert qmp.ask("x-vireo-gdb-start", address="tcp:0")["target"].startswith("127.0.0.1:")
        target = qmp.ask("x-vireo-gdb-start")["target"]
        try:
            qmp.ask("x-vireo-gdb-start", address="auto")
            raise AssertionError("two places")
        except Refused as refused_:
            assert target in refused_.desc, refused_
        with Remote(target) as remote:
            assert remote.ask("qAttached") == "1"
            qmp.ask("x-vireo-gdb-stop")
            assert remote.ended()
        assert qmp.ask("query-status")["status"] == "running"
        target = qmp.ask("x-vireo-gdb-start")["target"]
        with Remote(target) as remote:
            assert remote.ask("?")
            remote.say("vCont;c")
            qmp.ask("quit")
            assert remote.hear() == "W00"
        m.ended()

with tap.test("memory: physical addresses, devices only when asked for, where nothing is"):
    with Machine("--gdb", "auto", GUEST, says=b"go\n"), Remote(TARGET) as remote:
        assert remote.ask("QStartNoAckMode") == "OK"
        remote.acks = False
        assert remote.ask("m10000005,1").startswith("E")
        assert remote.ask("qRcmd," + b"devices on".hex()) != ""
        assert remote.ask("m10000005,1") == "60"  # line status: the transmitter is empty
        assert remote.ask("m70000000,4").startswith("E") and remote.ask("mffffffffffffff00,4").startswith("E")
        assert remote.ask("m1000,4") != "" and remote.ask("M1000,1:00").startswith("E")  # ROM
        size = int(remote.ask("qSupported:swbreak+").split("PacketSize=")[1].split(";")[0], 16)
        assert len(remote.ask("m80000000,ffffffff")) <= size
        data = bytes(range(256)) * 8
        escaped = b"".join(b"}" + bytes([b ^ 0x20]) if b in b"#$}*" else bytes([b]) for b in data)
        assert remote.ask(b"X80100000,%x:" % len(data) + escaped) == "OK"
        assert remote.ask(f"m80100000,{len(data):x}") == data.hex()
        assert remote.ask("M80100001,2:abcd") == "OK" and remote.ask("m80100000,4") == "00abcd03"
        assert remote.ask("qqemu.PhyMemMode") == "0" and remote.ask("Qqemu.PhyMemMode:1") == "OK"
        assert remote.ask("qqemu.PhyMemMode") == "1" and remote.ask("m80100000,4") == "00abcd03"

with tap.test("hostile packets: answered, refused, or ignored; the machine lives"):
    rng = random.Random(6)
    with Machine("--gdb", "auto", GUEST, says=b"go\n") as m:
        with Remote(TARGET) as remote:
            remote.send(b"$" + b"x" * (1 << 20) + b"#00")
            remote.send(b"\x7f" * 1000 + b"+" * 1000 + b"-" * 1000)
            remote.send(b"$g#00")  # a wrong checksum
            for text in ("m", "m,", "m0", "m0,ffffffffffffffffff", "M0,4:00", "X0,4:}", "Z9,0,0", "Z2,0,0",
                         "Z2,ffffffffffffffff,2", "Hg40", "Hg-", "T0", "p", "pffffffffffffffff", "P20", "G00",
                         "vCont", "vCont;", "vCont;x", "vCont;r1", "vCont;c:7fffffff", "qXfer:features:read:target.xml:",
                         "qXfer:features:read:target.xml:ffffffffffff,1", "qXfer:features:read:../x:0,10",
                         "qRcmd,zz", "qRcmd,6", "qThreadExtraInfo,0", "qThreadExtraInfo,99", "Qqemu.PhyMemMode:2", ""):
                remote.say(text)
            for _ in range(300):
                remote.say(bytes(rng.choice(b"mMXzZgGpPqQvHT?;:,0123456789abcdef#$}*\x03\x00\xff")
                                 for _ in range(rng.randrange(1, 40))))
            for i in range(300):  # more than there is room for
                remote.say(f"Z0,{0x80000000 + 2 * i:x},2")
            remote.say("m80000000,4")
        for _ in range(50):
            with Remote(TARGET) as remote:
                remote.send(b"$m80000000,1000#")
        with Remote(TARGET) as remote:  # it does not read
            remote.say("QStartNoAckMode")
            try:
                remote.socket.settimeout(2)
                for _ in range(4000):
                    remote.say("m80000000,2000")
            except socket.timeout:
                pass
        rss = int(open(f"/proc/{m.process.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        with Qmp(socket_path()) as qmp:
            assert qmp.ask("query-status")["status"] in ("running", "paused")
            qmp.ask("quit")
        assert m.process.wait(LONG_S) == 0
        assert rss < 1 << 30, rss

with tap.test("where a debugger may come does not travel: not with snapshots, nor with clones"):
    saved = tmp / "debugged.vsnap"

    def listens(name):
        return socket_path(name).with_suffix(".gdb").exists()

    with Machine("--name", "box", "--gdb", "auto", GUEST, says=b"go\n") as m:
        assert vireo("snapshot", "save", "box", "--to", saved)[0] == 0
        code, out, err = vireo("fork", "box", "--json", "--overlays", tmp)
        assert code == 0, err
        clone = json.loads(out)["clones"][0]["name"]
        with Qmp(socket_path(clone)) as qmp:
            assert qmp.ask("query-status")["running"] and listens("box") and not listens(clone)
            qmp.ask("quit")
        with Qmp(socket_path("box")) as qmp:
            qmp.ask("quit")
        m.ended()
    for args in ((), ("--gdb", "auto")):
        with Machine("--name", "again", *args, saved, says=None, run=("run", "-q")) as m:
            with Qmp(socket_path("again")) as qmp:
                qmp.wait_state("running")
                assert listens("again") == bool(args)
                qmp.ask("quit")
            m.ended()

with tap.test("what cannot be is refused"):
    for address in ("", "7", "tcp:", "tcp:0.0.0.0:1", "tcp:127.0.0.1:70000", "unix:", "tcp:::1:5"):
        refused(2, *RUN, f"--gdb={address}", GUEST, says="--gdb")
    if not jit.why_not(VIREO):
        refused(2, *RUN, "--gdb", "auto", "--engine", "lockstep", GUEST, says="do not go together")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(5, *RUN, "--gdb", f"tcp:127.0.0.1:{taken.getsockname()[1]}", GUEST, says="address already in use")

tap.finish()
