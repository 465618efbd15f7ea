#!/usr/bin/env python3
"""The JIT's code for arm64: cpu_diff is built for that host, runs under qemu-user, and its compiled code is compared with
qemu-user for riscv64, as in diff.py.

  arm64.py BUILD_FOLDER                 in the test run: fixed seeds
  arm64.py BUILD_FOLDER --count N [--seed S]"""

import argparse
import pathlib
import re
import shutil
import subprocess
import tempfile

import cross
from tap import Skip, Tap

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRIPLET = "aarch64-linux-gnu"


def run(argv):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}:\n" + done.stdout[-3000:]
    return done.stdout


def built(folder):
    """The command that runs cpu_diff for arm64."""
    if not shutil.which(f"{TRIPLET}-gcc"):
        raise Skip(f"no {TRIPLET}-gcc (Debian: gcc-aarch64-linux-gnu)")
    sysroot, emulator = cross.fetched("sysroot"), cross.fetched("user-arm64")
    if not sysroot or not emulator:
        raise Skip("arm64's libraries, or an emulator that heeds 'ic ivau' (qemu-user 8.1 or later), cannot be fetched")
    if not (folder / "build.ninja").exists():
        run(["meson", "setup", folder, ROOT, "--cross-file", f"{sysroot}/cross.ini", "--buildtype=release", "-Ddefault_library=static"])
    run(["ninja", "-C", folder, "tests/cpu/cpu_diff"])
    libraries = f"{sysroot}/usr/lib/{TRIPLET}:{sysroot}/lib/{TRIPLET}"
    return [emulator, f"{sysroot}/lib/{TRIPLET}/ld-linux-aarch64.so.1", "--library-path", libraries, folder / "tests/cpu/cpu_diff"]


parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--count", type=int, default=10000)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
tap = Tap()
diff = None
with tempfile.TemporaryDirectory() as name:
    with tap.test("cpu_diff is built for arm64"):
        diff = built(args.folder)
        oracle = cross.fetched("oracle")
        if not oracle:
            diff = None
            raise Skip("no qemu-riscv64 10.0 can be fetched")
        options = f"-cpu {cross.ORACLE_CPU} {cross.oracle_program(pathlib.Path(name))}"
        oracle, judge = f"exec {oracle} {options}", f"exec {oracle} -one-insn-per-tb {options}"
    for nth, (what, engine, more) in enumerate((("compiled", "jit", []), ("compiled, through Sv39", "jit,paged", []),
                                                ("compiled, interrupted", "jit,paged,irq", ["--no-lrsc"]))):
        if not diff:
            break
        with tap.test(f"{what} for arm64: {args.count} random sequences give the same state"):
            text = run([*diff, "--engine", engine, "--oracle", oracle, "--judge", judge, "--features", "-zicbom", "--count", args.count,
                        "--seed", args.seed + nth, *more])
            print(text, end="", flush=True)
            assert int(re.search(r"(\d+) sequences compared", text)[1]) == args.count, text
tap.finish()
