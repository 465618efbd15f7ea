#!/usr/bin/env python3
"""Fails when docs/threats.md names a test that is not there: a file that the build runs, a function in the list
of tests of the file before it, or a quoted property of one; when a row names neither a test nor says that there
is nothing to test; and when a test that is called after a row is in none. The same for the names of tests in docs/virtio.md."""

import re

from tree import ROOT, files, finish, show

DOC = "docs/threats.md"
MUSTS = "docs/virtio.md"


def runs(path):
    """Is the test in its folder's list? Assembler tests have none: a script runs all that are there."""
    if path.suffix != ".c":
        return True
    name = re.sub(r"_(test|fuzz)\.c$", "", path.name)
    build = (path.parent / "meson.build").read_text()
    return re.search(rf"'{re.escape(name)}(_test\.c)?'", build) is not None


def is_test(function, text):
    """Defined in the file, and in the list of its tests."""
    return (re.search(rf"\b{re.escape(function)}\(void \*\*state\)", text) is not None
            and len(re.findall(rf"\b{re.escape(function)}\b", text)) > 1)


problems, checked, named, numbers = [], 0, set(), []


def look_at(doc, row):
    """Are the tests of @row there? Returns them."""
    global checked
    path = text = ""
    tests = re.findall(r"`(tests/[^`]+)`|`(\w+)`|\"([^\"]+)\"", row)
    for path_, function, prop in tests:
        checked += 1
        if path_:
            path = path_
            exists = (ROOT / path).is_file()
            text = (ROOT / path).read_text() if exists else ""
            if not exists:
                problems.append(f"{doc}: no file {path}")
            elif not runs(ROOT / path):
                problems.append(f"{doc}: the build does not run {path}")
        elif not (is_test(function, text) if function else f'"{prop}"' in text):
            problems.append(f"{doc}: no test {function or prop} in {path}: {row[:40]}")
        named.add((path, function))
    return tests


for row in (ROOT / DOC).read_text().splitlines():
    number = re.match(r"\| (\d+) \|", row)
    if not number:
        continue
    numbers.append(int(number[1]))
    tests = look_at(DOC, row)
    if not tests and not re.search(r"\b(no|not) .*\byet\b", row):
        problems.append(f"{DOC}: row {number[1]} names no test, and does not say why")
if numbers != list(range(1, len(numbers) + 1)):
    problems.append(f"{DOC}: rows {numbers}, not 1 to {len(numbers)}")
for path in files(".c"):
    if show(path).startswith("tests/"):
        for function in re.findall(r"\b(row_\d+_\w+)\(void \*\*state\)", path.read_text()):
            if (show(path), function) not in named:
                problems.append(f"{DOC}: {show(path)}: {function} is in no row")
for row in (ROOT / MUSTS).read_text().splitlines():
    if re.match(r"\| \d+\.", row) and not look_at(MUSTS, row.rsplit("|", 2)[1]):
        problems.append(f"{MUSTS}: no test for {row[:60]}")
finish(problems, checked)
