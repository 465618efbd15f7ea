#!/usr/bin/env python3
"""`make bench`: Vireo next to its peers, interleaved in one run, as ratios.

  bench.py [-b MODE[;MODE...]] [-r REPS] [-t SECS] [-m MIB] [-s SMP] [--conf FILE] [--no-history] [PEER...]

MODE is what one guest does: boot, idle, startup, blk (image on a disk), blkmem (image in memory), net, fs, root
(programs of a Debian userland), or benchmarks and their groups (int fp mem sys smp) with commas between; smp has two
harts at least. PEERs are names of peers.conf (or of FILE), or paths of a vireo or a QEMU ([NAME=]PATH); the first is
what the others are divided by. Default: qemu10 vireo native. Everything generated, and results.jsonl, goes to $BENCH_DIR (build/bench); a
run of all computing groups goes into the history (see history.py). The last line is `geomean vs QEMU: N.NN`, over all
programs of int, fp, mem and sys."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests/guest"))
import debian  # noqa: E402
import history  # noqa: E402
import measure  # noqa: E402
import peers as who  # noqa: E402
import report  # noqa: E402

MODES = "startup;boot;idle;int,fp;mem;sys;smp;blk;blkmem;net;fs"
IN_GUEST = {"boot", "idle", "blk", "blkmem", "net", "fs", "root"}  # what native code has no twin of
DISK_MIB = 512
USERLAND = debian.ROOT_DISK._replace(name="bench", packages=[*debian.PACKAGES, "xz-utils"])


@contextlib.contextmanager
def server(bench_dir):
    """The host's end of the network benchmark; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([bench_dir / "guest/net.native", "server", str(port)])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def share(peer, values):
    """A folder for the guest, and where the emulator does not serve it itself, who does."""
    with tempfile.TemporaryDirectory(dir=values["bench_dir"]) as folder, contextlib.ExitStack() as stack:
        more = {"share": pathlib.Path(folder) / "share", "socket": pathlib.Path(folder) / "socket"}
        more["share"].mkdir()
        if "{socket}" in peer.share:
            program = who.said_by(ROOT / "tools/guest/fetch.sh", "virtiofsd").splitlines()[-1]
            listener = socket.socket(socket.AF_UNIX)  # ours, so that the emulator can connect before virtiofsd is up
            listener.bind(str(more["socket"]))
            listener.listen(1)
            process = subprocess.Popen([program, f"--fd={listener.fileno()}", f"--shared-dir={more['share']}",
                                        "--sandbox=none", "--log-level=error"], pass_fds=[listener.fileno()])
            listener.close()
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield more


def command_of(peer, mode, args, values):
    """The argument list that runs MODE on PEER, or None where the peer cannot."""
    command = peer.command
    in_guest = "{kernel}" in command
    needs = set(mode.split(","))
    if not in_guest and needs & IN_GUEST:
        return None, in_guest
    for devices, wanted in ((peer.disk, needs & {"blk", "blkmem", "root"}), (peer.net, "net" in needs),
                            (peer.share, "fs" in needs)):
        if wanted:
            command += " " + devices
            if not devices:
                return None, in_guest
    image = values["images"]["blk" if "blk" in needs else "blkmem" if "blkmem" in needs else "root"]
    cmdline = f"console=ttyS0 earlycon bench={mode} bt={args.secs} port={values['port']}"
    more = {**values, "cmdline": cmdline, "disk": image, "mem": args.mem, "smp": harts_of(mode, args), "secs": args.secs}
    argv = who.arguments(command.replace("{bench}", mode.replace(",", " ")), peer, more)
    return argv, in_guest


def harts_of(mode, args):
    return max(args.smp, 2) if "smp" in mode.split(",") else args.smp


