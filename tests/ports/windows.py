#!/usr/bin/env python3
"""The platform layer for Windows (x86_64): compiled, linked and read back: PE files for that processor, which need
DLLs of every Windows alone (WinHvPlatform.dll is not among them: it is there only where that feature is switched on),
and a library that exports every public function and nothing else. tools/run_tests.py runs its tests under Wine."""

import pathlib
import re
import shutil
import sys

from port import built, public_functions, said
from tap import Skip, Tap

BUILD = pathlib.Path(sys.argv[1]) / "windows"
GCC = "x86_64-w64-mingw32-gcc-win32"
LIBRARY = "libvireo-platform-0.dll"
# Part of every Windows; msvcrt.dll is the C library that all of them have.
SYSTEM = {"kernel32.dll", "msvcrt.dll", "bcrypt.dll", "advapi32.dll"}
WHPX = "WinHvPlatform.dll".encode("utf-16-le")

tap = Tap()


def judge(file):
    """What a PE file says of itself: the text, and the DLLs that it is loaded with."""
    code, text = said(["x86_64-w64-mingw32-objdump", "-p", file])
    assert code == 0, text
    assert "file format pei-x86-64" in text, text[:400]
    assert re.search(r"^\s+DYNAMIC_BASE$", text, re.M) and re.search(r"^\s+NX_COMPAT$", text, re.M), \
        f"{file}: neither at a random address nor with data that does not run: {text[:2000]}"
    used = {name.lower() for name in re.findall(r"DLL Name: (\S+)", text)}
    assert "kernel32.dll" in used, used
    return text, used


def exported(text):
    table = text[text.index("[Ordinal/Name Pointer] Table"):]
    return set(re.findall(r"^\s*\[\s*\d+\]\s+(?:\+base\[\s*\d+\]\s+(?:\w+\s+)?)?(\w+)\s*$", table, re.M))


with tap.test("library, tests and examples are built"):
    if not shutil.which(GCC):
        raise Skip(f"{GCC} is not here")
    built(BUILD, "x86_64-windows", "")

with tap.test("the library needs the system's alone, and has what the headers promise"):
    if not (BUILD / "build.ninja").exists():
        raise Skip("it was not built")
    text, used = judge(BUILD / LIBRARY)
    assert used <= SYSTEM, f"not part of every Windows: {sorted(used - SYSTEM)}"
    names, public = exported(text), public_functions()
    assert not public - names, f"missing: {sorted(public - names)}"
    wrong = {name for name in names if not name.startswith("vireo_")}
    assert not wrong, f"exported: {sorted(wrong)}"
    assert WHPX in (BUILD / LIBRARY).read_bytes(), "WHPX is looked for by the loader: there is its name"

with tap.test("programs start with the system's libraries alone"):
    if not (BUILD / "build.ninja").exists():
        raise Skip("it was not built")
    programs = [*BUILD.glob("tests/platform/**/*_test.exe"), *BUILD.glob("examples/*.exe")]
    assert len(programs) >= 20, programs
    for file in programs:
        more = judge(file)[1] - SYSTEM - {LIBRARY}
        assert not more, f"{file}: not part of every Windows: {sorted(more)}"

tap.finish()
