#!/usr/bin/env python3
"""Fails when the shared library exports a name that is not vireo_*, or exports what no header declares."""

import re
import subprocess
import sys

from tree import ROOT, finish

said = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], stdout=subprocess.PIPE, text=True,
                      check=True)
names = [line.split()[-1] for line in said.stdout.splitlines() if line.split()[-2] != "A"]
declared = "\n".join(path.read_text() for path in (ROOT / "include/vireo").glob("*.h"))
problems = []
for name in names:
    if not name.startswith("vireo_"):
        problems.append(f"{name} is exported: only vireo_* may be")
    elif not re.search(rf"\b{name}\b", declared):
        problems.append(f"{name} is exported, but no header in include/vireo declares it")
finish(problems, len(names))
