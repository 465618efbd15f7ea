#!/usr/bin/env python3
"""The control socket of running machines: where it is, what it answers, what hostile clients cannot do."""

import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile
import time

import bare
from command import LONG_S, read_until, refused, start, vireo
from machine import RUN, Machine
from qmp import Qmp, Refused, socket_path
from tap import Tap

says_no = refused  # `refused` is what `except` calls an answer below, and then gone
tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
IDLE = bare.idle_program().write(tmp / "idle.elf")
ECHO = bare.echo_program().write(tmp / "echo.elf")
RESET = bare.end_program(0x7777).write(tmp / "reset.elf")

with tap.test("a socket for this user alone, gone when the machine is"):
    with Machine("--name", "box", IDLE) as m:
        mode = os.stat(socket_path("box"))
        assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o600, oct(mode.st_mode)
        parent = os.stat(socket_path("box").parent)
        assert stat.S_IMODE(parent.st_mode) == 0o700, oct(parent.st_mode)
        with Qmp(socket_path("box")) as qmp:
            assert qmp.ask("query-name") == {"name": "box"}
            assert qmp.ask("quit") == {}
            event = qmp.wait_event("SHUTDOWN")
            assert event["data"] == {"guest": False, "reason": "host-qmp-quit", "x-vireo-code": 0}, event
            assert qmp.hear() is None
        m.ended()
    assert not socket_path("box").exists()

with tap.test("a folder that others may write to is no place for sockets"):
    socket_path().parent.chmod(0o777)
    says_no(5, *RUN, "--name", "box", IDLE, says="others may write to it")
    socket_path().parent.chmod(0o700)

with tap.test("machines without a name are numbered; a name is had by one"):
    with Machine(IDLE) as a, Machine(IDLE) as b, Machine("--name", "box", IDLE):
        for name in ("vm", "vm2", "box"):
            with Qmp(socket_path(name)) as qmp:
                assert qmp.ask("query-name")["name"] == name
        refused(5, *RUN, "--name", "box", IDLE, says=["'box' runs already", "choose another --name"])
        a.process.send_signal(signal.SIGTERM)
        assert a.process.wait(LONG_S) == -signal.SIGTERM
        assert not socket_path("vm").exists() and socket_path("vm2").exists()
        with Machine(IDLE), Qmp(socket_path("vm")) as qmp:
            assert qmp.ask("query-name")["name"] == "vm"
    for name in ("", "a/b", ".hidden", "-x", "two words", "x" * 32):
        refused(2, *RUN, f"--name={name}", IDLE, says="expected up to 31 letters")

with tap.test("what a killed machine left is no obstacle"):
    with Machine("--name", "dead", IDLE) as m:
        m.process.kill()
        m.process.wait(LONG_S)
    assert socket_path("dead").exists()
    with Machine("--name", "dead", IDLE), Qmp(socket_path("dead")) as qmp:
        assert qmp.ask("query-status") == {"running": True, "singlestep": False, "status": "running"}

with tap.test("many at once who want the same names get different ones"):
    machines = [start(*RUN, IDLE) for _ in range(6)]
    try:
        for machine in machines:
            read_until(machine.stdout.fileno(), b"idle")
        pids = set()
        for name in ("vm", "vm2", "vm3", "vm4", "vm5", "vm6"):
            with Qmp(socket_path(name)) as qmp:
                info = qmp.ask("x-vireo-machine")
                assert info["name"] == name
                pids.add(info["pid"])
        assert pids == {m.pid for m in machines}, pids
    finally:
        for machine in machines:
            machine.kill()
            machine.communicate()

