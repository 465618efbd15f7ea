#!/usr/bin/env python3
"""Fails when a file under src/ includes a header of a layer it may not know (tools/layers.txt), or
chooses by operating system or processor outside the places that are for it."""

import re

from tree import ROOT, files, finish, show

HOST = re.compile(
    r"\b(__linux__|__APPLE__|_WIN32|__ANDROID__|__unix__|__FreeBSD__|__x86_64__|__i386__|__aarch64__|"
    r"__arm__|__riscv|__riscv_xlen|__powerpc__|__s390x__|__AVX2?__|__SSE\w*__|__ARM_NEON)\b")
HOST_MAY = ("src/platform/", "src/cpu/jit/", "src/cpu/kvm/", "src/cpu/hvf/", "src/cpu/whpx/")

may = {}
for line in (ROOT / "tools/layers.txt").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        layer, _, below = line.partition(":")
        may[layer.strip()] = set(below.split()) | {layer.strip()}

problems, checked = [], 0
for path in files(".c", ".h", ".def", ".inc"):
    name = show(path)
    if not name.startswith("src/"):
        continue
    checked += 1
    layer = name.split("/")[1]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{name}:{number}:"
        include = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if include and include[1] == '"':
            target = include[2].split("/")[0]
            if "/" not in include[2] and include[2] != "vr_config.h":
                problems.append(f'{where} write "{layer}/.../{include[2]}", includes are from src/')
            elif target not in may[layer] | {"vireo", "vr_config.h"}:
                problems.append(f"{where} {layer}/ may not include {include[2]}")
        if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line) and HOST.search(line):
            if not name.startswith(HOST_MAY):
                problems.append(f"{where} host-dependent code belongs in src/platform/")
finish(problems, checked)
