"""Builds the riscv64 programs of tests/cpu with the cross compiler, and finds QEMU's emulators."""

import pathlib
import shutil
import subprocess

from tap import Skip

HERE = pathlib.Path(__file__).resolve().parent
FETCH = HERE.parents[1] / "tools/guest/fetch.sh"
CC = "riscv64-linux-gnu-gcc"
# cpu_diff's extensions that qemu-user 10.0 runs, and how to ask for them; Zicbom always traps there.
ORACLE_CPU = "rv64," + ",".join(f"{e}=on" for e in (
    "zba zbb zbc zbs zicond zfa zfh zfhmin zacas zabha zcb zimop zcmop zawrs zicboz").split()) + ",zama16b=off,v=off"


def compiled(output, sources, *options):
    """The program at @output, or Skip without a cross compiler; warnings are errors."""
    if not shutil.which(CC):
        raise Skip(f"no {CC} (Debian: gcc-riscv64-linux-gnu)")
    done = subprocess.run([CC, "-Wall", "-Wextra", "-Werror", "-static", *options, "-o", str(output), *map(str, sources)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


def oracle_program(folder):
    # No relaxation: signal handlers run with the case's gp.
    return compiled(folder / "oracle_rv", [HERE / "oracle_rv.c"], "-O2", "-mno-relax", "-Wl,--no-relax")


def bare_program(folder, source, *options):
    return compiled(folder / f"{source.stem}.elf", [source], "-nostdlib", "-mcmodel=medany",
                    "-march=rv64gc_zba_zbb_zbc_zbs", "-I", HERE / "priv", *options,
                    "-Wl,-Ttext=0x80000000,--build-id=none,--no-relax,--no-warn-rwx-segments")


def fetched(what):
    """What tools/guest/fetch.sh prints, or None when this machine cannot get it."""
    done = subprocess.run([str(FETCH), what], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