with tap.test("--control unix:PATH, and none; a runtime folder that cannot be made is a warning"):
    with Machine("--control", f"unix:{tmp}/mine", IDLE), Qmp(tmp / "mine") as qmp:
        assert qmp.ask("query-name") == {"name": "vm"}
        qmp.ask("quit")
    before = set(socket_path().parent.iterdir())
    with Machine("--control", "none", IDLE) as m:
        assert set(socket_path().parent.iterdir()) == before
    refused(2, *RUN, "--control", "tcp:1", IDLE, says="expected auto, none or unix:PATH")
    (tmp / "file").write_text("")
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp / "file"))
    end = bare.end_program(0x5555).write(tmp / "end.elf")
    code, _, err = vireo("run", "--firmware", "none", end, env=env)
    assert code == 0 and "no control socket" in err, err
    refused(5, *RUN, "--name", "box", IDLE, env=env, says="cannot make it")

with tap.test("stop and cont: the guest stands still in between, everybody hears of it"):
    with Machine(ECHO, says=b"ready") as m, Qmp(socket_path()) as qmp, Qmp(socket_path()) as other:
        m.process.stdin.write(b"a")
        m.process.stdin.flush()
        read_until(m.process.stdout.fileno(), b"a")
        qmp.ask("stop")
        assert qmp.ask("query-status") == {"running": False, "singlestep": False, "status": "paused"}
        at = qmp.ask("x-vireo-machine")["uptime-ns"]
        m.process.stdin.write(b"b")
        m.process.stdin.flush()
        assert qmp.ask("x-vireo-machine")["uptime-ns"] == at
        qmp.ask("stop")  # again: nothing new
        qmp.ask("cont")
        read_until(m.process.stdout.fileno(), b"b")
        assert qmp.ask("x-vireo-machine")["uptime-ns"] > at
        for who in (qmp, other):
            first, second = who.wait_event("STOP"), who.wait_event("RESUME")
            stamps = [e["timestamp"]["seconds"] * 10**6 + e["timestamp"]["microseconds"] for e in (first, second)]
            assert stamps[0] <= stamps[1] and abs(stamps[1] / 10**6 - time.time()) < LONG_S, stamps
        assert "STOP" not in [e["event"] for e in qmp.events]

with tap.test("system_reset: the guest begins anew, paused or not"):
    with Machine(ECHO, says=b"ready") as m, Qmp(socket_path()) as qmp:
        qmp.ask("system_reset")
        assert qmp.wait_event("RESET")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}
        read_until(m.process.stdout.fileno(), b"ready")
        qmp.ask("stop")
        qmp.ask("system_reset")
        qmp.wait_event("RESET")
        assert qmp.ask("query-status")["status"] == "paused"
        qmp.ask("cont")
        read_until(m.process.stdout.fileno(), b"ready")

with tap.test("a guest that resets, powers off, fails: events say so"):
    with Machine("--no-reboot", ECHO, says=b"ready") as m, Qmp(socket_path()) as qmp:
        m.process.stdin.write(b"q")
        m.process.stdin.flush()
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
        m.ended()
    program = bare.Program()
    program.put("wait")
    program.label("poll")
    program.lbu(bare.T1, 5, bare.T0)
    program.andi(bare.T1, bare.T1, 1)
    program.beq(bare.T1, bare.ZERO, "poll")
    program.finish(0x3333 | 7 << 16)
    fail = program.write(tmp / "fail.elf")
    with Machine(fail, says=b"wait") as m, Qmp(socket_path()) as qmp:
        m.process.stdin.write(b"x")
        m.process.stdin.flush()
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown", "x-vireo-code": 7}
        assert m.process.wait(LONG_S) == 4


def check_shape(types, name, value, where):
    """@value is what the schema says of type @name."""
    info = types[name]
    kind = info["meta-type"]
    if kind == "builtin":
        python = {"string": str, "int": int, "number": (int, float), "boolean": bool, "value": object}
        assert isinstance(value, python[info["json-type"]]), (where, name, value)
    elif kind == "array":
        assert isinstance(value, list), (where, value)
        for item in value:
            check_shape(types, info["element-type"], item, where)
    elif kind == "enum":
        assert value in info["values"], (where, value)
    elif name != "SchemaInfo":
        members = {member["name"]: member for member in info["members"]}
        assert set(value) <= set(members), (where, set(value) - set(members))
        for member in members.values():
            if member["name"] in value:
                check_shape(types, member["type"], value[member["name"]], f"{where}.{member['name']}")
            else:
                assert "default" in member, (where, member)


