#!/usr/bin/env python3
"""Fails when something that belongs to one machine stands in the tree: the tree's own path, a
package mirror's host name, a neighbour's folder; or a mark of unfinished work, or a fat file."""

import re
import subprocess

from tree import ROOT, files, finish, show


def mirrors():
    """Host names of the package mirrors that this machine is configured with."""
    try:
        said = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return set()
    hosts = (re.sub(r"^\w[\w+]*://", "", line).split("/")[0] for line in said.stdout.splitlines())
    return {host for host in hosts if "." in host}


EVERYWHERE = {"/", "/tmp", "/var/tmp", "/root", "/home", "/srv", "/opt"}  # folders that say nothing of this machine
bad = [(re.escape(host), "a mirror's host name") for host in sorted(mirrors())]
bad += [(r"deb\.debian\.org|ftp\.\w+\.debian\.org", "a mirror's host name"),
        (re.escape(str(ROOT.parent) + "/") if str(ROOT.parent) not in EVERYWHERE else r"\Z.", "this machine's path"),
        (r"\.\./shared\b|(?<![\w.])/work/", "a folder outside the tree")]
marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|unimplemented|not implemented)\b")

problems, checked = [], 0
for path in files():
    name = show(path)
    body = path.read_bytes()
    checked += 1
    if len(body) > 256 * 1024:
        problems.append(f"{name}: {len(body)} bytes: too fat for the repository")
    if b"\0" in body or name == "tools/lint/check_tree.py":
        continue
    for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1):
        for pattern, what in bad:
            if re.search(pattern, line):
                problems.append(f"{name}:{number}: {what}")
        if name.startswith(("src/", "include/")) and marks.search(line):
            problems.append(f"{name}:{number}: unfinished: {line.strip()}")
finish(problems, checked)
