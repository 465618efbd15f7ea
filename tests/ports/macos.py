#!/usr/bin/env python3
"""The platform layer for macOS (x86_64, arm64), iOS and tvOS: compiled, linked where the system's library is at hand,
and read back: the right processor, the right system, the system's own library and no other, and every public
function in it. Nothing of it can be run here."""

import pathlib
import re
import shutil
import sys

from port import built, compiled, compiler, public_functions, said
from tap import Skip, Tap

FOLDER = pathlib.Path(sys.argv[1])
SYSTEM_LIBRARY = "/usr/lib/libSystem.B.dylib"
MACHINES = {"x86_64": "X86_64", "aarch64": "ARM64"}

tap = Tap()


def read(tool, *args):
    if not shutil.which(tool):
        raise Skip(f"{tool} is not here")
    code, text = said([tool, *args])
    assert code == 0, text
    return text


def judge(file, machine, kind, platform="macos"):
    """What a Mach-O file says of itself. Returns the libraries that it is loaded with."""
    text = read("llvm-objdump", "--macho", "--private-headers", str(file))
    head = next(line for line in text.splitlines() if line.startswith("MH_MAGIC_64")).split()
    assert head[1] == machine and kind in head, f"{file}: {head}"
    assert re.search(rf"cmd LC_BUILD_VERSION\n.*\n\s*platform {platform}\n", text), f"{file}: for another system"
    segments = re.findall(r"segname (\S+)\n(?:\s+\w+ \S+\n)*?\s+initprot (\S+)", text)
    assert not any("w" in prot and "x" in prot for _, prot in segments), f"{file}: {segments}"
    if machine == "ARM64" and kind == "EXECUTE":
        assert "LC_CODE_SIGNATURE" in text, f"{file}: not signed: such a processor's kernel refuses it"
    return re.findall(r"cmd LC_(?:LOAD|LOAD_WEAK|REEXPORT|LAZY_LOAD)_DYLIB\n.*\n\s*name (\S+)", text)


for cpu, machine in MACHINES.items():
    build = FOLDER / f"macos-{cpu}"

    with tap.test(f"{cpu} macOS: library, tests and examples are built"):
        built(build, f"{cpu}-macos", compiler())

    with tap.test(f"{cpu} macOS: the library needs the system's alone, and has what the headers promise"):
        if not (build / "build.ninja").exists():
            raise Skip("it was not built")
        library = build / "libvireo-platform.0.dylib"
        used = judge(library, machine, "DYLIB")
        assert used == [SYSTEM_LIBRARY], used
        exported = set(re.findall(r" [TDS] _(\w+)", read("llvm-nm", "-g", "--defined-only", str(library))))
        exported -= {"__dso_handle", "_mh_dylib_header"}  # the linker's
        wrong = {name for name in exported if not name.startswith("vireo_")}
        assert not wrong, f"exported: {sorted(wrong)}"
        missing = public_functions() - exported
        assert not missing, f"missing: {sorted(missing)}"
        # Hypervisor.framework is for the dynamic loader to find: there is its path, and no link to it.
        assert b"Hypervisor.framework" in library.read_bytes()

    with tap.test(f"{cpu} macOS: programs start with the system's library alone"):
        if not (build / "build.ninja").exists():
            raise Skip("it was not built")
        programs = [file for file in [*build.glob("tests/platform/*_test"), *build.glob("examples/*")]
                    if file.is_file()]
        assert len(programs) >= 10, programs
        for file in programs:
            used = [name for name in judge(file, machine, "EXECUTE") if "libvireo-platform" not in name]
            assert used == [SYSTEM_LIBRARY], f"{file}: {used}"

for system in "iOS", "tvOS":
    with tap.test(f"{system}: every file of the library compiles"):
        build = FOLDER / "macos-aarch64"
        if not (build / "build.ninja").exists():
            raise Skip("there is no build for macOS to take the list of files from")
        listed = said(["ninja", "-C", build, "-t", "inputs", "libvireo-platform.a"])[1]
        sources = sorted(set(re.findall(r"src/(?:base|platform)/\S+\.c$", listed, re.M)))
        objects = compiled(FOLDER / system, f"aarch64-{system.lower()}-cc", sources, f"-I{build}")
        judge(objects["src/platform/darwin/host.c"], "ARM64", "OBJECT", system.lower())

tap.finish()
