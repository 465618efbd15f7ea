#!/usr/bin/env python3
"""Debian with both engines compared as they go (--engine lockstep), and with the least code memory there can be."""

import os
import re

import jit
import vm
from tap import Skip, Tap

SCRIPT = "echo harts $(nproc); echo hello from user space | sha256sum"
HELLO = "e3fc3d9bcacde82d5b322d2b80c2ff773a1609ef6cc272b92c6c3356e978869d"

tap = Tap()
no_jit = jit.why_not(os.environ["VIREO"])
folder = vm.kernel_folder()
base = ["--kernel", folder / "Image", "--initrd", vm.initramfs(folder), "-m", "256M", "--rng", "off"]


def boot(*args):
    """What --jit stats says in the end."""
    if no_jit:
        raise Skip(no_jit)
    with vm.Vm(*base, *args, "-a", "quiet " + vm.run_arg(SCRIPT), deadline_s=400) as guest:
        code, text = guest.wait(), "\n" + guest.text
        assert code == 0, f"exit code {code}: {text[-1000:]}\n{guest.errors()}"
        for line in (HELLO + "  -", "vireo.run: exit 0"):
            assert f"\n{line}\n" in text, f"no line {line!r} in:\n{text[-3000:]}"
        assert "Oops" not in text and "WARNING:" not in text, text[-5000:]
        return guest.errors()


for harts in (1, 2):
    with tap.test(f"compiled and interpreted, Debian does the same: {harts} hart(s)"):
        said = boot("-c", harts, "--engine", "lockstep", "--jit", "stats")
        found = re.search(r"compared (\d+) instructions in (\d+) runs, (\d+) differences did not come back", said)
        assert found, said
        compared, runs, others = map(int, found.groups())
        print(f"# {compared} instructions compared in {runs} runs; {others} differences were others' writes", flush=True)
        assert compared > 500_000_000 and runs > 100_000 and others < runs // 100, said

with tap.test("in 64 KiB of code memory a hart, which is full all the time, Debian boots"):
    said = boot("-c", 2, "--engine", "jit", "--jit", "stats,code=64K")
    found = re.search(r"everything dropped (\d+)", said)
    print(f"# code memory was full {found[1]} times", flush=True)
    assert int(found[1]) > 1000, said

with tap.test("with every user page in mirrors, whatever that costs, Debian boots"):
    said = boot("-c", 2, "--engine", "jit", "--jit", "stats", "--mirror", "always")
    found = re.search(r"pages mirrored (\d+) by (\d+) faults", said)
    print(f"# {found[1]} pages by {found[2]} faults", flush=True)
    assert int(found[1]) > 1000, said

tap.finish()
