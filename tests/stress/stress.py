#!/usr/bin/env python3
"""`make stress`: Debian in guests of 1, 2 and 4 harts, at work for long, with every result checked.

  stress.py [--harts 1,2,4] [--minutes M] [--engine E] [--only GLOB,...] [--seed N] [--confirm interp|qemu] [-m MIB]
            [--vireo "--mirror always --jit hot=1,code=1M"]

What runs (jobs.py lists it): gcc, whose output is compared with what the same version of the compiler gives natively;
python3's own test suite; OpenSSL's self tests, and published answers; stress-ng --verify. As many jobs at once as there
are harts, in an order drawn from the seed, until all are done or the minutes (of each guest) have passed. --vireo gives
more of its options, with --engine jit; --engine lockstep compares both engines all the way, hundreds of times slower.

Every failure is printed as it happens, and again at the end. --confirm runs what failed once more, with the
interpreter or on QEMU: what fails there too is not the JIT's doing. Needs some GB of disk under ~/.cache/vireo and 200 MB
of downloads, once. Logs: $STRESS_DIR (build/stress)."""

import argparse
import fnmatch
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import time

import debian
import jobs
import vm

MAIN = r"""
. /test/lib.sh
ip link set lo up
export LC_ALL=C.UTF-8 HARTS=%(harts)d LIMIT_S=%(seconds)d
mkdir -p /root/home && export HOME=/root/home
limited() {
    timeout -k 10 "$1" bash -c "$2" 2>&1 </dev/null | tail -c 20000
    return ${PIPESTATUS[0]}
}
one() {
    IFS='|' read -r name limit command <<<"$1"
    read -r up idle </proc/uptime
    [ "${up%%.*}" -lt $LIMIT_S ] || exit 0
    echo "=== $name: begins"
    section "$name" limited "$limit" "$command" >/tmp/.out.$$
    (flock 9; cat /tmp/.out.$$) 9>/tmp/.print
    rm -f /tmp/.out.$$
}
export -f one section limited
tar -C /tmp -xf /test/inputs.tar
xargs -d '\n' -n 1 -P $HARTS bash -c 'one "$1"' _ </test/jobs
"""


class Report:
    """What the guests did, and what of it was wrong."""

    def __init__(self):
        self.passed, self.failed, self.missed = 0, [], 0

    def fail(self, guest, name, what):
        self.failed.append((guest, name))
        print(f"FAILED {guest}: {name}: {what}", flush=True)

    def finish(self):
        print()
        for guest, name in self.failed:
            print(f"failed: {guest}: {name}")
        print(f"stress: {self.passed} jobs passed, {len(self.failed)} failed, {self.missed} not reached")
        return 1 if self.failed or not self.passed else 0


def command(engine, harts, mem, machine, disk, more=""):
    """The command that boots @machine (of debian.machine) with one engine, or on QEMU."""
    if engine != "qemu":
        return [vm.VIREO, "run", *map(str, machine), "--disk", str(disk), "--engine", engine, "-c", str(harts),
                "-m", f"{mem}M", *(shlex.split(more) if engine == "jit" else [])]
    kernel, initrd, line = machine[1], machine[3], machine[5]
    return [vm.fetched("qemu10")[0], "-M", "virt", "-accel", "tcg,thread=multi", "-m", str(mem), "-smp", str(harts),
            "-nographic", "-monitor", "none", "-nodefaults", "-no-user-config", "-serial", "stdio",
            "-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{line} console=ttyS0",
            "-drive", f"file={disk},if=none,id=d0,format=raw", "-device", "virtio-blk-device,drive=d0"]


