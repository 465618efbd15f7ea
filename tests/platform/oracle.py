#!/usr/bin/env python3
"""What `vireo platform` says of this host, held against what others say: lscpu, /proc (and, in
replay.py, lscpu, hwloc and lspci of its topology and devices)."""

import json
import os
import pathlib
import re
import shutil
import subprocess

from tap import Skip, Tap

tap = Tap()
VIREO = os.environ["VIREO"]


def run(*args):
    return subprocess.run(args, stdout=subprocess.PIPE, text=True, check=True).stdout


def need(tool):
    if not shutil.which(tool):
        raise Skip(f"no {tool} here")


def lscpu():
    """lscpu's answers by name; newer ones nest them."""
    need("lscpu")
    flat = {}

    def walk(rows):
        for row in rows:
            flat[row["field"].rstrip(":")] = row.get("data")
            walk(row.get("children", []))
    walk(json.loads(run("lscpu", "-J"))["lscpu"])
    return flat


host = json.loads(run(VIREO, "platform", "--json"))
cpu = host["cpu"]

with tap.test("lscpu counts as many processors, cores and packages"):
    other = lscpu()
    assert cpu["count"] == len(run("lscpu", "-p=CPU", "--online").split("\n")) - 1 - \
        sum(line.startswith("#") for line in run("lscpu", "-p=CPU", "--online").splitlines()), cpu["count"]
    if "Socket(s)" in other:
        assert cpu["packages"] == int(other["Socket(s)"])
        assert cpu["cores"] == int(other["Socket(s)"]) * int(other["Core(s) per socket"])
        assert cpu["threads_per_core"] == int(other["Thread(s) per core"])
    assert cpu["arch"] == other["Architecture"]
    assert other.get("Vendor ID") in (cpu["vendor"], None) or not cpu["vendor"], other["Vendor ID"]
    if cpu["arch"] == "x86_64":
        assert cpu["model"] == other["Model name"]
        assert str(cpu["family"]) == other["CPU family"] and str(cpu["model_number"]) == other["Model"]
        assert str(cpu["stepping"]) == other["Stepping"]

with tap.test("lscpu names the same features"):
    flags = set((lscpu().get("Flags") or "").split())
    if not flags:
        raise Skip("lscpu lists none here")
    extra = set(cpu["features"]) - flags
    assert not extra, f"only we say {extra}"
    ours = set(re.findall(r'"(\w+)"\}', (pathlib.Path(__file__).resolve().parents[2] /
                                         "src/platform/x86/features.c").read_text()))
    missing = (flags & ours) - set(cpu["features"])
    assert len(ours) > 60 and not missing, f"only lscpu says {missing}"

with tap.test("/proc and Python agree on memory and processors"):
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M))
    memory = host["memory"]
    assert memory["total_bytes"] == int(meminfo["MemTotal"]) * 1024
    assert memory["page_bytes"] == os.sysconf("SC_PAGESIZE")
    usable = {c["id"] for c in cpu["list"] if c["usable"]}
    assert usable == os.sched_getaffinity(0), usable
    assert cpu["usable_count"] <= len(usable)
    for huge in memory["huge_pages"]:
        folder = pathlib.Path(f"/sys/kernel/mm/hugepages/hugepages-{huge['page_bytes'] // 1024}kB")
        assert huge["total"] == int((folder / "nr_hugepages").read_text())
    assert host["os"]["kernel"] == os.uname().release

with tap.test("affinity is respected"):
    first = min(os.sched_getaffinity(0))
    need("taskset")
    one = json.loads(run("taskset", "-c", str(first), VIREO, "platform", "cpu", "--json"))["cpu"]
    assert one["usable_count"] == 1 and one["count"] == cpu["count"]
    assert [c["id"] for c in one["list"] if c["usable"]] == [first]

with tap.test("a part alone is the part of the whole; text fits into 100 columns; a wrong part is refused"):
    for part in host:
        alone = json.loads(run(VIREO, "platform", part, "--json"))
        assert list(alone) == [part]
        if part not in ("memory", "caps"):
            assert alone[part] == host[part]
        for line in run(VIREO, "platform", part).splitlines():
            assert len(line) <= 100, line
    wrong = subprocess.run([VIREO, "platform", "memroy"], stderr=subprocess.PIPE, text=True)
    assert wrong.returncode == 2 and "did you mean 'memory'?" in wrong.stderr, wrong

with tap.test("every member is in the documentation, and nothing else is"):
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/platform-json.md").read_text()
    for part, members in host.items():
        section = text.split(f"## `{part}`\n")[1].split("\n## ")[0]
        for name in members:
            assert f"`{name}`" in section, f"{part}.{name}"

tap.finish()
