#!/usr/bin/env python3
"""Big-endian hosts are refused while the build is set up, and, should a cross file lie, by the compiler."""

import pathlib
import shutil
import sys

from port import said
from tap import Skip, Tap

FOLDER = pathlib.Path(sys.argv[1]) / "big-endian"
GCC = "aarch64-linux-gnu-gcc"

tap = Tap()


for parts in "platform", "all":
    with tap.test(f"meson setup is refused with the reason: -Dparts={parts}"):
        if not shutil.which(GCC):
            raise Skip(f"{GCC} is not here")
        shutil.rmtree(FOLDER, ignore_errors=True)
        code, text = said(["meson", "setup", FOLDER, "--cross-file", "tools/cross/aarch64_be-linux.ini",
                           f"-Dparts={parts}"])
        shutil.rmtree(FOLDER, ignore_errors=True)
        assert code != 0 and "ERROR" in text and "little-endian hosts only" in text, text

with tap.test("the compiler refuses, too"):
    if not shutil.which(GCC):
        raise Skip(f"{GCC} is not here")
    file = "src/platform/arch.c"
    code, text = said([GCC, "-mbig-endian", "-Isrc", "-Iinclude", "-fsyntax-only", file])
    assert code != 0 and "little-endian hosts only" in text, text
    code, text = said([GCC, "-Isrc", "-Iinclude", "-fsyntax-only", file])
    assert code == 0, text

tap.finish()
