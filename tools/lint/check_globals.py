#!/usr/bin/env python3
"""Fails when the library holds writable data that is shared by all machines of a process: an object
in .data, .bss or thread-local storage. Constant tables that hold pointers live in .data.rel.ro and
are fine."""

import re
import subprocess
import sys

from tree import finish

# name: why one copy for the whole process is right.
ALLOWED = {
    "fault_state": "a process has one handler for a signal",
    "fault_before": "and one that was there before",
    "host_facts": "a process runs on one host; its facts are looked up once",
    "host_cpu_id": "the same, for its processor alone",
    "host_kind": "the same, for the kind of system alone",
    "caps_found": "what works on that host, tried once",
    "caps_once": "so that it is tried once",
    "stdio_taken": "a process has one standard input, and so one user of it",
}
RUNTIME = {"completed.0", "__dso_handle"}  # the compiler's own


def plain(name):
    """As in the source: without what the compiler adds to static names."""
    return re.sub(r"(\.lto_priv)?\.\d+$", "", name)


def readelf(option):
    return subprocess.run(["readelf", "-W", option, sys.argv[1]], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


writable = {}
for line in readelf("-S").splitlines():
    match = re.match(r"\s*\[\s*(\d+)\] (\S+)\s+(PROGBITS|NOBITS)\s.*?\s([WAXMSIT]*[WT][WAXMSIT]*)\s", line)
    if match and re.match(r"\.(data|bss|tdata|tbss|sdata|sbss)(?!\.rel\.ro)", match[2]):
        writable[match[1]] = match[2]

problems, checked = [], 0
for line in readelf("-s").splitlines():
    word = line.split()
    if len(word) < 8 or word[3] not in ("OBJECT", "TLS") or word[2] == "0":
        continue
    checked += 1
    name = word[7]
    if name.startswith("__odr_asan."):  # the sanitizer's marks, one for each exported or shared constant
        continue
    if word[6] in writable and name not in RUNTIME and plain(name) not in ALLOWED:
        problems.append(f"{name}: {word[2]} bytes of process-wide state in {writable[word[6]]}")
finish(sorted(set(problems)), checked)
