#!/usr/bin/env python3
"""`make coverage`: which lines of src/ the in-process tests run. Prints a table, the least covered
files first, and leaves what was not reached in build-coverage/not-covered.txt."""

import collections
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-coverage"
SUITES = ["unit", "platform", "dev", "cpu", "fuzz"]


def run(*argv, **more):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, **more)


def collect():
    """{source file: {line: times run}} over everything that was compiled."""
    lines = collections.defaultdict(collections.Counter)
    notes = [str(path) for path in BUILD.rglob("*.gcno") if ".p/src_" in str(path)]
    with tempfile.TemporaryDirectory() as folder:
        run("gcov", "--json-format", *notes, cwd=folder, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for report in pathlib.Path(folder).glob("*.gcov.json.gz"):
            said = json.loads(gzip.decompress(report.read_bytes()))
            for file in said["files"]:
                path = (pathlib.Path(said["current_working_directory"]) / file["file"]).resolve()
                if path.is_relative_to(ROOT / "src"):
                    for line in file["lines"]:
                        lines[str(path.relative_to(ROOT))][line["line_number"]] += line["count"]
    return lines


def main():
    if run(ROOT / "tools/deps.sh", "test").returncode:
        return 3
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL}
    if not (BUILD / "build.ninja").exists():
        run("meson", "setup", BUILD, "--buildtype=debug", "-Db_coverage=true", "-Ddefault_library=static",
            check=True, **quiet)
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    if run("ninja", "-C", BUILD, **quiet).returncode:
        return 1
    wanted = [word for suite in SUITES for word in ("--suite", suite)]
    run("meson", "test", "-C", BUILD, *wanted, **quiet)

    lines = collect()
    missed, hit, total = [], 0, 0
    rows = []
    for path, counts in lines.items():
        reached = sum(1 for count in counts.values() if count)
        rows.append((reached / len(counts), path, reached, len(counts)))
        hit, total = hit + reached, total + len(counts)
        missed += [f"{path}:{number}" for number, count in sorted(counts.items()) if not count]
    for share, path, reached, count in sorted(rows):
        print(f"{100 * share:5.1f} %  {reached:5} of {count:5}  {path}")
    print(f"{100 * hit / max(total, 1):5.1f} %  {hit:5} of {total:5}  all of src/")
    (BUILD / "not-covered.txt").write_text("\n".join(missed) + "\n")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
