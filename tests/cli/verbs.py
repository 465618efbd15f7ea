#!/usr/bin/env python3
"""Verbs about running machines: ps, status, pause, resume, reset, stop, kill, console, stats, events, qmp, and
completion of machines' names."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import bare
from command import LONG_S, VIREO, Terminal, read_until, refused, start, vireo
from machine import Machine
from qmp import Qmp, socket_path
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
IDLE = bare.idle_program().write(tmp / "idle.elf")
ECHO = bare.echo_program().write(tmp / "echo.elf")


def answer(*args, code=0):
    got, out, err = vireo(*args)
    assert (got, err) == (code, ""), (got, err)
    return out


with tap.test("nobody runs: ps is empty, other verbs say so"):
    assert answer("ps") == "" and json.loads(answer("ps", "--json")) == [] and answer("ps", "-q") == ""
    refused(5, "status", says="no machine runs")
    refused(5, "pause", "box", says="no machine 'box' runs: none does")
    refused(2, "pause", says="NAME... is missing")

with tap.test("ps lists machines, with what they are; dead ones are forgotten"):
    with Machine("--name", "alpha", "-c", "2", "-m", "64M", IDLE) as a, Machine("--name", "beta", IDLE), \
            Machine("--name", "dead", IDLE) as dead:
        dead.process.kill()
        dead.process.wait(LONG_S)
        assert answer("ps", "-q") == "alpha\nbeta\n"
        assert not socket_path("dead").exists()
        rows = answer("ps").splitlines()
        assert len(rows) == 3 and rows[0].split()[:3] == ["NAME", "PID", "STATE"]
        first = rows[1].split()
        assert first[:3] == ["alpha", str(a.process.pid), "running"] and "/64" in rows[1], rows
        one = json.loads(answer("ps", "--json"))[0]
        assert (one["name"], one["pid"], one["cpus"], one["memory-bytes"]) == ("alpha", a.process.pid, 2, 64 << 20)
        refused(2, "status", says="2 machines run: which one? alpha, beta")
        refused(5, "status", "alfa", says="did you mean 'alpha'?")
        assert answer("status", "alpha").startswith("alpha: running, up ")

with tap.test("ps tells the memory that is in use, also of clones, their parents and machines that were continued"):
    def in_use():
        return {m["name"]: (m["memory-used-bytes"] >> 20, m["memory-shared-bytes"] >> 20)
                for m in json.loads(answer("ps", "--json"))}

    writer = bare.writer_program(48).write(tmp / "writer.elf")
    with Machine("--name", "box", "-m", "128M", writer, says=b"ready"):
        used, shared = in_use()["box"]
        assert 48 <= used < 64 and shared == 0, (used, shared)
        answer("pause", "box")
        answer("snapshot", "save", "box", "--to", tmp / "box.vsnap")
        answer("fork", "box", "--name", "twin")
        try:
            now = in_use()
            assert 48 <= now["box"][0] < 64 and now["box"][1] >= 40, now
            assert 48 <= now["twin"][0] < 64, now  # it runs, and writes pages of its own
        finally:
            answer("kill", "twin")
    with Machine("--name", "again", "--snapshot", tmp / "box.vsnap", "--paused", says=None, run=("run", "-q")), \
            Qmp(socket_path("again")) as qmp:
        assert qmp.ask("query-status")["status"] in ("prelaunch", "paused")
        used, shared = in_use()["again"]
        assert 24 <= used < 64 and shared >= 16, (used, shared)  # the file, just written, is mostly in memory

with tap.test("pause, resume, reset, of several at once"):
    with Machine("--name", "a", ECHO, says=b"ready") as a, Machine("--name", "b", ECHO, says=b"ready") as b:
        answer("pause", "a", "b")
        states = {m["name"]: m["status"] for m in json.loads(answer("ps", "--json"))}
        assert states == {"a": "paused", "b": "paused"}, states
        answer("resume", "a", "b")
        for m in (a, b):
            m.type(b"x")
            m.expect(b"x")
        answer("reset", "a")
        a.expect(b"ready")
        code, out, err = vireo("pause", "nobody", "b")  # the others all the same
        assert code == 5 and "no machine 'nobody' runs" in err
        assert json.loads(answer("status", "b", "--json"))["status"] == "paused"

with tap.test("stop returns when the machine has ended, whose exit code is 0"):
    with Machine("--name", "a", IDLE) as a:
        answer("stop", "a")
        assert not socket_path("a").exists()
        a.ended()
    refused(5, "stop", "a", says="no machine 'a' runs")

with tap.test("a machine that does not answer is told, and can be killed"):
    with Machine("--name", "stuck", IDLE) as m, Machine("--name", "well", IDLE):
        m.process.send_signal(signal.SIGSTOP)
        listed = {x["name"]: x["status"] for x in json.loads(answer("ps", "--json"))}
        assert listed == {"stuck": "not answering", "well": "running"}, listed
        answer("kill", "stuck")
        assert m.process.wait(LONG_S) == -signal.SIGKILL
        assert answer("ps", "-q") == "well\n"

with tap.test("a machine that is killed while somebody waits: gone without a word"):
    with Machine("--name", "victim", IDLE) as m:
        with start("events", "victim", "--follow") as follower:
            read_until(follower.stdout.fileno(), b"RESUME")
            answer("kill", "victim")
            out, err = follower.communicate(timeout=LONG_S)
            assert follower.returncode == 5 and b"'victim' is gone without a word" in err, err
            assert f"process, {m.process.pid}, crashed or was killed".encode() in err, err

with tap.test("events: what happened, and what happens until the end"):
    with Machine("--name", "box", ECHO, says=b"ready") as m:
        answer("pause", "box")
        with start("events", "--follow", "--json") as follower:
            text = read_until(follower.stdout.fileno(), b"STOP")
            answer("resume", "box")
            text = read_until(follower.stdout.fileno(), b"RESUME", text.split(b"STOP")[1])
            answer("reset", "box")
            m.expect(b"ready")
            m.type(b"q")
            out, err = follower.communicate(timeout=LONG_S)
            assert follower.returncode == 0 and err == b"", err
            assert b"guest-shutdown" in out, out
    with Machine("--name", "box", IDLE):
        answer("pause", "box")
        answer("reset", "box")
        events = [json.loads(line) for line in answer("events", "--json").splitlines()]
        assert [e["event"] for e in events][:2] == ["RESUME", "STOP"], events
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert events[0]["guest-ns"] <= events[1]["guest-ns"]
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} +0\.0{6} s  RESUME$", answer("events").splitlines()[0])

with tap.test("stats: as text, JSON and Prometheus, all or a part"):
    disk = tmp / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    with Machine("--name", "box", "--io-threads", "3", "--disk", disk, IDLE), Machine("--name", "two", IDLE):
        rows = json.loads(answer("stats", "box", "--json"))
        groups = {row["group"] for row in rows}
        assert {"machine", "cpu", "iothread", "device", "disk", "queue"} <= groups, groups
        assert {row["machine"] for row in rows} == {"box"}
        for word, group in (("devices", "device"), ("disk", "disk"), ("queues", "queue"), ("cpus", "cpu"),
                            ("iothreads", "iothread")):
            part = json.loads(answer("stats", "box", word, "--json"))
            assert part and {row["group"] for row in part} == {group}
        assert [r["id"] for r in rows if r["group"] == "iothread" and r["name"] == "calls"] == ["0", "1", "2"]
        uart = [r["value"] for r in rows if r["id"] == "uart0" and r["name"] == "writes"]
        assert uart == [5], uart  # "idle\n"
        text = answer("stats", "box", "machine")
        assert re.search(r"^  memory_bytes +512\.00 MiB  ", text, re.M), text
        refused(2, "stats", "box", "nonsense", says="nothing is called 'nonsense'")
        text = answer("stats", "--prometheus")  # of all
        seen = set()
        for line in text.splitlines():
            if line.startswith("#"):
                kind, name = line.split()[1:3]
                if kind == "TYPE":
                    assert name not in seen, f"{name} is there twice"
                    seen.add(name)
                    metric = name
                continue
            found = re.fullmatch(r'(\w+)\{machine="(box|two)"(?:,id="[\w.]+")?\} \d+(\.\d{9})?', line)
            assert found and found[1] == metric, line
        assert {"vireo_machine_running", "vireo_cpu_time_seconds_total", "vireo_disk_read_bytes_total"} <= seen, seen
        assert 'vireo_machine_running{machine="two"} 1' in text
        if promtool := shutil.which("promtool"):
            subprocess.run([promtool, "check", "metrics"], input=text.encode(), check=True)

with tap.test("qmp: one command, its answer or the machine's refusal"):
    with Machine("--name", "box", IDLE):
        assert json.loads(answer("qmp", "box", "query-name")) == {"name": "box"}
        assert json.loads(answer("qmp", "box", "x-vireo-stats", '{"group": "cpu"}'))[0]["id"] == "0"
        refused(5, "qmp", "box", "query-nothing", says="machine 'box': The command query-nothing has not been found")
        refused(2, "qmp", "box", "x-vireo-stats", "{", says="expected a JSON object")
        refused(5, "qmp", "box", "x-vireo-stats", '{"grup": 1}', says="'grup' is unexpected")

with tap.test("by path, too"):
    with Machine("--control", f"unix:{tmp}/mine", IDLE):
        assert json.loads(answer("status", f"{tmp}/mine", "--json"))["status"] == "running"
        assert answer("ps") == ""
        refused(5, "status", f"{tmp}/other", says="cannot connect")

with tap.test("console: a terminal joins, types, leaves; the machine goes on"):
    with Machine("--name", "box", ECHO, says=b"ready") as m:
        with Terminal("console", "box") as t:
            t.expect(b"Ctrl-A d leaves")
            t.type(b"hello")
            t.expect(b"hello")
            m.expect(b"hello")  # whoever has the console sees it
            m.type(b"world")
            t.expect(b"world")
            assert t.is_raw()
            t.type(b"\x03")  # Ctrl-C is the guest's
            t.expect(b"\x03")
            t.type(b"\x01h")
            t.expect(b"Ctrl-A Ctrl-A")
            t.type(b"\x01\x01")
            t.expect(b"\x01")
            t.type(b"\x01d")
            assert t.wait() == 0
            t.expect(b"left box, which goes on")
            t.check_restored()
        with Terminal("console", "box") as t:
            t.expect(b"leaves")
            t.process.send_signal(signal.SIGTERM)
            assert t.wait() == -signal.SIGTERM
            t.check_restored()
        with Terminal("console", "box") as t:
            t.expect(b"leaves")
            t.type(b"q")
            assert t.wait() == 0
            t.expect(b"the machine has ended")
            t.check_restored()
        assert m.process.wait(LONG_S) == 0

with tap.test("console: a machine whose own console leads nowhere; pipes; other consoles; a client that is killed"):
    with start("run", "-q", "--firmware", "none", "--name", "box", "--console", "null", ECHO) as m:
        with Qmp(socket_path("box")):  # it is there
            pass
        with start("console", "box") as c:
            c.stdin.write(b"x")
            c.stdin.flush()
            read_until(c.stdout.fileno(), b"x")
            c.kill()
            c.communicate()
        refused(5, "console", "--index", "2", says="there is no console 2")
        code, out, err = vireo("console", "box", stdin=b"more q")
        assert code == 0 and out.startswith("more ") and err == "vireo: box: the machine has ended\n", (out, err)
        assert m.wait(LONG_S) == 0
        m.communicate()

with tap.test("a flood of output: the client that reads gets it, in order, or is told what is lost"):
    program = bare.Program()
    program.lui(bare.T0, 0x10000)
    program.label("again")
    for byte in b"0123456789abcdef":
        program.li(bare.T1, byte)
        program.sb(bare.T1, 0, bare.T0)
    program.jump("again")
    flood = program.write(tmp / "flood.elf")
    with start("run", "-q", "--firmware", "none", "--name", "box", "--console", "null", flood) as m:
        with Qmp(socket_path("box")):
            pass
        with start("console", "box") as c:
            data = b""
            while len(data) < 1 << 20:
                data += os.read(c.stdout.fileno(), 1 << 16)
            whole = re.sub(rb"\r\n\[vireo: \d+ bytes of output came too fast and are lost\]\r\n", b"|", data)
            for part in whole.split(b"|"):
                at = b"0123456789abcdef".index(part[:1]) if part else 0
                want = (b"0123456789abcdef" * (len(part) // 16 + 2))[at: at + len(part)]
                assert part == want
            c.kill()
            c.communicate()
        answer("stop", "box")
        m.communicate()

with tap.test("completion offers the names of machines"):
    if not shutil.which("bash"):
        raise Skip("no bash here")
    script = ('eval "$(vireo completion bash)"; COMP_WORDS=(vireo {verb} ""); COMP_CWORD=2; '
              '_vireo; echo "${{COMPREPLY[@]}}"')
    env = dict(os.environ, PATH=f"{pathlib.Path(VIREO).parent}:{os.environ['PATH']}")
    with Machine("--name", "box", IDLE), Machine("--name", "crate", IDLE):
        for verb in ("status", "stop", "console", "qmp"):
            out = subprocess.run(["bash", "-c", script.format(verb=verb)], env=env, stdout=subprocess.PIPE, check=True)
            assert out.stdout.split() == [b"box", b"crate"], (verb, out.stdout)

tap.finish()
