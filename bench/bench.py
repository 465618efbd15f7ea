#!/usr/bin/env python3
"""`make bench`: Vireo next to its peers, interleaved in one run, as ratios.

  bench.py [-b MODE[;MODE...]] [-r REPS] [-t SECS] [-m MIB] [-s SMP] [PEER...]

MODE is what one guest does: boot, idle, startup, blk, net, root (see rootfs.sh), or benchmarks and
their groups (int fp mem sys smp) with commas between. PEERs are of peers.conf; the first is what the
others are divided by. Everything generated, and results.jsonl, goes to $BENCH_DIR (build/bench)."""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import measure
import report

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MODES = "startup;boot;idle;int,fp;mem;sys;blk;net"


def read_peers():
    peers = {}
    for line in (HERE / "peers.conf").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, *columns = (column.strip() for column in line.split("|"))
            peers[name] = (columns + [""] * 4)[:4]
    return peers


def tool(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


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


def command_of(peer, mode, args, values):
    """The argument list that runs MODE on PEER, or None where the peer cannot."""
    command, disk, net, _ = peer
    in_guest = "{kernel}" in command
    needs = set(mode.split(","))
    if not in_guest and needs & {"boot", "idle", "blk", "net", "root"}:
        return None, in_guest
    if needs & {"blk", "root"}:
        command += " " + disk
    if "net" in needs:
        command += " " + net
    image = values["bench_dir"] / ("root.img" if "root" in needs else "disk.img")
    cmdline = f"console=ttyS0 earlycon bench={mode} bt={args.secs} port={values['port']}"
    filled = command.format(**values, cmdline="\0", disk=image, mem=args.mem, smp=args.smp, secs=args.secs,
                            bench=mode.replace(",", " "))
    return [word.replace("\0", cmdline) for word in shlex.split(filled)], in_guest


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-b", "--bench", default=MODES)
    parser.add_argument("-r", "--reps", type=int, default=3)
    parser.add_argument("-t", "--secs", default="0.5")
    parser.add_argument("-m", "--mem", type=int, default=512)
    parser.add_argument("-s", "--smp", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("peers", nargs="*", default=["qemu10", "vireo"])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what we started, too
    peers = read_peers()
    for name in args.peers:
        if name not in peers:
            parser.error(f"no peer {name}; there are {', '.join(peers)}")

    bench_dir = pathlib.Path(os.environ.get("BENCH_DIR", ROOT / "build/bench")).resolve()
    (bench_dir / "log").mkdir(parents=True, exist_ok=True)
    os.environ["BENCH_DIR"] = str(bench_dir)
    subprocess.run([HERE / "guest.sh"], stdin=subprocess.DEVNULL, check=True)
    guest = bench_dir / "guest"
    values = {"bench_dir": bench_dir, "guest": guest, "kernel": guest / "Image", "initrd": guest / "initrd.gz",
              "bios": guest / "fw_dynamic.bin", "off": guest / "off.elf", "vireo": ROOT / "build/vireo",
              "qemu7": shutil.which("qemu-system-riscv64"), "qemu10": ""}
    if "qemu10" in args.peers:
        values["qemu10"] = tool(ROOT / "tools/guest/fetch.sh", "qemu10")
    modes = args.bench.split(";")
    if "root" in modes and not (bench_dir / "root.img").exists():
        subprocess.run([HERE / "rootfs.sh"], stdin=subprocess.DEVNULL, check=True)
    disk = bench_dir / "disk.img"
    if not disk.exists() and "blk" in modes:
        with open(disk, "wb") as image:
            for _ in range(512):
                image.write(os.urandom(1 << 20))

    records, started = [], []
    with server(bench_dir) as values["port"]:
        for mode in modes:
            for rep in range(args.reps):
                for name in args.peers if rep % 2 == 0 else args.peers[::-1]:
                    if mode == "startup":
                        if rep == 0 and peers[name][3]:
                            off = peers[name][3].format(**values, mem=args.mem, smp=1)
                            started.append((name, measure.startup(off, 9)))
                        continue
                    argv, in_guest = command_of(peers[name], mode, args, values)
                    if argv is None:
                        continue
                    print(f"bench: {mode}: {name}, {rep + 1} of {args.reps}", file=sys.stderr)
                    log = bench_dir / "log" / f"{name}.{mode.replace(',', '+')}.smp{args.smp}.{rep}.log"
                    for record in measure.Guest(argv, args.mem, in_guest).run(log, args.timeout):
                        records.append({"peer": name, "mode": mode, "smp": args.smp, "rep": rep, **record})
                        if record["name"] == "fail":
                            print(f"bench: {name}: {record['what']}", file=sys.stderr)
    with open(bench_dir / "results.jsonl", "a") as results:
        for record in records:
            results.write(json.dumps(record) + "\n")
    report.show(records, started, args.peers)
    return 1 if any(record["name"] == "fail" for record in records) or not (records or started) else 0


if __name__ == "__main__":
    sys.exit(main())
