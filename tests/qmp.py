"""A small client of the control socket for tests.

    with Qmp(path) as qmp:
        qmp.ask("query-status")"""

import json
import os
import pathlib
import socket
import time

LONG_S = 60


def socket_path(name="vm"):
    return pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / "vireo" / f"{name}.sock"


def pci_functions(qmp):
    """All that query-pci tells, those behind bridges as well."""
    def walk(devices):
        for d in devices:
            yield d
            yield from walk(d.get("pci_bridge", {}).get("devices", []))

    return [d for bus in qmp.ask("query-pci") for d in walk(bus["devices"])]


def pci_place(function):
    """The name that a Linux guest gives to it."""
    return f"0000:{function['bus']:02x}:{function['slot']:02x}.{function['function']}"


class Refused(Exception):
    """The machine answered with an error: .cls and .desc."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.cls, self.desc = error["class"], error["desc"]


class Qmp:
    """@patience_s: how long it is waited for, if nobody listens yet."""

    def __init__(self, path, negotiate=True, patience_s=LONG_S):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LONG_S)
        deadline = time.monotonic() + patience_s
        while True:  # until the machine listens
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < deadline, f"nobody listens at {path}"
                os.sched_yield()
        self.file = self.socket.makefile("rb")
        self.events = []
        self.greeting = self.hear()
        self.ids = 0
        if negotiate:
            self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def hear(self):
        """The next message, or None at the end."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, command, **args):
        return self.ask_raw(command, {key.replace("_", "-"): value for key, value in args.items()})

    def ask_raw(self, command, args):
        """Where names of arguments have underscores of their own."""
        self.ids += 1
        message = {"execute": command, "id": self.ids}
        if args:
            message["arguments"] = args
        self.send(json.dumps(message).encode() + b"\n")
        while True:
            got = self.hear()
            assert got is not None, f"it left without an answer to {command}"
            if "event" in got:
                self.events.append(got)
            else:
                assert got["id"] == self.ids, got
                if "error" in got:
                    raise Refused(got["error"])
                return got["return"]

    def wait_state(self, state):
        """Ask until query-status says @state."""
        deadline = time.monotonic() + LONG_S
        while (told := self.ask("query-status"))["status"] != state:
            assert time.monotonic() < deadline, f"it did not come to {state}: {told}"
            os.sched_yield()

    def wait_event(self, name):
        """The next event of that name, which may have come already."""
        while True:
            for i, event in enumerate(self.events):
                if event["event"] == name:
                    del self.events[: i + 1]
                    return event
            got = self.hear()
            assert got is not None, f"it left without {name}"
            self.events.append(got)


def asked(name, command):
    """What the machine answers; None: there is no such machine, or it is just ending."""
    try:
        with Qmp(socket_path(name), patience_s=0) as qmp:
            return qmp.ask(command)
    except (AssertionError, OSError, Refused, ValueError):  # ValueError: half an answer
        return None


def runs(name):
    """Is there such a machine, and does it run?"""
    return bool((asked(name, "query-status") or {}).get("running"))


class Console:
    """Commands for the shell on a machine's console, by `vireo console`'s command."""

    def __init__(self, name):
        self.qmp = Qmp(socket_path(name))
        self.qmp.send(json.dumps({"execute": "x-vireo-console", "arguments": {"index": 0}}).encode())
        assert "return" in self.qmp.hear()
        self.text = ""

    def send(self, line):
        self.line = line
        self.qmp.send(line.encode() + b"\n")

    def answer(self):
        """What the line that was sent last printed."""
        end = f"done: {self.line}\n"
        while end not in self.text:
            data = self.qmp.file.read1(65536)
            assert data, f"the machine is gone:\n{self.text[-2000:]}"
            self.text += data.decode(errors="replace").replace("\r", "")
        text, _, self.text = self.text.partition(end)
        return text

    def run(self, line):
        self.send(line)
        return self.answer()

    def close(self):
        self.qmp.close()
