#!/usr/bin/env python3
"""What `vireo platform` says of recorded hosts (trees/) and of this one, held against hwloc, lscpu and lspci,
which look at the same files. Every fact that both know has to be the same."""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree

import recorded
from tap import Skip, Tap

tap = Tap()
VIREO = os.environ["VIREO"]


def run(*args, env=None):
    for tool in args[:1]:
        if not shutil.which(tool):
            raise Skip(f"no {tool} here")
    return subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}).stdout


def mine(root, *part):
    args = [VIREO, "platform", *part, "--json"] + (["--root", str(root)] if root else [])
    said = json.loads(subprocess.run(args, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return said[part[0]] if part else said


def bits(mask):
    """hwloc's set, "0x1,0x00000003", as numbers."""
    words = [int(word, 16) if word else 0 for word in (mask or "").split(",")]
    value = sum(word << (32 * i) for i, word in enumerate(reversed(words)))
    return {i for i in range(value.bit_length()) if value >> i & 1}


def groups(cpus, key):
    """Which processors share @key, as a set of sets."""
    found = collections.defaultdict(set)
    for cpu in cpus:
        found[cpu[key]].add(cpu["id"])
    return {frozenset(group) for group in found.values()}


def hwloc(root):
    env = {"HWLOC_FSROOT": str(root), "HWLOC_THISSYSTEM": "0", "HWLOC_COMPONENTS": "linux,stop"} if root else {}
    return xml.etree.ElementTree.fromstring(
        re.sub(r"<!DOCTYPE[^>]*>", "", run("lstopo-no-graphics", "--filter", "io:all", "--disallowed", "--of", "xml", env=env)))


def check_hwloc(root):
    tree, host = hwloc(root), mine(root)
    cpu, nodes = host["cpu"], host["memory"]["nodes"]
    objects = collections.defaultdict(list)
    for one in tree.iter("object"):
        objects[one.get("type")].append(one)
    online = bits(tree.find("object").get("cpuset"))
    assert {int(pu.get("os_index")) for pu in objects["PU"]} & online == {c["id"] for c in cpu["list"]} == online
    for kind, key in (("Package", "package"), ("Core", "core")):
        theirs = {frozenset(bits(one.get("cpuset"))) for one in objects[kind]}
        assert theirs == groups(cpu["list"], key), (kind, theirs)
    theirs = {int(node.get("os_index")): (int(node.get("local_memory", 0)), node) for node in objects["NUMANode"]}
    if nodes:
        assert set(theirs) == {node["id"] for node in nodes}, theirs
        for node in nodes:
            if root:  # of a running host it may have changed meanwhile
                assert node["total_bytes"] == theirs[node["id"]][0], (node, theirs)
            # (The set of a node without processors is the whole machine's.)
            cpus = {c["id"] for c in cpu["list"] if c["node"] == node["id"]}
            assert len(cpus) == node["cpu_count"], node
            assert cpus in (set(), bits(theirs[node["id"]][1].get("cpuset")) & online), node
    caches = collections.defaultdict(list)
    for kind in list(objects):
        if kind.endswith("Cache"):
            for one in objects[kind]:
                if int(one.get("cache_size")):
                    caches[(int(one.get("depth")), ("unified", "data", "code")[int(one.get("cache_type"))],
                            int(one.get("cache_size")), int(one.get("cache_linesize")),
                            max(0, int(one.get("cache_associativity"))))].append(len(bits(one.get("cpuset"))))
    theirs = {key: (len(shared), max(shared)) for key, shared in caches.items()}
    assert theirs == {(c["level"], c["kind"], c["size_bytes"], c["line_bytes"], c["ways"]): (c["count"], c["shared_by"])
                      for c in cpu["caches"]}, theirs
    kinds = [bits(kind.get("cpuset")) & online for kind in tree.iter("cpukind")]
    if len(kinds) == 2:
        assert {frozenset(kind) for kind in kinds} == groups(cpu["list"], "kind"), kinds
    else:
        assert {c["kind"] for c in cpu["list"]} == {"alike"}, kinds
    devices = {one.get("pci_busid"): one.get("pci_type") for one in tree.iter("object") if one.get("pci_busid")}
    if devices or (root or pathlib.Path("/")).joinpath("sys/bus/pci/devices").exists():
        theirs = {}
        for device in mine(root, "pci"):
            ids = device["ids"]
            theirs[device["address"]] = (f"{ids['class'] >> 8:04x} [{ids['vendor']:04x}:{ids['device']:04x}] "
                                         f"[{ids['subsystem_vendor']:04x}:{ids['subsystem']:04x}] {ids['revision']:02x}")
        assert set(devices) == set(theirs) and len(devices) > 4, set(devices) ^ set(theirs)
        for where, what in devices.items():
            # (hwloc tells a bridge's bus number, or nothing, for a subsystem.)
            if theirs[where].startswith("06"):
                what, theirs[where] = (re.sub(r"(\]) \[.*?\]", r"\1", text) for text in (what, theirs[where]))
            assert what == theirs[where], (where, what, theirs[where])


def check_lscpu(root):
    where = ["--sysroot", root] if root else []
    host = mine(root)
    cpu = host["cpu"]
    rows = [line.split(",") for line in run("lscpu", *where, "-p=CPU,CORE,SOCKET,NODE").splitlines() if line[0] != "#"]
    if all(row[0] for row in rows):  # it needs /proc/cpuinfo as on x86 or arm64
        assert [int(row[0]) for row in rows] == [c["id"] for c in cpu["list"]]
        for column, key in ((1, "core"), (2, "package"), (3, "node")):
            theirs = [{"id": int(row[0]), key: row[column]} for row in rows]
            assert groups(theirs, key) == groups(cpu["list"], key), (key, rows)
    flat = {row["field"].rstrip(":"): row["data"] for row in json.loads(run("lscpu", *where, "-J"))["lscpu"]}
    nodes = host["memory"]["nodes"]
    if nodes:
        assert int(flat["NUMA node(s)"]) == len(nodes)
        for node in nodes:
            listed = flat[f"NUMA node{node['id']} CPU(s)"] or ""
            theirs = set()
            for part in filter(None, listed.split(",")):
                first, _, last = part.partition("-")
                theirs |= set(range(int(first), int(last or first) + 1))
            assert theirs == {c["id"] for c in cpu["list"] if c["node"] == node["id"] and node["cpu_count"]}, listed
    if "Thread(s) per core" in flat:
        assert (int(flat["Socket(s)"]), int(flat["Thread(s) per core"])) == (cpu["packages"], cpu["threads_per_core"])
    # How many there are lscpu counts by the kernel's numbers, which are wrong in an emulated AMD: see hwloc for that.
    theirs = sorted((int(row["level"]), {"Data": "data", "Instruction": "code", "Unified": "unified"}[row["type"]],
                     int(row["one-size"]), int(row["ways"]), int(row["coherency-size"]))
                    for row in json.loads(run("lscpu", *where, "-J", "-B", "-C")).get("caches", []) if row["one-size"])
    assert sorted((c["level"], c["kind"], c["size_bytes"], c["ways"], c["line_bytes"]) for c in cpu["caches"]) == theirs


def lspci(root, *args):
    """lspci's blocks, address -> lines."""
    where = ["-A", "linux-sysfs", "-O", f"sysfs.path={root}/sys/bus/pci"] if root else []
    blocks = run("lspci", *where, "-D", *args).strip().split("\n\n")
    return {re.search(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", block)[0]: block.splitlines() for block in blocks}


def machine_readable(root, *args):
    return {where: dict(line.split(":\t", 1) for line in lines) for where, lines in lspci(root, "-vmmk", *args).items()}


def check_lspci(root):
    devices = {device["address"]: device for device in mine(root, "pci")}
    numbers, names, verbose = machine_readable(root, "-n"), machine_readable(root), lspci(root, "-v")
    assert set(numbers) == set(devices) and len(devices) > 4, set(numbers) ^ set(devices)
    for where, device in devices.items():
        theirs, words, ids = numbers[where], names[where], device["ids"]
        for key, value in (("Vendor", f"{ids['vendor']:04x}"), ("Device", f"{ids['device']:04x}"),
                           ("Class", f"{ids['class'] >> 8:04x}"), ("Rev", f"{ids['revision']:02x}"),
                           ("ProgIf", f"{ids['class'] & 255:02x}"), ("SVendor", f"{ids['subsystem_vendor']:04x}"),
                           ("SDevice", f"{ids['subsystem']:04x}")):
            if key in theirs and not (key[0] == "S" and device["kind"] == "bridge"):
                assert theirs[key] == value, (where, key, theirs[key], value)
        assert theirs.get("Driver") == device["driver"], (where, theirs)
        assert int(theirs.get("IOMMUGroup", -1)) == device["iommu_group"], (where, theirs)
        assert int(theirs.get("NUMANode", -1)) == device["numa_node"], (where, theirs)
        # A name that lspci does not know is "Vendor 1234", "Device 5678", "Class 12ff".
        for key, name in (("Vendor", "vendor"), ("Device", "device"), ("Class", "class")):
            known = re.sub(r" \[[0-9a-f]{4}\]$", "", words[key])  # it knows the class, not the subclass
            known = None if re.fullmatch(rf"{key} [0-9a-f]{{4}}", known) else known
            assert known == device["names"][name], (where, known, device["names"])
        theirs = set()
        for line in verbose[where]:
            match = re.match(r"\s+(?:Memory|I/O ports) at (\S+) (.*)\[size=(\d+)([KMG]?)\]", line)
            if match:
                theirs.add((0 if match[1] == "<unassigned>" else int(match[1], 16),
                            int(match[3]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[4]],
                            "io" if "I/O" in line else "mem64" if "64-bit" in line else "mem32",
                            "I/O" not in line and "non-prefetchable" not in line))
        bars = {(bar["start"], bar["size_bytes"], bar["kind"], bar["prefetchable"]) for bar in device["bars"]}
        assert theirs <= bars, (where, theirs, bars)
        if device["kind"] != "bridge" and not device["sriov"]["physfn"]:
            assert len(theirs) == len(bars), (where, theirs, bars)


with tempfile.TemporaryDirectory() as folder:
    for name in recorded.names() + ["this host"]:
        root = None if name == "this host" else recorded.replay(name, pathlib.Path(folder) / name)
        whole = not root or (root / "sys/devices/system/cpu/online").exists()
        for judge, check in (("hwloc", check_hwloc), ("lscpu", check_lscpu), ("lspci", check_lspci)):
            if not whole and judge != "lspci":
                continue  # recorded when PCI was all there was to record
            if judge == "lspci" and not root and not os.path.exists("/sys/bus/pci/devices"):
                continue
            with tap.test(f"{name}: {judge} sees the same"):
                check(root)

tap.finish()
