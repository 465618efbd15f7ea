#!/usr/bin/env python3
"""Random user-mode code on Vireo's engine and on qemu-user: registers, flags, memory and traps must agree.

  diff.py                                in the test run: fixed seeds
  diff.py --count N [--seed S]           a long run, N sequences (make cputest N=... SEED=...)
  diff.py --proof N [--seed S]           until N instructions were compared, each engine in its turn (make cpuproof)

The oracle is Debian 13's qemu-riscv64 (10.0), fetched once; without it Debian 12's 7.2, which lacks the newer
extensions and has a wrong ctzw. What an oracle cannot check is said in the output."""

import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import cross
import jit
from tap import Skip, Tap

DIFF = os.environ["CPU_DIFF"]
OLD_CPU = "rv64,zba=on,zbb=on,zbc=on,zbs=on"
OLD_FEATURES = "none,i,m,a,f,d,c,zba,zbc,zbs,zicsr,zifencei"


class Oracle:
    def __init__(self, folder):
        program = cross.oracle_program(folder)
        qemu = cross.fetched("oracle")
        self.full = qemu is not None
        if self.full:
            self.features = "-zicbom"
            self.left_out = "zicbom (qemu-user has it always off: see priv/cbo.S)"
        else:
            qemu = shutil.which("qemu-riscv64-static") or shutil.which("qemu-riscv64")
            if not qemu:
                raise Skip("no qemu-user for riscv64 (Debian: qemu-user-static)")
            self.features = OLD_FEATURES
            self.left_out = "zbb zicond zfa zfh zacas zabha zcb zimop zcmop zawrs zicboz zicbom (old qemu-user)"
        cpu = cross.ORACLE_CPU if self.full else OLD_CPU
        one = "-one-insn-per-tb" if self.full else "-singlestep"
        self.command = f"exec {qemu} -cpu {cpu} {program}"
        self.judge = f"exec {qemu} {one} -cpu {cpu} {program}"


def compare(oracle, *options, engine="plain"):
    done = subprocess.run([DIFF, "--engine", engine, "--oracle", oracle.command, "--judge", oracle.judge, "--features", oracle.features, *map(str, options)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, f"cpu_diff ended with {done.returncode}"
    found = re.search(r"(\d+) sequences compared, (\d+) instructions", done.stdout)
    totals.update(sequences=int(found[1]), instructions=int(found[2]))


# The engines and ways of running: what is different, cpu_diff's name for it, more of its options. The JIT's compile
# everything; warm: at the third time, so that both engines take part; small: its code memory is full again and again.
PLAIN = [
    ("one instruction a block", "single", []),
    ("through Sv39, pages scattered", "paged", []),
    ("interrupted at any moment", "paged,irq", ["--no-lrsc"]),
]
JIT = [
    ("compiled", "jit", []),
    ("compiled, through Sv39", "jit,paged", []),
    ("compiled, interrupted", "jit,paged,irq", ["--no-lrsc"]),
    ("interpreted and compiled in turns", "jit,paged,warm", []),
    ("compiled into 64 KiB", "jit,paged,small", []),
    ("compiled, mirrored", "jit,paged,mirror", []),
    ("compiled, mirrored, interrupted", "jit,paged,mirror,irq", ["--no-lrsc"]),
    ("compiled and interpreted in lockstep", "lockstep,paged", []),
    ("compiled and interpreted in lockstep, interrupted", "lockstep,paged,irq", ["--no-lrsc"]),
]
ROUND = 50000  # sequences of each in a long proof, then other seeds
totals = collections.Counter()


def prove(oracle, wanted, seed):
    """Rounds of everything, until so many instructions were compared. A difference ends it."""
    ways = [("interpreted", "plain", [])] + PLAIN + ([] if no_jit else JIT)
    count = min(ROUND, max(5000, wanted // 25 // len(ways)))
    while totals["instructions"] < wanted:
        for what, engine, options in ways:
            compare(oracle, "--count", count, "--seed", seed, *options, engine=engine)
            seed += 1
        print(f"# so far {totals['instructions']} instructions, 0 differences", flush=True)


parser = argparse.ArgumentParser()
parser.add_argument("--proof", type=int)
parser.add_argument("--count", type=int)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
tap = Tap()
no_jit = jit.why_not(os.environ["VIREO"])
with tempfile.TemporaryDirectory() as name:
    oracle = None
    with tap.test("the oracle answers"):
        candidate = Oracle(pathlib.Path(name))
        print(f"# oracle: {candidate.command}\n# left out: {candidate.left_out}")
        compare(candidate, "--count", 10)
        oracle = candidate
    if oracle and args.proof:
        with tap.test(f"{args.proof} random instructions, all extensions, each engine: the same"):
            prove(oracle, args.proof, args.seed)
    elif oracle:
        count = args.count or 20000
        with tap.test(f"{count} random sequences give the same state"):
            compare(oracle, "--count", count, "--seed", args.seed)
        for i, (what, engine, options) in enumerate(PLAIN + JIT):
            with tap.test(f"{what}: the same"):
                if no_jit and (what, engine, options) in JIT:
                    raise Skip(no_jit)
                compare(oracle, "--count", max(5000, count // 4), "--seed", args.seed + 2 + i, *options, engine=engine)
        if oracle.full:  # the old one enforces no alignment, and has other extensions than the table
            with tap.test("misaligned atomics trap alike"):
                compare(oracle, "--align-faults", "--count", max(5000, count // 8), "--seed", args.seed + 1)
            with tap.test("any instruction word is legal, or not, on both, with the same effect"):
                compare(oracle, "--mode", "words", "--count", count * 2, "--seed", args.seed)
print(f"# {totals['sequences']} sequences compared, {totals['instructions']} instructions")
tap.finish()