def host():
    model = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return {"cpu": (model or [platform.processor() or platform.machine()])[0], "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def commit():
    git = ["git", "-C", ROOT, "-c", f"safe.directory={ROOT}"]
    head = who.said_by(*git, "rev-parse", "--short=10", "HEAD")
    return (head or "unknown") + ("+" if who.said_by(*git, "status", "--porcelain") else "")


def run_all(chosen, modes, args, values):
    """(records, what startup gave) of all runs, interleaved."""
    records, started = [], []
    for mode in modes:
        for rep in range(args.reps):
            for peer in chosen if rep % 2 == 0 else chosen[::-1]:
                if mode == "startup":
                    if rep == 0 and peer.start:
                        more = {**values, "mem": args.mem, "smp": 1}
                        started.append((peer.name, measure.startup(who.arguments(peer.start, peer, more), 9)))
                    continue
                with share(peer, values) if mode == "fs" else contextlib.nullcontext({}) as more:
                    argv, in_guest = command_of(peer, mode, args, {**values, **more})
                    if argv is None:
                        continue
                    print(f"bench: {mode}: {peer.name}, {rep + 1} of {args.reps}", file=sys.stderr)
                    smp = harts_of(mode, args)
                    log = values["bench_dir"] / "log" / f"{peer.name}.{mode.replace(',', '+')}.smp{smp}.{rep}.log"
                    found = measure.Guest(argv, args.mem, in_guest).run(log, args.timeout)
                for record in found:
                    records.append({"peer": peer.name, "mode": mode, "smp": smp, "rep": rep, **record})
                    if record["name"] == "fail":
                        print(f"bench: {peer.name}: {record['what']}", file=sys.stderr)
    return records, started


def make_inputs(bench_dir, modes):
    """What guests boot and read, in $BENCH_DIR; gives the names for peers.conf."""
    (bench_dir / "log").mkdir(parents=True, exist_ok=True)
    os.environ["BENCH_DIR"] = str(bench_dir)
    subprocess.run([HERE / "guest.sh"], stdin=subprocess.DEVNULL, check=True)
    images = {"blk": bench_dir / "disk.img", "root": bench_dir / "root.img",
              "blkmem": pathlib.Path(f"/dev/shm/vireo-bench-{os.getuid()}.img")}
    for mode in {"blk", "blkmem"} & set(modes):
        with open(images[mode], "r+b" if images[mode].exists() else "w+b") as image:
            while image.seek(0, os.SEEK_END) < DISK_MIB << 20:
                image.write(os.urandom(1 << 20))
    if "root" in modes:
        shutil.copy(debian.image(USERLAND), images["root"])
    guest = bench_dir / "guest"
    return {"root": ROOT, "bench_dir": bench_dir, "images": images, "guest": guest, "kernel": guest / "Image", "initrd": guest / "initrd.gz",
            "bios": guest / "fw_dynamic.bin", "off": guest / "off.elf"}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-b", "--bench", default=MODES)
    parser.add_argument("-r", "--reps", type=int, default=3)
    parser.add_argument("-t", "--secs", default="0.5")
    parser.add_argument("-m", "--mem", type=int, default=512)
    parser.add_argument("-s", "--smp", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--conf", action="append", default=[])
    parser.add_argument("--no-history", action="store_true")
    parser.add_argument("peers", nargs="*", default=["qemu10", "vireo", "native"])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what we started, too
    modes = args.bench.split(";")
    bench_dir = pathlib.Path(os.environ.get("BENCH_DIR", ROOT / "build/bench")).resolve()
    values = make_inputs(bench_dir, modes)
    try:
        lines = who.read(args.conf)
        chosen = [who.find(word, lines, values) for word in args.peers]
    except (who.Unknown, OSError) as wrong:
        parser.error(str(wrong))
    names = [peer.name for peer in chosen]
    if len(set(names)) < len(names):
        parser.error(f"two peers have one name: {', '.join(names)}; say NAME=PATH")

    about = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit(),
             "host": host(), "versions": {peer.name: peer.version for peer in chosen},
             "settings": {"bench": args.bench, "reps": args.reps, "secs": args.secs, "mem": args.mem, "smp": args.smp}}
    try:
        with server(bench_dir) as values["port"]:
            records, started = run_all(chosen, modes, args, values)
    finally:
        values["images"]["blkmem"].unlink(missing_ok=True)
    with open(bench_dir / "results.jsonl", "a") as results:
        for record in records:
            results.write(json.dumps(record) + "\n")
    if not (records or started):
        print("bench: nothing was measured", file=sys.stderr)
        return 1
    run = {**about, **report.summary(records, started, names)}
    failed = any(record["name"] == "fail" for record in records)
    moved = None
    # Parts of the programs have other means, and what failed has none: neither belongs into the trend.
    if not args.no_history and not failed and set(report.COMPUTING) <= set(run["groups"]):
        path = history.place()
        try:
            history.append(path, run)
            moved = history.last_change(history.read(path))
        except (history.Damaged, OSError) as wrong:
            print(f"bench: the history is not kept: {wrong}", file=sys.stderr)
    tables, _, end = report.text(run).rpartition("\n\n")
    print("\n" + "\n\n".join(part for part in (tables, moved, end) if part))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
