#!/usr/bin/env python3
"""Fails when docs/threats.md names a test that is not there: a file, a function in the file before it, or a
quoted property of one."""

import re

from tree import ROOT, finish

problems, checked = [], 0
for row in (ROOT / "docs/threats.md").read_text().splitlines():
    if not re.match(r"\| \d+ \|", row):
        continue
    text = ""
    for path, function, prop in re.findall(r"`(tests/[^`]+)`|`(\w+)`|\"([^\"]+)\"", row):
        checked += 1
        if path:
            exists = (ROOT / path).is_file()
            text = (ROOT / path).read_text() if exists else ""
            if not exists:
                problems.append(f"docs/threats.md: no file {path}")
        elif not re.search(rf"\b{re.escape(function)}\b" if function else re.escape(f'"{prop}"'), text):
            problems.append(f"docs/threats.md: no test {function or prop}: {row[:20]}...")
finish(problems, checked)