# What commands need that take something, in the order of the table.
WITH = {
    "qom-list": {"path": "/machine"},
    "qom-get": {"path": "/machine", "property": "type"},
    "device_add": {"driver": "virtio-rng-pci", "id": "r", "bus": "port1", "addr": "0x0"},
    "device_del": {"id": "r", "x-vireo-force": True},
    "netdev_add": {"type": "user", "id": "n", "restrict": True},
    "netdev_del": {"id": "n"},
    "blockdev-add": {"driver": "raw", "node-name": "b", "file": {"driver": "file", "filename": str(tmp / "more.img")}},
    "blockdev-del": {"node-name": "b"},
    "chardev-add": {"id": "c", "backend": {"type": "null", "data": {}}},
    "chardev-remove": {"id": "c"},
    "x-vireo-device-add": {"device": "virtio-net-pci"},
}

with tap.test("every answer and event is as query-qmp-schema says"):
    disk = tmp / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    (tmp / "more.img").write_bytes(bytes(1 << 20))
    with Machine("--disk", disk, "--balloon", "on", "--virtio-console", f"unix:{tmp}/c", "-c", "2", ECHO, says=b"ready"), \
            Qmp(socket_path()) as qmp:
        schema = qmp.ask("query-qmp-schema")
        types = {s["name"]: s for s in schema if s["meta-type"] not in ("command", "event")}
        commands = {s["name"]: s for s in schema if s["meta-type"] == "command"}
        assert {c["name"] for c in qmp.ask("query-commands")} == set(commands)
        for name, command in commands.items():
            needs = any("default" not in m for m in types[command["arg-type"]]["members"])
            if needs or name in ("qmp_capabilities", "quit", "x-vireo-console", "system_powerdown"):
                continue
            check_shape(types, command["ret-type"], qmp.ask(name, **WITH.get(name, {})), name)
        all_of_it = qmp.ask("query-memory-size-summary")["base-memory"]
        assert qmp.ask("query-balloon") == {"actual": all_of_it} and qmp.ask("balloon", value=all_of_it // 2) == {}
        machine, = qmp.ask("query-machines")
        assert machine["name"] == "virt" and machine["is-default"] and machine["cpu-max"] == 64, machine
        assert qmp.ask("query-current-machine") == {"wakeup-suspend-support": False}
        assert qmp.ask("query-migrate-capabilities") == []
        block, = qmp.ask("query-block")
        assert block["inserted"]["file"] == str(disk) and block["inserted"]["image"]["virtual-size"] == 1 << 20
        assert [c["cpu-index"] for c in qmp.ask("query-cpus-fast")] == [0, 1]
        tids = {int(t) for t in os.listdir(f"/proc/{qmp.ask('x-vireo-machine')['pid']}/task")}
        assert {c["thread-id"] for c in qmp.ask("query-cpus-fast")} <= tids
        assert [c["filename"] for c in qmp.ask("query-chardev")] == ["stdio", f"unix:{tmp}/c"]
        try:
            qmp.ask("system_powerdown")
            raise AssertionError("there is no button")
        except Refused as refused:
            assert refused.cls == "DeviceNotFound" and "no power button" in refused.desc, refused
        events = {s["name"]: s for s in schema if s["meta-type"] == "event"}
        qmp.wait_event("RESET")
        for event in qmp.ask("x-vireo-events"):
            check_shape(types, events[event["event"]]["arg-type"], event.get("data", {}), event["event"])

# ---- Hostile clients. The machine must go on: it is asked after each. ----


def lives(machine, qmp):
    assert machine.process.poll() is None
    assert qmp.ask("query-status")["running"]


def rss_kib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


with Machine(IDLE) as m, Qmp(socket_path()) as qmp:
    with tap.test("garbage is answered with errors, and what follows works"):
        with Qmp(socket_path()) as bad:
            for garbage in (b"GET / HTTP/1.1\n", b"\x00\xff\n", b"{" * 100 + b"\n", b"]\n", b"{]\n", b'"' * 9 + b"\n"):
                bad.send(garbage)
                assert bad.hear()["error"]["class"] == "GenericError"
            assert bad.ask("query-name") == {"name": "vm"}
        lives(m, qmp)

    with tap.test("a message without end is refused when it is too long, and costs no more than that"):
        with Qmp(socket_path()) as bad:
            before = rss_kib(m.process)
            for _ in range(24):
                bad.send(b'["' + b"a" * (1 << 20))
            bad.send(b"\n")
            assert "longer than 1 MiB" in bad.hear()["error"]["desc"]
            assert rss_kib(m.process) < before + 16 * 1024
        lives(m, qmp)

    with tap.test("connect and vanish, 1000 times, at every moment"):
        for i in range(1000):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(socket_path()))
                if i % 4 == 1:
                    s.sendall(b'{"execute": "qmp_capabilities"}{"execute": "stop"}{"execute": "cont"}')
                elif i % 4 == 2:
                    s.sendall(b'{"execute": "qmp_capab')
                elif i % 4 == 3:
                    s.recv(1)
        deadline = time.monotonic() + LONG_S
        while not qmp.ask("query-status")["running"]:  # theirs are carried out, in their order
            assert time.monotonic() < deadline
            qmp.ask("cont")
        lives(m, qmp)

    with tap.test("too many clients: the last ones are told, the first ones stay"):
        crowd = [Qmp(socket_path()) for _ in range(15)]
        for _ in range(40):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(LONG_S)
                s.connect(str(socket_path()))
                said = s.makefile("rb").read()
                assert b"too many clients" in said, said
        for member in crowd:
            assert member.ask("query-status")["running"]
            member.close()
        lives(m, qmp)
        deadline = time.monotonic() + LONG_S
        while True:  # there is room again
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(LONG_S)
                s.connect(str(socket_path()))
                if b"QMP" in s.recv(4096):
                    break
            assert time.monotonic() < deadline

    with tap.test("a client that asks and does not read costs a bounded amount of memory"):
        with Qmp(socket_path()) as deaf:
            deaf.socket.setblocking(False)
            before, sent = rss_kib(m.process), 0
            deadline = time.monotonic() + LONG_S
            while True:
                try:
                    sent += deaf.socket.send(b'{"execute": "query-qmp-schema"}' * 100)
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                    qmp.ask("query-status")  # others are served meanwhile
                if stuck > 50:
                    break
                assert time.monotonic() < deadline and sent < 64 << 20, sent
            assert rss_kib(m.process) < before + 16 * 1024
        lives(m, qmp)

    with tap.test("a client that floods does not keep others waiting"):
        with Qmp(socket_path()) as flood:
            flood.socket.setblocking(False)
            worst = 0
            for _ in range(300):
                try:
                    flood.socket.send(b'{"execute": "query-status"}' * 500)
                    flood.socket.recv(1 << 20)
                except BlockingIOError:
                    pass
                begin = time.monotonic()
                qmp.ask("query-status")
                worst = max(worst, time.monotonic() - begin)
            assert worst < 5, worst  # seconds: this machine may be busy; a flood would last minutes
        lives(m, qmp)

