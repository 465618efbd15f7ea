"""Recorded hosts (tests/platform/trees, made by tools/record_sysfs.sh) as files, for test scripts."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREES = ROOT / "tests/platform/trees"


def names():
    return sorted(file.stem for file in TREES.glob("*.txt"))


def replay(name, root):
    """Rebuilds tree @name below the directory @root; returns @root."""
    for line in (TREES / f"{name}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        kind, path, *rest = line.split("\t")
        path = root / path
        (path if kind == "d" else path.parent).mkdir(parents=True, exist_ok=True)
        if kind == "l":
            path.symlink_to(rest[0])
        elif kind == "t":
            path.write_text(re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), rest[0]))
        elif kind == "b":
            path.write_bytes(bytes.fromhex(rest[0]))
        elif kind == "e":
            path.touch()
    return root
