#!/usr/bin/env python3
"""Fails on what clang-format 14 cannot decide: a statement without braces, or a tab."""

import re

from tree import files, finish, show

HEAD = re.compile(r"^\s*(?:\} )?(?:else )?(?:if|for|while)\b.*")
DIRECTIVE = re.compile(r"^\s*#")

problems, checked = [], 0
for path in files(".c", ".h"):
    checked += 1
    lines = path.read_text().splitlines()
    number = 0
    while number < len(lines):
        line, start = lines[number], number + 1
        if "\t" in line:
            problems.append(f"{show(path)}:{start}: a tab")
        if DIRECTIVE.match(line):  # a preprocessor line with what continues it
            while lines[number].endswith("\\") and number + 1 < len(lines):
                number += 1
        elif re.match(r"^\s*(\} )?else$", line):
            problems.append(f"{show(path)}:{start}: else without braces")
        elif HEAD.match(line) and not line.lstrip().startswith("} while"):
            text = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])+\'|//.*|/\*.*?\*/', "", line)
            while text.count("(") > text.count(")") and number + 1 < len(lines):
                number += 1
                text += re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])+\'|//.*|/\*.*?\*/', "", lines[number])
            if not re.search(r"[{\\]\s*$", text) and "(" in text:
                problems.append(f"{show(path)}:{start}: {line.strip()[:60]}: without braces")
        number += 1
finish(problems, checked)
