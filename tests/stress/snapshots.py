#!/usr/bin/env python3
"""`make soak-snapshots`: snapshots at random moments, and many of them.

  snapshots.py [-n MOMENTS] [-c CYCLES] [-s SEED]

MOMENTS times a stock Debian kernel is saved at a random moment of its boot, and as often at one of a workload that computes
and uses disk and network; each is continued in a new process, by an engine chosen at random, and has to come to what an
undisturbed guest came to. Of each file, random bytes are changed, which has to be found. Then one machine is saved and
restored CYCLES times, and must not grow."""

import argparse
import hashlib
import os
import pathlib
import random
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/guest")]
import tap  # noqa: E402, F401: a runtime folder of our own
import vm  # noqa: E402
from qmp import Qmp, socket_path  # noqa: E402
from work import DISK_THERE, WORK, facts, new_disk  # noqa: E402

FOLDER = vm.kernel_folder()
RAM = vm.initramfs(FOLDER, "-m", "virtio_blk,virtio_net")
TURNS = 25
# A packet that was under way when the machine was saved is lost: it asks twice.
SCRIPT = WORK + DISK_THERE + f"""
ifconfig eth0 10.0.2.15 up 2>/dev/null || ip link set eth0 up
p="ping -c 1 -W 5 10.0.2.2"
net() {{ $p >/tmp/p || $p >/tmp/p || echo no answer; }}
work {TURNS} net"""


def machine(disk):
    return ("--name", "soak", "--kernel", FOLDER / "Image", "--initrd", RAM, "-m", "128M", "--disk", disk)


def worker(disk, *more):
    return vm.Vm("-q", *machine(disk), "-a", f"quiet panic=-1 {vm.run_arg(SCRIPT)}", *more)


def damage(snap, rng):
    """Changed bytes of @snap are found."""
    size = snap.stat().st_size
    with open(snap, "r+b") as f:
        for _ in range(3):
            at = rng.randrange(size)
            f.seek(at)
            was = f.read(1)
            f.seek(at)
            f.write(bytes([was[0] ^ (1 << rng.randrange(8))]))
            f.flush()
            vm.vireo("snapshot", "verify", snap, code=5)
            f.seek(at)
            f.write(was)
            f.flush()


def moment(tmp, rng, expected, boot_s, at_boot):
    """Save at a random moment, continue elsewhere, compare."""
    disk, snap = new_disk(tmp / "disk.img"), tmp / "soak.vsnap"
    first, then = rng.choice(["jit", "interp"]) if not at_boot else "jit", rng.choice(["jit", "interp"])
    compress = rng.choice(["none", "none", "zstd"])
    with worker(disk, "--engine", first) as guest:
        with Qmp(socket_path("soak")) as qmp:  # it listens, and is about to be started
            while not qmp.ask("query-status")["running"]:
                pass
        if at_boot:
            time.sleep(rng.uniform(0, boot_s))  # the moment itself is what is random
        else:
            guest.expect(f"turn {rng.randrange(1, TURNS - 2)}\n")
            time.sleep(rng.uniform(0, 0.1))
        vm.vireo("snapshot", "save", "soak", "--to", snap, "--compress", compress, "-q")
        guest.process.kill()
        guest.process.wait()
        before = guest.text
    if rng.random() < 0.2:
        damage(snap, rng)
    with vm.Vm("-q", snap, "--engine", then, "--snapshot-disks", "revert", deadline_s=400) as guest:
        code = guest.wait()
        assert code == 0, (code, guest.text[-2000:], guest.errors())
        got = facts(before + guest.text)[-1:] + [hashlib.sha256(disk.read_bytes()).hexdigest()]
        bad = [f for f in facts(guest.text) if not f.startswith("sum")]
    assert got == expected and not bad, (got, expected, bad, guest.text[-2000:])


def soak_moments(count, rng, tmp):
    disk = new_disk(tmp / "disk.img")
    begin = time.monotonic()
    with worker(disk) as guest:
        guest.expect("turn 1\n")
        boot_s = time.monotonic() - begin
        assert guest.wait() == 0
        assert facts(guest.text)[-1].startswith("sum ") and len(facts(guest.text)) == 1, guest.text[-2000:]
        expected = facts(guest.text) + [hashlib.sha256(disk.read_bytes()).hexdigest()]
    for at_boot in (True, False):
        for i in range(count):
            moment(tmp, rng, expected, boot_s, at_boot)
            print(f"{'boot' if at_boot else 'work'}: {i + 1} of {count} moments", flush=True)


def holds(pid):
    """Resident KiB that are not guest RAM, and descriptors."""
    kib = sum(int(x) for x in re.findall(r"^(?:RssAnon):\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))
    return kib, len(os.listdir(f"/proc/{pid}/fd"))


def soak_cycles(count, tmp):
    disk = new_disk(tmp / "disk.img")
    with vm.Shell(*machine(disk), deadline_s=10000) as guest, Qmp(socket_path("soak")) as qmp:
        first = None

        def job(command, path):
            qmp.events.clear()
            qmp.ask(command, **{"job-id": "j", "tag": "soak", "x-vireo-path": str(path)})
            while qmp.wait_event("JOB_STATUS_CHANGE")["data"]["status"] != "concluded":
                pass
            told = qmp.ask("query-jobs")
            assert "error" not in told[0], told
            qmp.ask("job-dismiss", id="j")

        for i in range(count):
            job("snapshot-save", tmp / "cycle.vsnap")
            job("snapshot-load", tmp / "cycle.vsnap")
            assert guest.run(f"echo {i}") == f"{i}\n"
            if i == min(50, count // 4):
                first = holds(guest.process.pid)
            if i % 50 == 49:
                print(f"{i + 1} of {count} cycles: {holds(guest.process.pid)}", flush=True)
        last = holds(guest.process.pid)
        assert last[0] <= first[0] + 4096 and last[1] <= first[1] + 2, (first, last)
        print(f"cycles: {count}, anonymous memory {first[0]} KiB then {last[0]} KiB, descriptors {first[1]} then {last[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--moments", type=int, default=50)
    parser.add_argument("-c", "--cycles", type=int, default=1000)
    parser.add_argument("-s", "--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as name:
        tmp = pathlib.Path(name)
        os.environ["XDG_DATA_HOME"] = str(tmp / "data")
        if args.cycles:
            soak_cycles(args.cycles, tmp)
        if args.moments:
            soak_moments(args.moments, random.Random(args.seed), tmp)
    print("all of it: good")


if __name__ == "__main__":
    sys.exit(main())