with tap.test("a client that is killed while it waits for an answer"):
    with Machine(IDLE) as m, Qmp(socket_path()) as qmp:
        for _ in range(20):
            script = ("import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                      "s.sendall(b'{\"execute\":\"qmp_capabilities\"}'+b'{\"execute\":\"stop\"}{\"execute\":\"cont\"}'*50);"
                      "print('x',flush=True); time.sleep(60)")
            client = subprocess.Popen(["python3", "-S", "-c", script, str(socket_path())], stdout=subprocess.PIPE)
            client.stdout.readline()
            client.kill()
            client.communicate()
        qmp.ask("cont")
        lives(m, qmp)

with tap.test("a machine that is killed: its clients see the end at once"):
    with Machine(IDLE) as m, Qmp(socket_path()) as qmp:
        m.process.kill()
        assert qmp.hear() is None

with tap.test("a machine that ends while commands are under way"):
    for _ in range(10):
        with Machine(IDLE) as m, Qmp(socket_path()) as qmp:
            qmp.send(b'{"execute": "stop"}{"execute": "cont"}' * 20 + b'{"execute": "quit"}'
                     + b'{"execute": "stop"}{"execute": "cont"}' * 20)
            said = []
            while (got := qmp.hear()) is not None:
                said.append(got)
            assert any(e.get("event") == "SHUTDOWN" for e in said), said[-3:]
            m.ended()