def run_guest(engine, harts, todo, inputs, args, report, log_dir, slower=1):
    """Runs @todo in one guest; returns the names of what failed."""
    label = f"{engine}, {harts} harts"
    seconds = int(args.minutes * 60)
    failed, last = [], time.monotonic()
    deadline = (seconds + max(job.limit for job in todo) + 300) * slower
    lines = [f"{job.name}|{job.limit * slower}|{job.command}" for job in todo]
    main = MAIN % {"harts": harts, "seconds": seconds * slower}
    files = {"jobs": "\n".join(lines + [""]).encode(), "inputs.tar": inputs, **jobs.files()}
    with debian.scratch() as tmp:
        disk = debian.copy(tmp, disk=jobs.DISK)
        argv = command(engine, harts, args.mem, debian.machine(tmp, main, files), disk, args.vireo)
        with vm.Vm(command=argv, deadline_s=deadline) as guest:
            at, seen = 0, set()
            try:
                while len(seen) < len(todo):
                    at = guest.expect(": exit ", at)
                    end = guest.expect("\n", at)
                    match = re.search(r"^=== (\S+): exit (\d+) at \S+\n\Z", guest.text[max(0, at - 200) : end], re.M)
                    if not match:
                        if guest.text[:at].endswith("\nmain: exit "):
                            break
                        continue
                    name, code = match[1], int(match[2])
                    seen.add(name)
                    now = time.monotonic()
                    print(f"{label}: {name}: exit {code}, {now - last:.0f} s later", flush=True)
                    last = now
                    if jobs.passes(name, code):
                        report.passed += 1
                        continue
                    failed.append(name)
                    begin = guest.text.rfind(f"=== {name}\n", 0, at)
                    what = "took longer than it may" if code in (124, 137) else f"exit {code}"
                    report.fail(label, name, f"{what}\n{guest.text[begin:end][-4000:]}")
                guest.wait()
                if guest.process.returncode:
                    raise AssertionError(f"exit code {guest.process.returncode}")
            except (AssertionError, subprocess.TimeoutExpired) as gone:
                running = set(re.findall(r"^=== (\S+): begins$", guest.text, re.M)) - seen
                report.fail(label, "the guest", f"{gone}\n{guest.errors()}\nrunning: {', '.join(sorted(running))}")
            (log_dir / f"{engine}.{harts}.log").write_text(guest.text)
            for word in ("Oops", "WARNING:", "BUG:", "rcu: INFO", "soft lockup", "I/O error", "EXT4-fs error"):
                if (where := guest.text.find(word)) >= 0:
                    report.fail(label, "the kernel", guest.text[max(0, where - 500) : where + 3000])
            report.missed += len(todo) - len(seen)
        jobs.keep_wrong(disk, log_dir / f"{engine}.{harts}.wrong")
    return failed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--harts", default="1,2,4")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--engine", default="jit")
    parser.add_argument("--only", default="*")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--confirm", choices=["interp", "qemu"])
    parser.add_argument("--vireo", default="")
    parser.add_argument("-m", "--mem", type=int, default=2048)
    args = parser.parse_args()
    log_dir = pathlib.Path(os.environ.get("STRESS_DIR", vm.ROOT / "build/stress")).resolve()
    log_dir.mkdir(parents=True, exist_ok=True)
    globs = args.only.split(",")
    todo = [job for job in jobs.all_jobs() if any(fnmatch.fnmatch(job.name, glob) for glob in globs)]
    if not todo:
        parser.error(f"no job is called like {args.only}")
    print(f"stress: seed {args.seed}; the guest's disk, and natively what it compiles, are made first", flush=True)
    debian.image(jobs.DISK)
    inputs, without = jobs.inputs(log_dir, {job.name for job in todo})
    todo = [job for job in todo if job.name not in without]
    print(f"stress: {len(todo)} jobs; {len(without)} more want headers or a processor that are not here", flush=True)
    report = Report()
    for harts in map(int, args.harts.split(",")):
        random.Random(args.seed + harts).shuffle(todo)
        failed = run_guest(args.engine, harts, todo, inputs, args, report, log_dir)
        if failed and args.confirm:
            again = Report()
            run_guest(args.confirm, harts, [job for job in todo if job.name in failed], inputs, args, again, log_dir,
                      slower=20 if args.confirm == "interp" else 2)
            both = {name for _, name in again.failed} & set(failed)
            print(f"with {args.confirm}, too: {', '.join(sorted(both)) or 'none of them'}", flush=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
