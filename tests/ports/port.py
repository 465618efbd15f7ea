"""What the tests of ports share: commands, the fetched compiler, a build of the platform layer."""

import os
import pathlib
import re
import shutil
import subprocess

from tap import Skip

ROOT = pathlib.Path(__file__).resolve().parents[2]


def said(argv, path="", **more):
    """Exit code and output; @path goes in front of PATH."""
    env = {key: value for key, value in os.environ.items() if key != "CC"}
    env["PATH"] = f"{path}:{env['PATH']}" if path else env["PATH"]
    ran = subprocess.run(argv, cwd=ROOT, env={**env, **more}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace")
    return ran.returncode, ran.stdout


def compiler():
    """The folder of the commands that tools/cross/zig.sh makes."""
    code, text = said(["tools/cross/zig.sh"])
    if code == 77:
        raise Skip(text.strip())
    assert code == 0, text
    return text.strip().splitlines()[-1]


def public_functions():
    """Those of the headers of the platform layer: every host has them."""
    names = set()
    for path in (ROOT / "include/vireo").glob("*.h"):
        if path.name not in ("vm.h", "device.h", "fork.h", "snapshot.h"):
            names |= set(re.findall(r"^VIREO_API\b[^;(]*?\b(vireo_\w+)\(", path.read_text(), re.M))
    assert len(names) > 80, names
    return names


def built(folder, cross, path):
    """Library, tests and examples of the platform layer, by tools/cross/@cross.ini, whose compiler is in @path; "":
    installed."""
    if not (folder / "build.ninja").exists():
        shutil.rmtree(folder, ignore_errors=True)
        code, text = said(["meson", "setup", folder, "--cross-file", f"tools/cross/{cross}.ini",
                           "-Dparts=platform", "--buildtype=release"], path)
        assert code == 0, text
    code, text = said(["ninja", "-C", folder, "all", "meson-test-prereq"], path)
    assert code == 0, text[max(text.find("FAILED"), 0):][:8000]


def compiled(folder, command, sources, *flags):
    """Every file by itself, as objects in @folder. Returns their paths by source."""
    assert len(sources) > 30, sources
    path = compiler()
    folder.mkdir(exist_ok=True)
    objects = {}
    for source in sources:
        objects[source] = folder / (source.replace("/", "_") + ".o")
        code, text = said([f"{path}/{command}", "-std=c17", "-O1", "-Wall", "-Wextra", "-Werror", "-Isrc",
                           "-Iinclude", *flags, "-c", source, "-o", objects[source]], path)
        assert code == 0, text
    return objects
