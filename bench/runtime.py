#!/usr/bin/env python3
"""`make bench-runtime`: how fast a running machine obeys, next to QEMU, over the same protocol.

  runtime.py [-r ROUNDS] [PEER...]

Both run the same bare-metal guest, which never stops computing: a pause has to reach a CPU that is busy. One client asks
both, in turns. Times are what the client sees, its own share (some 20 us of Python and two wake-ups) included; of each kind
the median and the 99th of 100. Then a guest of 1 GiB that has used 100 MiB is saved to a file in memory (Vireo: a snapshot;
QEMU: migrate to file:) and continued in a new process, until it runs. It exits with 1 when the first peer that is Vireo
misses a goal."""

import argparse
import json
import os
import pathlib
import signal
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


# Snapshots: a guest of so many MiB that has touched USED of them.
SNAP_MIB, USED_MIB = 1024, 100
SNAP_GOALS = {"restore": 20}  # milliseconds at most, of Vireo's median
SNAP_HELP = {"save": "save, running on", "restore": "new process to first instruction",
             "checked": "the same, all memory read first"}


def touching_guest(path):
    """Writes a word to each page of USED_MIB, then computes for ever."""
    program = bare.Program()
    program.li(bare.T0, bare.RAM + (1 << 20) >> 20)
    program.word(20 << 20 | bare.T0 << 15 | 1 << 12 | bare.T0 << 7 | 0x13)  # slli
    program.li(bare.T2, USED_MIB << 8)
    program.lui(bare.T3, 1)
    program.label("page")
    program.sw(bare.T2, 0, bare.T0)
    program.add(bare.T0, bare.T0, bare.T3)
    program.addi(bare.T2, bare.T2, -1)
    program.beq(bare.T2, bare.ZERO, "again")
    program.jump("page")
    program.label("again")
    program.addi(bare.T1, bare.T1, 1)
    program.jump("again")
    return program.write(path)


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def is_vireo(peer):
    """By what it says it is: a path may have the word in it, whatever lies there."""
    return peer.version.startswith("vireo")


def control(peer, path):
    return ["-q", "--control", f"unix:{path}"] if is_vireo(peer) else ["-qmp", f"unix:{path},server=on,wait=off"]


def save_vireo(qmp, snap):
    qmp.ask("snapshot-save", **{"job-id": "j", "tag": "bench", "x-vireo-path": str(snap)})
    while qmp.wait_event("JOB_STATUS_CHANGE")["data"]["status"] != "concluded":
        pass
    told = qmp.ask("query-jobs")
    assert "error" not in told[0], told


def save_qemu(qmp, snap):
    qmp.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    qmp.ask("migrate", uri=f"file:{snap}")
    while (status := qmp.ask("query-migrate").get("status")) != "completed":
        assert status in ("setup", "active", "device", None), status
    qmp.ask("cont")


def measure_snapshots(peer, folder, guest, samples, running):
    path, snap = folder / f"{peer.name}-s.sock", folder / f"{peer.name}.snap"
    vireo = is_vireo(peer)
    argv = who.arguments(peer.start, peer, {"off": guest, "mem": SNAP_MIB}) + control(peer, path)
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    running.append(process)
    with Qmp(path) as qmp:
        while resident(process.pid) < (USED_MIB << 20):
            os.sched_yield()
        begin = time.perf_counter_ns()
        (save_vireo if vireo else save_qemu)(qmp, snap)
        samples["save"].append((time.perf_counter_ns() - begin) / 1e6)
    process.kill()
    process.wait()
    if vireo:
        argv = [peer.program, "run", "-q", "--control", f"unix:{path}", str(snap)]
        samples["restore"].append(measure_restore(argv, path, vireo, running))
        samples["checked"].append(measure_restore([*argv, "--snapshot-verify"], path, vireo, running))
    else:  # which always reads all
        argv = who.arguments(peer.start, peer, {"off": guest, "mem": SNAP_MIB}) + control(peer, path) + ["-incoming", f"file:{snap}"]
        samples["restore"].append(measure_restore(argv, path, vireo, running))
        samples["checked"].append(samples["restore"][-1])
    snap.unlink()