with tap.test("qom-list, qom-get: the machine, its CPUs, its devices and their options"):
    with Machine("-c", "2", IDLE), Qmp(socket_path()) as qmp:
        def children(path):
            return {p["name"]: p["type"] for p in qmp.ask("qom-list", path=path)}

        assert children("/")["machine"] == "child<container>"
        devices = children("/machine/peripheral")
        assert devices["rng"] == "child<virtio-rng-pci>" and devices["uart0"].startswith("child<"), devices
        cpus = children("/machine/unattached")
        assert [c["qom-path"] for c in qmp.ask("query-cpus-fast")] == [
            f"/machine/unattached/{name}" for name in cpus if name != "type"]
        assert qmp.ask("qom-get", path="/machine/unattached/device[1]", property="type") == "riscv64-cpu"
        options = children("/machine/peripheral/rng")
        assert options["rate"] == "int" and qmp.ask("qom-get", path="/machine/peripheral/rng", property="rate") == 0
        for path, prop, cls in (("/machine/nothing", "type", "DeviceNotFound"),
                                ("/machine/unattached/device[2]", "type", "DeviceNotFound"),
                                ("/machine/peripheral/rng", "dma", "GenericError")):
            try:
                qmp.ask("qom-get", path=path, property=prop)
                raise AssertionError(path)
            except Refused as no:
                assert no.cls == cls, no

with tap.test("commands of QEMU's that are not here say why, and what does instead"):
    with Machine(IDLE), Qmp(socket_path()) as qmp:
        for command, args, cls, says in (
            ("inject-nmi", {}, "CommandNotFound", ["cannot be masked", "x-vireo-gdb-start", "system_reset"]),
            ("query-hotpluggable-cpus", {}, "CommandNotFound", ["--cpus", "cannot be told of more", "offline and online"]),
            ("device_add", {"driver": "rv64-riscv-cpu", "id": "c"}, "GenericError",
             ["--cpus", "cannot be told of more", "offline and online"]),
        ):
            try:
                qmp.ask(command, **args)
                raise AssertionError(command)
            except Refused as no:
                assert no.cls == cls and all(s in no.desc for s in says), no

with tap.test("vireo set: what it says, and what it refuses"):
    with Machine("--name", "box", IDLE) as m:
        assert vireo("set", "box", "log=debug") == (0, "", "")
        says_no(2, "set", "box", "log", says="did you mean log=")
        says_no(2, "set", "box", "baloon=1M", says="did you mean balloon=")
        says_no(2, "set", "box", "balloon=much", says="expected a size")
        code, _, err = vireo("set", "box", "log=loud")
        assert code != 0 and "there are error, warn, info, debug" in err, err
        code, _, err = vireo("set", "box", "balloon=64M")
        assert code != 0 and "no balloon" in err, err
        says_no(2, "set", "box", "net0.link=sideways", says="expected up or down")
        says_no(2, "set", "box", "disk0.iosp=1", says="did you mean disk0.iops=")
        says_no(2, "set", "box", "disk0.iops=many", says="expected requests a second")
        for what in ("net7.link=up", "disk0.iops=1"):
            code, _, err = vireo("set", "box", what)
            assert code != 0 and "not found" in err, err

