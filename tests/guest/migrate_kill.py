#!/usr/bin/env python3
"""A stock kernel at work on its disk moves, and source, target or client are killed at a random moment: at most one
machine goes on, it comes to what an undisturbed one comes to, and nothing that the dead left is in anybody's way.

KILLS (3) says how often, SEED (1) which moments."""

import collections
import contextlib
import hashlib
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

import vm
from qmp import Qmp, asked, runs, socket_path
from tap import Tap
from work import DISK_THERE, WORK, facts, new_disk

tap = Tap()
KILLS = int(os.environ.get("KILLS", "3"))
rng = random.Random(int(os.environ.get("SEED", "1")))
PATIENCE_S = 180
TURNS = 14
FOLDER = vm.kernel_folder()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
URI = f"unix:{tmp}/to.sock"


def who_goes_on(here, there):
    """Once it is decided: the process with the machine, or None, if it died with its process."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        gone, never = here.process.poll() is not None, there.process.poll() is not None
        moved = asked("box", "query-migrate")
        if gone and never:
            return None
        if gone and runs("box2"):
            return there
        if moved and moved["status"] in ("failed", "cancelled") or (never and moved and moved["status"] == "none"):
            assert never or there.process.wait(PATIENCE_S) != 0
            assert runs("box"), moved
            return here
        if moved and moved["status"] == "none" and not gone:  # the client died before it said anything
            return here
        os.sched_yield()
    raise AssertionError(f"it is not decided: {moved}, {here.process.poll()}, {there.process.poll()}")


def moving(victim, moment_s, bandwidth):
    """(source, target) after @victim was killed @moment_s after it began."""
    here = guests.enter_context(vm.Shell(snap, "--name", "box", "--snapshot-disks", "revert", boot=False))
    with Qmp(socket_path("box")) as qmp:
        qmp.ask("migrate-set-parameters", max_bandwidth=bandwidth)
    there = guests.enter_context(vm.Incoming(URI, "--name", "box2"))
    client = subprocess.Popen([vm.VIREO, "migrate", "box", URI], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + moment_s
        while time.monotonic() < until:  # the moment is what is random
            os.sched_yield()
        process = {"source": here.process, "target": there.process, "client": client}[victim]
        process.kill()
        process.wait()
        who = who_goes_on(here, there)
        if who is there:  # what the machine says begins here: it may have finished before it moved
            here.wait()
            there.text = here.text
        return here, there, who
    finally:
        client.kill()
        client.wait()


disk = new_disk(tmp / "disk.img")
snap = tmp / "begin.vsnap"
with vm.Shell("--kernel", FOLDER / "Image", "--initrd", vm.initramfs(FOLDER, "-m", "virtio_blk"), "-m", "128M", "--name",
              "box", "--disk", disk, before=WORK, needs=DISK_THERE) as guest:
    guest.send(f"work {TURNS}\n")
    guest.expect("turn 1\n")
    vm.vireo("snapshot", "save", "box", "--to", snap)
    guest.expect(f"done: work {TURNS}\n")
    expected = facts(guest.text)
    guest.send("poweroff -f\n")
    assert guest.wait() == 0
expected_disk = hashlib.sha256(disk.read_bytes()).hexdigest()

went = collections.Counter()
with tap.test(f"{KILLS} times kill -9 of source, target and client: one at most goes on, and finishes its work"):
    for i in range(KILLS):
        victim = ("source", "target", "client")[i % 3]
        moment_s, bandwidth = rng.random() * 0.6, rng.choice([0, 150 << 20, 300 << 20])
        what = (i, victim, moment_s, bandwidth)
        with contextlib.ExitStack() as guests:
            here, there, who = moving(victim, moment_s, bandwidth)
            went[f"{victim}: {'source' if who is here else 'target' if who is there else 'none'}"] += 1
            if who:
                running = [m["name"] for m in json.loads(vm.vireo("ps", "--json").stdout) if runs(m["name"])]
                assert running == ["box" if who is here else "box2"], (what, running)
                who.expect(f"done: work {TURNS}\n")
                assert facts(who.text) == expected, (what, who.text)
                who.send("poweroff -f\n")
                assert who.wait() == 0, (what, who.errors())
                assert hashlib.sha256(disk.read_bytes()).hexdigest() == expected_disk, what
            else:  # names, the disk's lock, the socket: the next one takes them
                assert victim != "client", what
print(f"# killed: who went on: {dict(went)}")

with tap.test("what the dead had is free: names, the disk, the address"):
    with contextlib.ExitStack() as guests:
        here, there, who = moving("client", 0, 0)
        assert who in (here, there)
        who.expect(f"done: work {TURNS}\n")
    assert not json.loads(vm.vireo("ps", "--json").stdout)
    left = sorted(p.name for p in (pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / "vireo").iterdir())
    assert not [name for name in left if name.endswith(".sock")], left
tap.finish()
