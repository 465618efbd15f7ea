#!/usr/bin/env python3
"""Bare-metal programs: the privileged architecture (priv/) and harts together (litmus/).

  bare_metal.py                    on Vireo, `vireo run --firmware none ELF`
  bare_metal.py --engine jit       on one engine only; without: on the interpreter, on the JIT with everything compiled
                                   at once, in the JIT's smallest code memory, which is full all the time, and on
                                   both engines in lockstep
  bare_metal.py --qemu             the same programs on QEMU 10's system emulator: checks the tests
  bare_metal.py csr code           only these

A program ends through the finisher: 0 passed, 4 a check failed (its source line is on the console)."""

import argparse
import os
import pathlib
import subprocess
import tempfile

import cross
import jit
from tap import Skip, Tap

ROOT = cross.HERE.parents[1]
VIREO = os.environ.get("VIREO", str(ROOT / "build/vireo"))
QEMU_CPU = ("rv64,h=off,v=off,zacas=on,zabha=on,zcb=on,zimop=on,zcmop=on,zawrs=on,zfa=on,zfh=on,zicond=on,svadu=on,"
            "svnapot=on,svpbmt=on,svinval=on,smstateen=on,zkr=on,zama16b=off,zicbom=on,zicboz=on")

AIA_CPU = ",smaia=on,ssaia=on"

# name: harts, exit code, what QEMU needs (None: it cannot run it), and, if not virt alone, the machine, and what Vireo
# needs
PRIV = {
    "csr": (1, 0, []),
    "traps": (1, 0, []),
    "illegal": (1, 0, []),
    # QEMU without AIA takes the lowest-numbered interrupt first, which is not the manual's order.
    "interrupts": (1, 0, ["-cpu", "rv64,h=off,smaia=on,ssaia=on"]),
    "aplic": (1, 0, [], "virt,aia=aplic"),
    "imsic": (2, 0, [], "virt,aia=aplic-imsic"),
    "watchdog": (1, 0, ["-device", "i6300esb"], "virt", ["--watchdog", "i6300esb"]),
    "sv39": (1, 0, []),
    "sv48": (1, 0, []),
    "sv57": (1, 0, []),
    "user": (1, 0, []),
    "pmp": (1, 0, []),
    "atomic": (1, 0, []),
    "divide": (1, 0, []),
    "selfmod": (1, 0, []),
    "rewrite": (1, 0, []),
    "cbo": (1, 0, []),
    "counters": (1, 0, ["-icount", "shift=0"]),
    "entropy": (1, 0, []),
    "finisher_fail": (1, 4, []),
    "tohost": (1, 0, None),
    "tohost_fail": (1, 4, None),
}
LITMUS = {
    "mp": (2, 0, []),
    "sb": (2, 0, []),
    "count": (4, 0, []),
    "reserve": (2, 0, []),
    "code": (2, 0, []),
    "shoot": (2, 0, []),
}
# Run by name only. reserve_same: the manual says that SC fails after another hart's store of any value; Vireo's
# SC compares values (as QEMU's does), so a store of the very value that is there goes unseen.
ON_DEMAND = {
    "reserve_same": (2, 0, []),
}


ENGINES = {
    "interp": ["--engine", "interp"],
    "jit": ["--engine", "jit", "--jit", "hot=1"],
    "jit-warm": ["--engine", "jit", "--jit", "hot=3"],
    "jit-mirror": ["--engine", "jit", "--jit", "hot=1", "--mirror", "always"],
    "jit-small": ["--engine", "jit", "--jit", "hot=1,code=64K"],
    "lockstep": ["--engine", "lockstep", "--jit", "hot=1"],
}


# Under lockstep harts take turns: how they race is not to be seen, and asking for it thousands of times takes long.
RACES = {"mp", "sb", "reserve"}


def run(argv, deadline=60):
    try:
        done = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=deadline)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"still running after {deadline} s; console: {late.stdout}") from None
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def on_vireo(elf, harts, engine, machine, options):
    return run([VIREO, "run", "-q", "--machine", machine, "--firmware", "none", "--mmu", "sv57", "-c", harts, "--kernel",
                elf, *ENGINES[engine], *options])


def on_qemu(elf, harts, options, machine):
    qemu = cross.fetched("qemu10")
    if options is None:
        raise Skip("QEMU has no such device")
    if not qemu:
        raise Skip("no QEMU 10")
    cpu = QEMU_CPU + (AIA_CPU if "aia" in machine else "")
    code, text = run([qemu, "-M", machine, "-cpu", cpu, "-smp", harts, "-bios", "none", "-kernel", elf,
                      "-nodefaults", "-display", "none", "-serial", "stdio", *options])
    return (4 if code else 0), text


parser = argparse.ArgumentParser()
parser.add_argument("--qemu", action="store_true")
parser.add_argument("--engine", choices=list(ENGINES))
parser.add_argument("names", nargs="*")
args = parser.parse_args()
tap = Tap()
engines = ["qemu"] if args.qemu else [args.engine] if args.engine else list(ENGINES)
no_jit = None if args.qemu else jit.why_not(VIREO)
for folder, tests in (("priv", PRIV), ("litmus", LITMUS), ("litmus", ON_DEMAND)):
    for name, (harts, want, options, *more) in tests.items():
        machine = more[0] if more else "virt"
        mine = more[1] if len(more) > 1 else []
        if name not in args.names and (args.names or tests is ON_DEMAND):
            continue
        with tempfile.TemporaryDirectory() as place:
            for engine in engines:
                if engine == "lockstep" and name in RACES and not args.names:
                    continue
                with tap.test(f"{folder}/{name} on {engine}"):
                    if no_jit and engine != "interp":
                        raise Skip(no_jit)
                    elf = cross.bare_program(pathlib.Path(place), cross.HERE / folder / f"{name}.S",
                                             *(["-DORACLE_QEMU"] if args.qemu else []))
                    code, text = (on_qemu(elf, harts, options, machine) if args.qemu
                                  else on_vireo(elf, harts, engine, machine, mine))
                    assert code == want, f"ended with {code}, not {want}: {text.strip()}"
tap.finish()
