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
MOVES = int(os.environ.get("MOVES", "4"))
# What runs in the guest; then a command a line of the console.
SCRIPT = r"""
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
memory() {
    n=0
    while :; do
        head -c 6m /dev/urandom >/tmp/m$1; s=$(sha256sum </tmp/m$1)
        for k in 1 2 3; do
            cat /tmp/m$1 >/tmp/n$1; [ "$(sha256sum </tmp/n$1)" = "$s" ] || echo BAD memory $1
        done
        n=$((n+1)); echo $n >/tmp/count.m$1
    done
}
disk() {
    n=0; head -c 1m /dev/urandom >/tmp/d
    while :; do
        dd if=/tmp/d of=/dev/vda bs=64k seek=$((n % 8 * 16)) count=16 oflag=direct 2>/dev/null || echo BAD write
        dd if=/dev/vda bs=64k skip=$((n % 8 * 16)) count=16 iflag=direct 2>/dev/null | cmp - /tmp/d || echo BAD disk
        n=$((n+1)); echo $n >/tmp/count.d
    done
}
inside() { # one connection, for ever
    nc -l -p 7000 | awk '{ if ($1 != NR) print "BAD tcp"; if (NR % 50 == 0) { print NR >"/tmp/count.t"; close("/tmp/count.t") } }' &
    n=0; while :; do n=$((n+1)); echo $n; usleep 2000; done | nc 10.0.2.15 7000; echo BAD tcp ended
}
outside() { # connections to this host, each until it is reset
    n=0; while :; do while echo x; do usleep 50000; done | nc 10.0.2.2 $PORT >/dev/null; n=$((n+1)); echo $n >/tmp/count.o; done
}
memory 1 & memory 2 & disk & inside & outside &
ping 10.0.2.2 >/tmp/ping &
echo 0 >/tmp/count.o
stty -echo
echo guest: up
while read -r line; do eval "$line"; echo "done: $line"; done
"""


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
    guest = Guest("--kernel", FOLDER / "Image", "--initrd", vm.initramfs(FOLDER), "-m", "256M", "-c", "2", "--disk", disk,
                  "-a", "quiet panic=-1 " + vm.run_arg(SCRIPT.replace("$PORT", str(port))))
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
