#!/usr/bin/env python3
"""Reports source files above 800 lines and fails above 1200: one file, one thing."""

from tree import files, finish, show

problems, checked = [], 0
for path in files(".c", ".h", ".def", ".inc", ".py", ".sh", ".S"):
    checked += 1
    lines = path.read_text().count("\n")
    if lines > 1200:
        problems.append(f"{show(path)}: {lines} lines, at most 1200")
    elif lines > 800:
        print(f"note: {show(path)}: {lines} lines, aim under 400")
finish(problems, checked)
