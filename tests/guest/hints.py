#!/usr/bin/env python3
"""A stock kernel moves from process to process while its programs use nearly all of its memory, give it back, and know
what has to be in it; its balloon driver tells what is free. Once with the kernel checking what it fills free pages with
(page_poison), which nobody may lose either. Nothing is wrong afterwards, and what is free was not sent.

MOVES (2) says how often, SECONDS (1) how long it works in between."""

import contextlib
import json
import os
import pathlib
import re
import time

import debian
import vm
from tap import Tap

tap = Tap()
MOVES = int(os.environ.get("MOVES", "2"))
SECONDS = float(os.environ.get("SECONDS", "1"))
FOLDER = vm.kernel_folder()
MIB = 1 << 20


def build(folder):
    out = folder / "memory"
    debian.run("riscv64-linux-gnu-gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Werror", "-static", "-o", out,
               pathlib.Path(__file__).resolve().parent / "programs/memory.c")
    return out


def rounds(guest):
    """How often the program has looked at its memory; fails if it found something."""
    said = guest.run("cat /tmp/memory").strip()
    assert re.fullmatch(r"\d+", said), said[:300]
    return int(said)


def free_mib(guest):
    return int(re.search(r"MemFree: +(\d+) kB", guest.run("grep MemFree /proc/meminfo"))[1]) >> 10


def moves(tmp, append, memory, balloon, times=MOVES):
    """What each move said. The guest works all the time: PEAK, LOW and HIGH of programs/memory.c are @memory. Its
    balloon makes no reports: while one is under way, up to 128 MiB of free memory are out of reach."""
    infos = []
    name = f"hints{os.getpid()}"
    with contextlib.ExitStack() as stack:
        ram = vm.initramfs(FOLDER, "-o", tmp / "ram.cpio", "-m", "virtio_balloon", "-f", f"{tmp}/memory:/bin/memory")
        guest = stack.enter_context(vm.Shell("--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", "-c", "2",
                                             "--balloon", balloon, "--name", f"{name}.0", append=f"quiet {append}"))
        guest.run("modprobe virtio_balloon")
        free = free_mib(guest)
        guest.run(f"memory {memory} /tmp/memory &")
        vm.until(guest, "[ -e /tmp/memory ]")
        for i in range(times):
            before, until = rounds(guest), time.monotonic() + SECONDS
            while rounds(guest) < before + 3 or time.monotonic() < until:
                pass
            uri = f"unix:{tmp}/{i}.sock"
            there = stack.enter_context(vm.Incoming(uri, "--name", f"{name}.{i + 1}"))
            done = vm.vireo("migrate", "--bandwidth", "100M", "--json", f"{name}.{i}", uri, code=None)
            assert done.returncode == 0, (done.stderr, there.errors())
            infos.append(json.loads(done.stdout))
            assert guest.process.wait(60) == 0
            guest = there
            after = rounds(guest)
            assert after >= before
            while rounds(guest) < after + 2:
                pass
        # The driver has let its pages go.
        guest.run("touch /tmp/memory.end")
        vm.until(guest, "! pidof memory >/dev/null")
        assert guest.run("cat /tmp/memory").strip().endswith("ended well"), guest.text[-500:]
        assert free_mib(guest) > free - 40, (free_mib(guest), free)
        said = guest.run("dmesg | grep -iE 'corrupt|bad page|BUG|WARNING|oom' || echo quiet").strip()
        assert said == "quiet", said
        guest.send("poweroff -f\n")
        assert guest.wait() == 0, guest.errors()
    return infos


def told(infos):
    for info in infos:
        ram = info["ram"]
        print(f"# {ram['x-vireo-hinted'] * 4096 // MIB} MiB not sent, {ram['normal'] * 4096 // MIB} MiB sent, "
              f"{ram['dirty-sync-count']} rounds, {info['total-time']} ms, stood still {info['downtime']} ms")
    return [info["ram"]["x-vireo-hinted"] for info in infos]


with contextlib.ExitStack() as stack:
    tmp = pathlib.Path(stack.enter_context(debian.scratch()))
    build(tmp)
    with tap.test("memory that is free is not sent, and nothing is lost of what is used"):
        assert told(moves(tmp, "", "150 20 60", "reporting=off"))[0] > 10 * MIB // 4096
    with tap.test("with hardly any memory free, and free pages that hold what the kernel checks"):
        assert any(told(moves(tmp, "page_poison=1", "130 60 130", "reporting=off")))
    with tap.test("a balloon that takes no hints"):
        assert not any(told(moves(tmp, "", "150 20 60", "reporting=off,hinting=off", 1)))
tap.finish()
