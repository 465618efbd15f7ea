#!/usr/bin/env python3
"""Fails when a header does not compile alone. Headers without an include guard are tables of
macro calls, included several times on purpose; nothing else may stand in them."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

from tree import ROOT, files, finish, show

build = sys.argv[1]  # the build folder, for the generated configuration header
cc = os.environ.get("CC", "cc").split()
flags = ["-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c",
         f"-I{ROOT}/src", f"-I{ROOT}/include", f"-I{ROOT}/tests", f"-I{build}"]

# Headers that only another system's compiler can read; where that is not installed they are left out.
ELSEWHERE = {"src/platform/windows/": ["x86_64-w64-mingw32-gcc-win32"]}


def compiler_for(path):
    return next((other for folder, other in ELSEWHERE.items() if show(path).startswith(folder)), cc)


def is_table(path):
    text = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/|//[^\n]*', "", path.read_text(), flags=re.S)
    return not re.search(r"^#(?!undef)|^\s*(struct|static|typedef|enum)\b|;", text, re.M)


headers = [path for path in files(".h")
           if show(path).startswith(("src/", "include/", "tests/")) and not is_table(path)
           and shutil.which(compiler_for(path)[0])]


def compile_alone(path):
    # Twice in a row shows a missing include guard too.
    text = f'#include "{path}"\n#include "{path}"\n'
    ran = subprocess.run(compiler_for(path) + flags + ["-"], input=text, text=True, capture_output=True)
    return ran.stderr if ran.returncode else ""


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    results = list(pool.map(compile_alone, headers))
finish([f"{show(path)}: {said}" for path, said in zip(headers, results) if said], len(headers))
