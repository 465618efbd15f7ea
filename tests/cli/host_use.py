#!/usr/bin/env python3
"""How a machine uses its host: huge pages, NUMA nodes, processors for harts. What the kernel says of the
running process (/proc) is the judge."""

import json
import pathlib
import re
import subprocess
import tempfile

import bare
from command import read_until, refused, start, vireo
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
IDLE = str(bare.idle_program().write(pathlib.Path(folder.name) / "idle.elf"))
RUN = ("run", "--firmware", "none", "-q", "-m", "32M", "-c", "3")
host = json.loads(vireo("platform", "--json")[1])


def cpus_of(text):
    found = set()
    for piece in text.strip().split(","):
        first, _, last = piece.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def while_running(*options):
    """What /proc says of each hart's thread (its processors), and of guest memory (smaps, numa_maps)."""
    with start(*RUN, *options, IDLE, stdin=subprocess.DEVNULL) as process:
        read_until(process.stdout.fileno(), b"idle")
        harts, proc = {}, pathlib.Path(f"/proc/{process.pid}")
        for task in (proc / "task").iterdir():
            name = (task / "comm").read_text().strip()
            if name.startswith("vr-cpu"):
                harts[int(name[6:])] = cpus_of(re.search(r"Cpus_allowed_list:\s*(\S+)",
                                                         (task / "status").read_text())[1])
        smaps = (proc / "smaps").read_text()
        numa = (proc / "numa_maps").read_text() if (proc / "numa_maps").exists() else ""
        process.terminate()
        process.wait()
    ram = [part for part in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps) if "memfd:ram" in part.split("\n")[0]]
    assert sorted(harts) == [0, 1, 2] and len(ram) == 1, (harts, len(ram))
    return harts, ram[0], [line for line in numa.splitlines() if "memfd:ram" in line]


usable = {cpu["id"] for cpu in host["cpu"]["list"] if cpu["usable"]}

with tap.test("without options harts run wherever we may, in plain pages"):
    harts, ram, numa = while_running()
    assert all(cpus == usable for cpus in harts.values()), harts
    assert "MMUPageSize:           4 kB" in ram or host["memory"]["page_bytes"] != 4096

for policy in ("spread", "compact"):
    with tap.test(f"--pin {policy}: a processor a hart, all of them in turn"):
        harts, _, _ = while_running("--pin", policy)
        assert all(len(cpus) == 1 and cpus <= usable for cpus in harts.values()), harts
        assert len(set.union(*harts.values())) == min(3, len(usable)), harts

with tap.test("--pin local, with and without a node"):
    for more in ((), ("--numa-node", str(host["cpu"]["list"][0]["node"]))):
        harts, _, numa = while_running("--pin", "local", *more)
        nodes = {cpu["node"] for cpu in host["cpu"]["list"] if cpu["id"] in set.union(*harts.values())}
        assert len(nodes) == 1 and all(cpus <= usable for cpus in harts.values()), harts
        if more and numa:
            assert f"bind:{more[1]}" in numa[0] or "bind=" in numa[0], numa

with tap.test("--huge-pages: memory is made of them, or the number to set is said"):
    sizes = {page["page_bytes"]: page["free"] for page in host["memory"]["huge_pages"]}
    if 2 << 20 not in sizes:
        refused(3, *RUN, "--huge-pages", "2M", IDLE, says="the host has none of 2048 KiB")
    elif sizes[2 << 20] < 16:
        refused(3, *RUN, "--huge-pages", "2M", IDLE, says="16 of 2048 KiB are needed")
    else:
        _, ram, _ = while_running("--huge-pages", "2M")
        assert re.search(r"MMUPageSize:\s+2048 kB", ram), ram

with tap.test("what the host has not is refused, and said; so is nonsense"):
    refused(3, *RUN, "--numa-node", "999", IDLE, says="no such node")
    refused(3, "run", "-q", "--firmware", "none", "--explain", "--numa-node", "999", IDLE, says="no such node")
    refused(3, *RUN, "--huge-pages", "64G", IDLE, says="none of 67108864 KiB")
    refused(2, *RUN, "--huge-pages", "3M", IDLE, says="expected a page size such as 2M or 1G, or off")
    refused(2, *RUN, "--numa-node", "x", IDLE, says="expected the number of a node")
    refused(2, *RUN, "--pin", "spred", IDLE, says="did you mean spread?")

with tap.test("--explain shows what was chosen, and why not"):
    code, out, _ = vireo("run", "--firmware", "none", "--explain", "--json", "--pin", "spread", IDLE)
    said = {row["key"]: row for row in json.loads(out)["settings"]}
    assert code == 0 and said["pin"]["value"] == "spread" and said["pin"]["given"], said["pin"]
    assert said["huge-pages"]["value"] == "off" and said["huge-pages"]["why"]
    assert said["numa-node"]["value"] == "any" and said["numa-node"]["why"]

tap.finish()
