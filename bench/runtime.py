#!/usr/bin/env python3
"""`make bench-runtime`: how fast a running machine obeys, next to QEMU, over the same protocol.

  runtime.py [-r ROUNDS] [PEER...]

Both run the same bare-metal guest, which never stops computing: a pause has to reach a CPU that is busy. One client asks
both, in turns. Times are what the client sees, its own share (some 20 us of Python and two wake-ups) included; of each kind
the median and the 99th of 100. It exits with 1 when the first peer that is Vireo misses a goal."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers as who

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import bare
from qmp import Qmp

ASKED, PAUSED, JOINED, FORKED = 2000, 200, 50, 20  # a round
# What is measured: microseconds at most, of Vireo's median.
GOALS = {"ask": 100, "pause": 1000, "resume": 1000, "connect": 1000, "fork": 10000, "stand": 10000}
HELP = {"ask": "query-status, there and back", "pause": "stop, until CPUs stand", "resume": "cont, until they run",
        "connect": "connect, negotiate, hang up", "fork": "vireo fork, until the clone runs",
        "stand": "of that, the parent stands"}


def busy_guest(path):
    program = bare.Program()
    program.label("again")
    program.addi(bare.T1, bare.T1, 1)
    program.jump("again")
    return program.write(path)


def start(peer, folder, guest):
    path = folder / f"{peer.name}.sock"
    argv = who.arguments(peer.start, peer, {"off": guest, "mem": 128})
    argv += ["-q", "--control", f"unix:{path}"] if "vireo" in peer.version else ["-qmp", f"unix:{path},server=on,wait=off"]
    return path, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def timed(fn):
    begin = time.perf_counter_ns()
    fn()
    return (time.perf_counter_ns() - begin) / 1000


def measure(argv, path, samples):
    with Qmp(path) as qmp:
        assert qmp.ask("query-status")["running"]
        samples["ask"] += [timed(lambda: qmp.ask("query-status")) for _ in range(ASKED)]
        for _ in range(PAUSED):
            samples["pause"].append(timed(lambda: qmp.ask("stop")))
            samples["resume"].append(timed(lambda: qmp.ask("cont")))
    for _ in range(FORKED if "vireo" in argv[0] else 0):  # the others have no such thing
        begin = time.monotonic_ns()
        done = subprocess.run([argv[0], "fork", str(path), "--json"], stdout=subprocess.PIPE, check=True)
        told = json.loads(done.stdout)
        samples["fork"].append((told["clones"][0]["running-ns"] - begin) / 1000)
        samples["stand"].append(told["pause-ns"] / 1000)
        subprocess.run([argv[0], "stop", told["clones"][0]["name"]], check=True)
    samples["connect"] += [timed(lambda: Qmp(path).close()) for _ in range(JOINED)]


def table(chosen, samples):
    """Prints it; True when Vireo meets its goals."""
    good, first = True, chosen[0].name
    print(f"{'us':34}" + "".join(f"{p.name + ' p50':>14}{'p99':>9}" for p in chosen) + "   ratio   goal")
    for kind, goal in GOALS.items():
        row, medians = f"{HELP[kind]:34}", []
        for peer in chosen:
            values = sorted(samples[peer.name][kind])
            if not values:
                row += f"{'-':>14}{'-':>9}"
                continue
            medians.append(statistics.median(values))
            row += f"{medians[-1]:14.1f}{values[len(values) * 99 // 100]:9.1f}"
        ratio = f"{medians[0] / medians[1]:8.2f}" if len(medians) > 1 else " " * 8
        print(f"{row}{ratio}{goal:7}")
        good = good and (not medians or medians[0] <= goal)
    print(f"ratio: {first} to {chosen[1].name}, of the medians" if len(chosen) > 1 else "")
    return good or "vireo" not in chosen[0].version


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("peers", nargs="*", default=["vireo", "qemu10"])
    args = parser.parse_args()
    try:
        chosen = [who.find(word, who.read(), {"root": ROOT}) for word in args.peers]
    except who.Unknown as unknown:
        sys.exit(f"runtime: {unknown}")
    samples = {peer.name: {kind: [] for kind in GOALS} for peer in chosen}
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_RUNTIME_DIR"] = name  # of clones
        folder = pathlib.Path(name)
        guest = busy_guest(folder / "busy.elf")
        running = []
        try:
            for _ in range(args.rounds):
                for peer in chosen:
                    path, process = start(peer, folder, guest)
                    running.append(process)
                    measure(process.args, path, samples[peer.name])
                    process.kill()
                    process.wait()
        finally:
            for process in running:
                process.kill()
                process.wait()
    for peer in chosen:
        print(f"{peer.name}: {peer.version}")
    print(f"{args.rounds} rounds on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    return 0 if table(chosen, samples) else 1


if __name__ == "__main__":
    sys.exit(main())
