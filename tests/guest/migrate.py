#!/usr/bin/env python3
"""A stock kernel at work moves back and forth between processes: it checks its memory and its disk all the time, pings, and
talks TCP, inside and to this host; downtimes are printed.

MOVES sets how often (make migrate-proof)."""

import os
import pathlib
import re
import socketserver
import subprocess
import tempfile
import threading
import time

import vm
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
FOLDER = vm.kernel_folder()
HERE = pathlib.Path(__file__).resolve().parent
MOVES = int(os.environ.get("MOVES", "4"))
class Hear(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(4096):
            Hear.got += 1


Hear.got = 0
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hear)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()


class Guest:
    """The same guest, in one process after the other."""

    def __init__(self, *args):
        self.count = 0
        self.vm = vm.Vm("-q", "--name", "box0", *args)
        self.at = self.vm.expect("guest: up\n")
        self.text = ""

    def run(self, line):
        self.vm.send(line + "\n")
        begin, self.at = self.at, self.vm.expect(f"done: {line}\n", self.at)
        return self.vm.text[begin:self.at - len(f"done: {line}\n")]

    def move(self, uri, *args):
        """To another process; how long it stood still, ms."""
        there = vm.Vm("-q", "--name", f"box{self.count + 1}", "--incoming", uri, *args)
        deadline = time.monotonic() + 60
        while not os.path.exists(uri[5:]):
            assert there.process.poll() is None and time.monotonic() < deadline, there.errors()
            os.sched_yield()
        done = subprocess.run([vm.VIREO, "migrate", f"box{self.count}", uri], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=200, check=False)
        assert done.returncode == 0, (done, there.errors())
        assert self.vm.wait() == 0, self.vm.errors()
        self.text += self.vm.text
        self.vm.__exit__()
        self.vm, self.at = there, 0
        self.count += 1
        print(f"# {done.stdout.decode().strip()}", flush=True)
        return int(re.search(rb"still for (\d+)", done.stdout)[1])

    def counts(self):
        return {name: int(number) for name, number in re.findall(
            r"count\.(\w+)=(\d+)", self.run("for f in /tmp/count.*; do echo ${f#/tmp/}=$(cat $f); done"))}


def after(guest, before, what, deadline_s=120):
    """Wait until each of @what has gone on."""
    deadline = time.monotonic() + deadline_s
    while any((now := guest.counts()).get(k, 0) <= before.get(k, 0) for k in what):
        assert time.monotonic() < deadline, (before, now)
    return now


with tap.test(f"{MOVES} moves of a guest at work"):
    disk = tmp / "disk.img"
    disk.write_bytes(bytes(8 << 20))
    port = server.server_address[1]
    ram = vm.initramfs(FOLDER, "-f", f"{HERE}/migrate.sh:/jobs.sh")
    guest = Guest("--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", "-c", "2", "--disk", disk,
                  "-a", "quiet panic=-1 " + vm.run_arg(f"PORT={port}; . /jobs.sh"))
    jobs = ("m1", "m2", "d", "t")
    counts = after(guest, {}, jobs)
    downtimes = []
    for move in range(MOVES):
        heard = Hear.got
        ends = counts["o"]
        downtimes.append(guest.move(f"unix:{tmp}/to.sock"))
        counts = after(guest, counts, jobs)
        while Hear.got == heard:  # a new connection to this host, soon
            assert guest.counts()["o"] < ends + 20
    print(f"# downtimes, ms: {downtimes}; largest {max(downtimes)}", flush=True)
    counts = guest.counts()
    ping = guest.run("kill -INT $(pidof ping); usleep 300000; tail -4 /tmp/ping")
    print(f"# {counts}; {ping.strip()}", flush=True)
    sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", ping).groups())
    assert sent >= MOVES and sent - got <= MOVES, ping
    log = guest.run("dmesg")
    assert not re.search("lockup|stall|hung|I/O error|BUG|WARNING", log), log
    guest.vm.send("poweroff -f\n")
    assert guest.vm.wait() == 0
    assert "BAD" not in guest.text + guest.vm.text, guest.text + guest.vm.text

tap.finish()
