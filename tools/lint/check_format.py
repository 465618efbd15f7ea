#!/usr/bin/env python3
"""Fails when clang-format (14, Debian 12's) would change a C file. --fix changes them."""

import re
import shutil
import subprocess
import sys

from tree import files, finish, show

tool = shutil.which("clang-format-14") or shutil.which("clang-format")
said = tool and subprocess.run([tool, "--version"], stdout=subprocess.PIPE, text=True).stdout
if not tool or not re.search(r"version 14\.", said):
    print("skipped: clang-format 14 is not here; other versions decide differently")
    sys.exit(77)
sources = [path for path in files(".c", ".h")]
if "--fix" in sys.argv:
    sys.exit(subprocess.run([tool, "-i", *sources]).returncode)
ran = subprocess.run([tool, "--dry-run", "-Werror", *sources], stderr=subprocess.PIPE, text=True)
wrong = sorted({line.split(":")[0] for line in ran.stderr.splitlines() if ": error: " in line})
by_name = {str(path): show(path) for path in sources}
finish([f"{by_name.get(name, name)}: run tools/lint/check_format.py --fix, or clang-format -i" for name in wrong],
       len(sources))
