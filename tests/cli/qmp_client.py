#!/usr/bin/env python3
"""A client that was written against QEMU drives a machine: the npm package qemu-qmp, of the version and contents
that npm/package-lock.json names."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import bare
from command import LONG_S
from machine import Machine
from qmp import socket_path
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
HERE = pathlib.Path(__file__).resolve().parent / "npm"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "vireo/npm"


def client():
    """A folder with the client and what it needs."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("no node and npm here (Debian: nodejs, npm)")
    done = CACHE / "qemu-qmp-0.5.0"
    if not done.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        new = pathlib.Path(tempfile.mkdtemp(dir=CACHE))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, new)
        got = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=new,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        if got.returncode:
            shutil.rmtree(new)
            text = got.stdout.decode()
            assert "EINTEGRITY" not in text, text
            raise Skip("npm cannot fetch qemu-qmp: " + " ".join(text.split())[:200])
        try:
            new.rename(done)
        except OSError:  # somebody else was quicker
            shutil.rmtree(new)
    return done


with tap.test("the npm client qemu-qmp: questions, commands, events, a refusal, the end"):
    modules = client()
    idle = bare.idle_program().write(tmp / "idle.elf")
    with Machine(idle) as m:
        done = subprocess.run(["node", "--no-deprecation", HERE / "client.js", socket_path()],
                              env=dict(os.environ, NODE_PATH=str(modules / "node_modules")),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONG_S)
        said = done.stdout.decode().splitlines()
        assert done.returncode == 0 and said[0].startswith("version ") and "Vireo" in said[0], said
        assert said[1:] == [
            "status running",
            "event stop, status paused",
            "event resume, status running",
            "event reset",
            "commands true",
            "refused The command device_levitate has not been found",
            "event shutdown",
        ], said
        m.ended()

tap.finish()
