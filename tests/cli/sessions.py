#!/usr/bin/env python3
"""A session with a guest: its console on a terminal, a pipe, a socket, a file; keys, signals, exit codes,
and a terminal that is always put back."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

import bare
import jit
from command import LONG_S, VIREO, Terminal, read_until, start, vireo
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
PASS = bare.end_program(0x5555).write(tmp / "pass.elf")
RESET = bare.end_program(0x7777).write(tmp / "reset.elf")
IDLE = bare.idle_program().write(tmp / "idle.elf")
ECHO = bare.echo_program().write(tmp / "echo.elf")
RUN = ("run", "--firmware", "none")
BANNER = rb"vireo: riscv64 virt, 1 hart, 512 MiB, own engine \((?:jit|interp; [^)]*)\); KVM: not used: "


def ended_by(process, signum):
    code = process.wait(LONG_S)
    assert code == -signum, f"exit code {code}, expected death by signal {signum}"


with tap.test("the guest's verdict is the exit code"):
    assert vireo(*RUN, "-q", PASS) == (0, "", "")
    for code in (1, 9, 255):
        fail = bare.end_program(0x3333 | code << 16).write(tmp / "fail.elf")
        got, _, err = vireo(*RUN, "-q", "--name", "box", fail)
        assert got == 4 and err == f"vireo: box: the guest failed, with code {code}\n", (got, err)

with tap.test("--no-reboot ends a guest that resets, with 0"):
    assert vireo(*RUN, "-q", "--no-reboot", RESET) == (0, "", "")

with tap.test("the banner, and what a FILE was taken for, are on standard error; -q keeps both"):
    code, out, err = vireo(*RUN, PASS)
    assert (code, out) == (0, "")
    lines = err.encode().splitlines()
    assert lines[0].endswith(b"pass.elf: a RISC-V ELF file: taken as --kernel") and re.match(BANNER, lines[1]), err

with tap.test("a pipe: the guest reads standard input, and goes on when it ends"):
    assert vireo(*RUN, "-q", ECHO, stdin=b"hello\nq") == (0, "ready\nhello\n", "")
    with start(*RUN, "-q", ECHO, stdin=subprocess.DEVNULL) as process:
        read_until(process.stdout.fileno(), b"ready")
        try:
            process.wait(0.3)
            raise AssertionError("it ended with its standard input")
        except subprocess.TimeoutExpired:
            process.terminate()
        ended_by(process, signal.SIGTERM)

with tap.test("closed standard streams do not matter"):
    script = f'"{VIREO}" run -q --firmware none "{PASS}" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script], timeout=LONG_S).returncode == 0

with tap.test("whoever reads the output may go away"):
    with start(*RUN, "-q", ECHO) as process:
        read_until(process.stdout.fileno(), b"ready")
        process.stdout.close()
        process.stdin.write(b"hello q")
        process.stdin.close()
        assert process.wait(LONG_S) == 0, process.stderr.read()

with tap.test("a terminal: raw while it runs, keys reach the guest, Ctrl-A x quits with 0"):
    with Terminal(*RUN, ECHO) as t:
        t.expect(b"Ctrl-A x quits, Ctrl-A h helps")
        t.expect(b"ready")
        assert t.is_raw()
        t.type(b"a\x03b\x1ac")  # Ctrl-C and Ctrl-Z are the guest's
        t.expect(b"a\x03b\x1ac")
        t.type(b"\x01x")
        assert t.wait() == 0
        t.check_restored()

with tap.test("Ctrl-A h helps, Ctrl-A r resets, Ctrl-A c tells the state, Ctrl-A Ctrl-A is Ctrl-A, others are named"):
    with Terminal(*RUN, "-q", "--name", "box", ECHO) as t:
        t.expect(b"ready")
        t.type(b"\x01h")
        for key in (b"Ctrl-A x", b"Ctrl-A r", b"Ctrl-A c", b"Ctrl-A h", b"Ctrl-A Ctrl-A"):
            t.expect(key)
        t.type(b"\x01c")
        t.expect(b"vireo: box: running, up ")
        t.expect(b" s, 1 hart, 512 MiB")
        t.type(b"\x01\x01.")
        t.expect(b"\x01.")
        t.type(b"\x01z")
        t.expect(b"no such key")
        t.type(b"\x01r")
        t.expect(b"ready")
        t.type(b"q")
        assert t.wait() == 0
        t.check_restored()

with tap.test("a guest that powers off gives the terminal back"):
    with Terminal(*RUN, "-q", PASS) as t:
        assert t.wait() == 0
        t.check_restored()

for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    with tap.test(f"{signal.Signals(signum).name} ends the machine, gives the terminal back, and is what we die of"):
        with Terminal(*RUN, "-q", IDLE) as t:
            t.expect(b"idle")
            assert t.is_raw()
            t.process.send_signal(signum)
            ended_by(t.process, signum)
            t.check_restored()

with tap.test("a crash gives the terminal back"):
    with Terminal(*RUN, "-q", IDLE) as t:
        t.expect(b"idle")
        assert t.is_raw()
        t.process.send_signal(signal.SIGABRT)
        code = t.wait()
        assert code in (-signal.SIGABRT, 1), code  # 1: a sanitizer's handler
        if code == -signal.SIGABRT:
            t.check_restored()

with tap.test("Ctrl-C ends a machine whose input is no terminal"):
    with start(*RUN, "-q", IDLE, stdin=subprocess.DEVNULL) as process:
        read_until(process.stdout.fileno(), b"idle")
        process.send_signal(signal.SIGINT)
        ended_by(process, signal.SIGINT)

with tap.test("nohup: SIGHUP stays ignored"):
    script = f'trap "" HUP; exec "{VIREO}" run -q --firmware none "{ECHO}"'
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        read_until(process.stdout.fileno(), b"ready")
        process.send_signal(signal.SIGHUP)
        process.stdin.write(b"still here q")
        process.stdin.close()
        read_until(process.stdout.fileno(), b"still here")
        assert process.wait(LONG_S) == 0

with tap.test("a console in a file"):
    (tmp / "log").write_text("what was there before")
    with start(*RUN, "-q", "--console", f"file:{tmp}/log", IDLE) as process:
        deadline = time.monotonic() + LONG_S
        while (tmp / "log").read_bytes() != b"idle\n":
            assert time.monotonic() < deadline, (tmp / "log").read_bytes()
            os.sched_yield()
        process.terminate()
        ended_by(process, signal.SIGTERM)

with tap.test("a console on a socket, whose path the banner tells"):
    path = tmp / "console"
    with start(*RUN, "--console", f"unix:{path}", ECHO, stdin=subprocess.DEVNULL) as process:
        read_until(process.stderr.fileno(), f"console: {path}\n".encode())
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LONG_S)
            client.connect(str(path))
            client.sendall(b"over a socket")
            assert b"over a socket" in read_until(client.fileno(), b"over a socket")
            client.sendall(b"q")
            assert process.wait(LONG_S) == 0
    assert not path.exists()

with tap.test("a console on a pty, whose path the banner tells"):
    with start(*RUN, "--console", "pty", ECHO, stdin=subprocess.DEVNULL) as process:
        text = read_until(process.stderr.fileno(), b"console: /dev/pts/")
        while not text.endswith(b"\n"):
            text += os.read(process.stderr.fileno(), 1)
        path = text.decode().split("console: ")[1].strip()
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"over a pty")
        read_until(fd, b"over a pty")
        os.write(fd, b"q")
        assert process.wait(LONG_S) == 0
        os.close(fd)

with tap.test("an instruction trace has a line for each instruction"):
    assert vireo(*RUN, "-q", "--trace-insn", tmp / "trace", PASS)[0] == 0
    lines = (tmp / "trace").read_text().splitlines()
    assert len(lines) >= 4, lines
    for line in lines:
        assert re.fullmatch(r"0 [MSU3] [0-9a-f]+ [0-9a-f]+( .*)?", line), line
    assert any("st " in line or "100000" in line for line in lines), lines

with tap.test("an instruction trace tells what each instruction did"):
    program = bare.Program()
    program.word(0x00000297)  # auipc t0, 0
    program.addi(bare.T0, bare.T0, 0x100)
    program.addi(bare.T1, bare.ZERO, 0)  # writes the value that is there already
    program.addi(bare.T2, bare.ZERO, -2)
    program.sw(bare.T2, 8, bare.T0)
    program.li(bare.T0, 0x100000)
    program.li(bare.T1, 0x5555)
    program.sw(bare.T1, 0, bare.T0)
    program.label("end")
    program.jump("end")
    path = tmp / "told.elf"
    program.write(path)
    assert vireo(*RUN, "-q", "--trace-insn", tmp / "told", path)[0] == 0
    lines = [line for line in (tmp / "told").read_text().splitlines() if " 800000" in line]
    assert lines[:5] == [
        "0 M 80000000 00000297 x5=80000000",
        "0 M 80000004 10028293 x5=80000100",
        "0 M 80000008 00000313 x6=0",
        "0 M 8000000c ffe00393 x7=fffffffffffffffe",
        "0 M 80000010 0072a423 st 80000108 4=fffffffe",
    ], lines[:5]

def jit_program():
    """More code than fits into 64 KiB when it is compiled."""
    program = bare.Program()
    for i in range(8000):
        program.addi(bare.T1, bare.T1, i % 7)
    program.finish(0x5555)
    return program.write(tmp / "hot.elf")


JIT_SAYS = (r"vireo: JIT: (\d+) blocks, (\d+) instructions, (\d+) bytes of code; entered \d+ times; "
            r"pages dropped \d+, everything dropped (\d+); pages of direct code \d+, pages mirrored \d+ by \d+ faults\n")
with tap.test("--jit stats: what was compiled, and that little memory was full"):
    if why := jit.why_not(VIREO):
        raise Skip(why)
    flushed = {}
    for memory in ("16M", "64K"):
        code, _, err = vireo(*RUN, "-q", "--engine", "jit", "--jit", f"stats,hot=1,code={memory}", jit_program())
        found = re.fullmatch(JIT_SAYS, err)
        assert code == 0 and found, (code, err)
        blocks, insns, size, flushed[memory] = map(int, found.groups())
        assert blocks > 100 and insns > 8000 and size > 64 << 10, err
    assert flushed["64K"] > flushed["16M"], flushed  # a few are made by the start of a machine

with tap.test("as many harts as there can be, all of them with whatever the engine wants of the process"):
    code, _, err = vireo(*RUN, "-q", "-c", "64", PASS)
    assert code == 0 and not err, (code, err)

with tap.test("--jit stats on the interpreter: there was none"):
    code, _, err = vireo(*RUN, "-q", "--engine", "interp", "--jit", "stats", PASS)
    assert code == 0 and err == "vireo: JIT: none in this machine, its code was interpreted\n", err

with tap.test("--jit perf: a map file as perf reads it, of new code only"):
    if why := jit.why_not(VIREO):
        raise Skip(why)
    process = start(*RUN, "-q", "--engine", "jit", "--jit", "hot=1,perf", jit_program())
    perf = pathlib.Path(f"/tmp/perf-{process.pid}.map")
    try:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err == b"", err
        rows = [re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) guest:([0-9a-f]+):[0-3]", line)
                for line in perf.read_text().splitlines()]
        assert len(rows) > 40 and all(rows) and any(m[3].startswith("800") for m in rows), rows[:3]
        ranges = sorted((int(m[1], 16), int(m[2], 16)) for m in rows)
        for (at, size), (next_at, _) in zip(ranges, ranges[1:]):
            assert size > 0 and at + size <= next_at, (hex(at), size, hex(next_at))
    finally:
        perf.unlink(missing_ok=True)

with tap.test("--jit dump: operations, and host code that as and objdump take"):
    if why := jit.why_not(VIREO):
        raise Skip(why)
    process = start(*RUN, "-q", "--engine", "jit", "--jit", "hot=1,dump=0x80000000-0x80001000", jit_program())
    source = pathlib.Path(f"/tmp/vireo-jit-{process.pid}.s")
    try:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err == b"", err
        text = source.read_text()
        blocks = re.findall(r"^# cpu 0, va (\w+), gpa \w+, mode 3: (\d+) instructions, (\d+) bytes at \w+$", text, re.M)
        assert blocks and all(0x80000000 <= int(va, 16) < 0x80001000 for va, _, _ in blocks), text[:500]
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(["as", source, "-o", f"{place}/jit.o"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            assert done.returncode == 0, done.stderr
            size = subprocess.run(["objdump", "-h", "-j", ".text", f"{place}/jit.o"], stdout=subprocess.PIPE, text=True)
            assert int(re.search(r"\.text +(\w+)", size.stdout)[1], 16) == sum(int(n) for _, _, n in blocks), size.stdout
        assert re.search(r"^#   800000\w\w  addi x\d+, x\d+, ", text, re.M), text[:2000]
    finally:
        source.unlink(missing_ok=True)

tap.finish()
