#!/usr/bin/env python3
"""The platform layer on Linux with musl, as static programs: its tests run here. HarmonyOS's C library is musl, too:
for it every file is compiled."""

import pathlib
import re
import sys

from port import ROOT, built, compiled, compiler, said
from tap import Skip, Tap

FOLDER = pathlib.Path(sys.argv[1])
BUILD = FOLDER / "musl"

tap = Tap()

with tap.test("musl: library, tests and examples are built"):
    built(BUILD, "x86_64-musl", compiler())

for program in sorted(BUILD.glob("tests/platform/*_test")):
    with tap.test(f"musl: {program.name} passes"):
        code, text = said([program], TMPDIR="/tmp", VIREO_TREES=str(ROOT / "tests/platform/trees"))
        passed = re.findall(r"^ok \d+ - (?!.*# SKIP)", text, re.M)
        assert code == 0 and passed and "not ok" not in text, text

with tap.test("HarmonyOS: every file of the library compiles"):
    compiler()
    if not (BUILD / "vr_config.h").exists():
        raise Skip("there is no build for musl to take the configuration from")
    folders = "src/base", "src/platform", "src/platform/posix", "src/platform/linux", "src/platform/arm64"
    sources = [str(file.relative_to(ROOT)) for folder in folders for file in sorted((ROOT / folder).glob("*.c"))]
    compiled(FOLDER / "ohos", "aarch64-ohos-cc", sources, "-D_GNU_SOURCE", f"-I{BUILD}",
             "-Wno-gnu-variable-sized-type-not-at-end")

tap.finish()
