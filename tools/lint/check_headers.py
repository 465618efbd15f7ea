#!/usr/bin/env python3
"""Fails when a header does not compile alone. Headers that are included several times on purpose
(tables) are named *.def or *.inc, and dev/list.h."""

import concurrent.futures
import os
import subprocess
import sys

from tree import ROOT, files, finish, show

build = sys.argv[1]  # the build folder, for the generated configuration header
cc = os.environ.get("CC", "cc").split()
flags = ["-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c",
         f"-I{ROOT}/src", f"-I{ROOT}/include", f"-I{ROOT}/tests", f"-I{build}"]
headers = [path for path in files(".h")
           if show(path).startswith(("src/", "include/", "tests/")) and path.name != "list.h"]


def compile_alone(path):
    # Twice in a row shows a missing include guard too.
    text = f'#include "{path}"\n#include "{path}"\n'
    ran = subprocess.run(cc + flags + ["-"], input=text, text=True, capture_output=True)
    return ran.stderr if ran.returncode else ""


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    results = list(pool.map(compile_alone, headers))
finish([f"{show(path)}: {said}" for path, said in zip(headers, results) if said], len(headers))
