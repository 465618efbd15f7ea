#!/usr/bin/env python3
"""Debian at work moves from process to process: it compiles, writes files and reads them back from its disk, checks its
memory, and has a connection and a ping to another guest that stays where it is, through a switch. Nothing is lost,
nothing is reset, and every job goes on.

ROUNDS (2) says how often it moves, MEMORY (512M) how large it is."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import time

import debian
import vm
from hub import Hub
from tap import Tap

tap = Tap()
ROUNDS = int(os.environ.get("ROUNDS", "2"))
MEMORY = os.environ.get("MEMORY", "512M")
MAC = "52:56:52:00:07:0"
PATIENCE_S = 240 + 60 * ROUNDS
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
FILES = {name: (PROGRAMS / name).read_bytes() for name in ("stream.py",)}
NET = """
ip link set lo up
ip addr add 10.7.0.%d/24 dev eth0
ip link set eth0 up
"""
STAYS = NET % 2 + """
python3 /test/stream.py echo 77 >/tmp/echo 2>&1 &
ping -n -D -i 0.1 10.7.0.1 >/tmp/ping 2>&1 &
""" + vm.SHELL
# Each job counts in /tmp/NAME; what goes wrong is in /tmp/wrong.
MOVES = NET % 1 + r"""
wrong() { echo "$1" >>/tmp/wrong; }
count() { echo $2 >/tmp/$1.new; mv /tmp/$1.new /tmp/$1; }
compiles() {
    i=0
    until [ -e /tmp/end ]; do
        echo "int printf(const char *, ...); int main(void) { unsigned x = $i; for (int i = 0; i < 1000000; i++)
            { x = x * 1664525 + 1013904223; } printf(\"%u\", x); }" >/tmp/lcg.c
        gcc -O$((i % 3)) -o /tmp/lcg /tmp/lcg.c && got=$(/tmp/lcg) || wrong "gcc failed"
        # x * A + C a million times is x * A' + C'.
        [ "$got" = $(((i * 586742017 + 4074525504) % 4294967296)) ] || wrong "program $i says $got"
        i=$((i + 1))
        count compiles $i
    done
}
files() {
    i=0
    until [ -e /tmp/end ]; do
        f=/root/file$((i % 8))
        openssl enc -aes-128-ctr -K $(printf %032d $i) -iv $(printf %032d 1) </dev/zero 2>/dev/null | head -c 1500000 >$f
        sync $f
        sum=$(openssl enc -aes-128-ctr -K $(printf %032d $i) -iv $(printf %032d 1) </dev/zero 2>/dev/null |
            head -c 1500000 | sha256sum)
        [ "$(dd if=$f iflag=direct bs=64k status=none | sha256sum)" = "$sum" ] || wrong "file $i is another"
        i=$((i + 1))
        count files $i
    done
}
memory() {
    python3 - <<'END' || wrong "memory is not what it was"
import hashlib, os, random
rng, i = random.Random(3), 0
pages = [rng.randbytes(4096) for _ in range(4096)]
sums = [hashlib.md5(p).digest() for p in pages]
while not os.path.exists("/tmp/end"):
    for _ in range(256):
        k = rng.randrange(4096)
        pages[k] = rng.randbytes(4096)
        sums[k] = hashlib.md5(pages[k]).digest()
    assert all(hashlib.md5(p).digest() == s for p, s in zip(pages, sums))
    i += 1
    with open("/tmp/memory.new", "w") as f:
        f.write(f"{i}\n")
    os.replace("/tmp/memory.new", "/tmp/memory")
END
}
compiles &
files &
memory &
(python3 /test/stream.py send 10.7.0.2 77 /tmp/stream >/tmp/sent 2>&1 || wrong "stream: $(tail -1 /tmp/sent)") &
status() {
    for job in compiles files memory stream; do
        echo "$job: $(cat /tmp/$job 2>/dev/null || echo 0)"
    done
    [ ! -e /tmp/wrong ] || sed 's/^/WRONG: /' /tmp/wrong
}
finish() {
    touch /tmp/end /tmp/stream.end
    wait
    cat /tmp/sent
    status
    sync
    sha256sum /root/file? >/tmp/sums
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum -c --quiet /tmp/sums && echo "files: all there"
    dmesg | grep -iE 'error|oops|warn|stall|lockup' | grep -vE 'ACPI|EDAC' | sed 's/^/WRONG: /'
}
""" + vm.SHELL


def counts(text):
    assert "WRONG" not in text, text
    return {name: [int(n) for n in rest.split()] for name, rest in re.findall(r"^(\w+): ([\d ]+)$", text, re.M)}


def all_go_on(guest, before):
    """Wait until every job has done something more than @before."""
    while True:
        now = counts(guest.run("sleep 1; status"))
        if all(now[name][0] > before.get(name, [0])[0] for name in ("compiles", "files", "memory", "stream")):
            return now
        assert time.monotonic() < guest.deadline, (before, now)


def start(folder, hub, name, card, script, *args, mode="rw"):
    """A Debian that runs @script, which ends in a shell; @card: the last byte of its address."""
    machine = debian.machine(folder, script, FILES)
    return vm.Vm("--name", name, "--net", f"stream,path={hub.path},mac={MAC}{card}", *args, *machine[:-1],
                 f"{machine[-1]} test.mode={mode}", deadline_s=PATIENCE_S)


def longest_silence_ms(text):
    """Between two answers to a ping that told when they came."""
    came = [float(t) for t in re.findall(r"^\[([\d.]+)\] \d+ bytes from", text, re.M)]
    return max(b - a for a, b in zip(came, came[1:])) * 1000


with debian.scratch() as folder, Hub(pathlib.Path(folder) / "hub.sock") as hub, contextlib.ExitStack() as guests:
    disk = debian.copy(folder)
    told = []
    stays = guests.enter_context(start(folder, hub, "stays", 2, STAYS, "-m", "192M", "--disk", f"{debian.image()},ro", mode="ro"))
    here = guests.enter_context(start(folder, hub, "move0", 1, MOVES, "-m", MEMORY, "-c", "2", "--disk", disk))
    for guest in (stays, here):
        guest.at = guest.expect(vm.UP)

    with tap.test(f"Debian at work, {MEMORY}, 2 harts, moves {ROUNDS} times: every job goes on"):
        so_far = all_go_on(here, {})
        for i in range(1, ROUNDS + 1):
            uri = f"unix:{folder}/to{i}.sock"
            there = guests.enter_context(vm.Incoming(uri, "--name", f"move{i}", deadline_s=PATIENCE_S))
            told.append(json.loads(vm.vireo("migrate", f"move{i - 1}", uri, "--json", timeout=PATIENCE_S).stdout))
            assert here.wait() == 0, here.errors()
            here = there
            so_far = all_go_on(here, so_far)
        assert hub.learned[b"\x52\x56\x52\0\x07\1"] == ROUNDS + 1, hub.learned

    with tap.test("the stream is whole on both sides, the ping lives, files and memory are what they were"):
        last = here.run("finish")
        done = counts(last)
        sent = re.search(r"^sent (\d+) blocks$", last, re.M)
        assert sent and "files: all there" in last, last
        echoed = re.search(r"^echoed (\d+) blocks, (\d+) bytes$", stays.run("cat /tmp/echo"), re.M)
        assert echoed and echoed[1] == sent[1], (echoed, sent)
        ping = stays.run("pkill -INT ping; wait %2; cat /tmp/ping")
        asked, answered = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", ping).groups())
        here.send("sync; mount -o remount,ro /; busybox poweroff -f\n")
        assert here.wait() == 0, here.errors()
        debian.fsck(disk)
        down = [m["downtime"] for m in told]
        ram = [m["ram"] for m in told]
        print(f"# stood still: median {statistics.median(down):.0f} ms, max {max(down)} ms; each: {down}")
        print(f"# took: median {statistics.median(m['total-time'] for m in told):.0f} ms; rounds: "
              f"{[r['dirty-sync-count'] for r in ram]}; MiB: {[r['transferred'] >> 20 for r in ram]}")
        print(f"# stream: {echoed[2]} bytes each way in {sent[1]} blocks, longest wait {done['stream'][2]} ms")
        print(f"# ping: {answered} of {asked} answered, longest silence {longest_silence_ms(ping):.0f} ms; "
              f"the hub dropped {hub.lost} frames")
        print(f"# jobs: {done}")
        assert asked - answered <= 2 * ROUNDS + sum(down) // 100, (asked, answered)
tap.finish()