with tap.test("limits of disks are set, asked for, and refused as QEMU does"):
    image = tmp / "limited.img"
    image.write_bytes(bytes(1 << 20))
    none = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)

    def are(qmp):
        inserted = qmp.ask("query-block")[0]["inserted"]
        return {key: inserted[key] for key in none}

    def refused_limits(qmp, cls, says, **args):
        try:
            qmp.ask_raw("block_set_io_throttle", args)
        except Refused as no:
            assert no.cls == cls and says in no.desc, no
        else:
            raise AssertionError(args)

    with Machine("--name", "box", "--disk", image, IDLE) as m, Qmp(socket_path("box")) as qmp:
        assert are(qmp) == none
        assert vireo("set", "box", "disk0.iops=100", "disk0.bps_rd=2M") == (0, "", "")
        assert are(qmp) == none | {"iops": 100, "bps_rd": 2 << 20}
        qmp.ask_raw("block_set_io_throttle", none | {"id": "disk0", "iops_wr": 7})
        assert are(qmp) == none | {"iops_wr": 7}
        qmp.ask_raw("block_set_io_throttle", none | {"device": "disk0"})
        assert are(qmp) == none
        refused_limits(qmp, "GenericError", "cannot be used at the same time", **none | {"id": "disk0", "bps": 1, "bps_rd": 1})
        refused_limits(qmp, "GenericError", "must be 0 or more", **none | {"id": "disk0", "bps": -1})
        refused_limits(qmp, "GenericError", "exactly one", **none)
        refused_limits(qmp, "GenericError", "'iops_max' is not here", **none | {"id": "disk0", "iops_max": 5})
        refused_limits(qmp, "DeviceNotFound", "'disk9' not found", **none | {"id": "disk9"})
        assert are(qmp) == none

with tap.test("a machine that crashes leaves a core of facts, and its clients say where"):
    with Machine("--name", "box", IDLE) as m:
        with Qmp(socket_path("box")) as qmp:
            qmp.ask("stop")
            qmp.ask("cont")
            qmp.wait_event("RESUME")
        watcher = start("events", "--follow", "box")
        read_until(watcher.stdout.fileno(), b"RESUME")
        m.process.send_signal(signal.SIGABRT)
        assert m.process.wait(LONG_S) == -signal.SIGABRT
        facts = socket_path("box").with_suffix(".crash")
        _, err = watcher.communicate(timeout=LONG_S)
        assert watcher.returncode == 5 and f"what it knew: {facts}" in err.decode(), err
        lines = facts.read_text().splitlines()
        assert lines[0].startswith(f"pid {m.process.pid} machine box uuid ") and "fault abort signal 6" in lines[1], lines
        events = [line.split()[6] for line in lines if line.startswith("event ")]
        assert events == ["RESUME", "STOP", "RESUME"], lines
        counts = {line.split()[0]: int(line.split()[1]) for line in lines if len(line.split()) == 2}
        assert counts["uptime-ns"] > 0 and counts["cpus"] == 1, lines
        assert stat.S_IMODE(os.stat(facts).st_mode) == 0o600
    with Machine("--name", "box", IDLE):
        assert not facts.exists()  # of another life
        assert vireo("fork", "box", "--name", "kid") == (0, "kid\n", "")  # clones as well
        with Qmp(socket_path("kid")) as qmp:
            pid = qmp.ask("x-vireo-machine")["pid"]
            os.kill(pid, signal.SIGABRT)
            assert qmp.hear() is None
        kid = socket_path("kid").with_suffix(".crash")
        assert kid.read_text().startswith(f"pid {pid} machine kid uuid "), kid

tap.finish()