def measure_restore(argv, path, vireo, running):
    """Milliseconds from the command to the guest's first instruction."""
    path.unlink(missing_ok=True)
    begin = time.time_ns()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    running.append(process)
    with Qmp(path) as qmp:
        while not qmp.ask("query-status")["running"]:
            pass
        end = time.time_ns()
        if vireo:  # it says when
            stamp = next(e["timestamp"] for e in qmp.ask("x-vireo-events") if e["event"] == "RESUME")
            end = stamp["seconds"] * 10**9 + stamp["microseconds"] * 1000
    process.kill()
    process.wait()
    return (end - begin) / 1e6


def snapshot_table(chosen, samples):
    good = True
    print(f"\n{SNAP_MIB} MiB, {USED_MIB} used, ms" + " " * 10 + "".join(f"{p.name:>14}{'MiB/s':>9}" for p in chosen) +
          "   ratio   goal")
    for kind, text in SNAP_HELP.items():
        medians = [statistics.median(samples[peer.name][kind]) for peer in chosen]
        moved = [f"{USED_MIB / m * 1000:9.0f}" if kind != "restore" else f"{'-':>9}" for m in medians]
        row = f"{text:34}" + "".join(f"{m:14.1f}{rate}" for m, rate in zip(medians, moved))
        row += f"{medians[0] / medians[1]:8.2f}" if len(medians) > 1 else ""
        print(row + (f"{SNAP_GOALS[kind]:7}" if kind in SNAP_GOALS else ""))
        good = good and medians[0] <= SNAP_GOALS.get(kind, medians[0])
    return good or not is_vireo(chosen[0])


def start(peer, folder, guest):
    path = folder / f"{peer.name}.sock"
    argv = who.arguments(peer.start, peer, {"off": guest, "mem": 128})
    argv += control(peer, path)
    return path, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def timed(fn):
    begin = time.perf_counter_ns()
    fn()
    return (time.perf_counter_ns() - begin) / 1000


def measure_fork(program, path, samples):
    begin = time.monotonic_ns()
    done = subprocess.run([program, "fork", str(path), "--json"], stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    clone = told["clones"][0]
    try:
        samples["fork"].append((clone["running-ns"] - begin) / 1000)
        samples["stand"].append(told["pause-ns"] / 1000)
    finally:  # it is nobody's child: if it cannot be asked, it is killed
        if subprocess.run([program, "stop", clone["name"]], check=False).returncode:
            os.kill(clone["pid"], signal.SIGKILL)


def measure(peer, path, samples):
    with Qmp(path) as qmp:
        assert qmp.ask("query-status")["running"]
        samples["ask"] += [timed(lambda: qmp.ask("query-status")) for _ in range(ASKED)]
        for _ in range(PAUSED):
            samples["pause"].append(timed(lambda: qmp.ask("stop")))
            samples["resume"].append(timed(lambda: qmp.ask("cont")))
    for _ in range(FORKED if is_vireo(peer) else 0):  # the others have no such thing
        measure_fork(peer.program, path, samples)
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
    return good or not is_vireo(chosen[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("peers", nargs="*", default=["vireo", "qemu10"])
    args = parser.parse_args()
    try:
        chosen = [who.find(word, who.read(), {"root": ROOT}) for word in args.peers]
    except who.Unknown as unknown:
        sys.exit(f"runtime: {unknown}")
    samples = {peer.name: {kind: [] for kind in [*GOALS, *SNAP_HELP]} for peer in chosen}
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        os.environ["XDG_RUNTIME_DIR"] = name  # of clones
        folder = pathlib.Path(name)
        guest = busy_guest(folder / "busy.elf")
        touching = touching_guest(folder / "touching.elf")
        running = []
        try:
            for _ in range(args.rounds):
                for peer in chosen:
                    path, process = start(peer, folder, guest)
                    running.append(process)
                    measure(peer, path, samples[peer.name])
                    process.kill()
                    process.wait()
                    measure_snapshots(peer, folder, touching, samples[peer.name], running)
        finally:
            for process in running:
                process.kill()
                process.wait()
    for peer in chosen:
        print(f"{peer.name}: {peer.version}")
    print(f"{args.rounds} rounds on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    good = table(chosen, samples)
    return 0 if snapshot_table(chosen, samples) and good else 1


if __name__ == "__main__":
    sys.exit(main())
