#!/usr/bin/env python3
"""A client that was written against QEMU drives a machine: the npm package qemu-qmp, of the version and contents
that npm/package-lock.json names."""

import base64
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.request

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


def registry():
    """Where this machine has npm packages from, as npm(1) finds it: its environment, its files, npm's default."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name]
    for path in (pathlib.Path.home() / ".npmrc", pathlib.Path("/etc/npmrc")):
        if path.is_file():
            for line in path.read_text().splitlines():
                key, _, value = line.partition("=")
                if key.strip() == "registry" and value.strip():
                    return value.strip()
    return "https://registry.npmjs.org/"


def with_npm(folder):
    got = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    text = got.stdout.decode()
    assert "EINTEGRITY" not in text, text
    if got.returncode:
        raise Skip("npm cannot fetch qemu-qmp: " + " ".join(text.split())[:200])


def without_npm(folder):
    """Three packages need no package manager: each is a file, whose hash the lock file has."""
    for at, package in json.loads((folder / "package-lock.json").read_text())["packages"].items():
        if not at:
            continue  # the project itself
        name = at.removeprefix("node_modules/")
        url = f"{registry().rstrip('/')}/{name}/-/{name}-{package['version']}.tgz"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                data = answer.read(1 << 20)
        except OSError as e:
            raise Skip(f"{name} cannot be fetched: {e}") from None
        hashed = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        assert hashed == package["integrity"], f"{name} is not what was recorded: {hashed}"
        with tarfile.open(fileobj=io.BytesIO(data)) as files:
            for file in files:
                _, _, inside = file.name.partition("/")
                if file.isfile() and ".." not in inside.split("/"):
                    to = folder / at / inside
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(files.extractfile(file).read())


def client(cache=CACHE, npm=shutil.which("npm")):
    """A folder with the client and what it needs."""
    if not shutil.which("node"):
        raise Skip("no node here (Debian: nodejs)")
    done = cache / "qemu-qmp-0.5.0"
    if not done.exists():
        cache.mkdir(parents=True, exist_ok=True)
        new = pathlib.Path(tempfile.mkdtemp(dir=cache))
        try:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, new)
            (with_npm if npm else without_npm)(new)
            new.rename(done)
        except OSError:  # somebody else was quicker
            assert done.exists()
        finally:
            shutil.rmtree(new, ignore_errors=True)
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



def tarball(folder):
    """What a registry has of the package in @folder, as far as the test needs."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as files:
        files.add(folder, "package")
    return data.getvalue()


with tap.test("without npm: files of a registry, and none that is not what was recorded"):
    served, cache = tmp / "served", tmp / "cache"
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    for at, package in lock.items():
        if at:
            (path := served / at.removeprefix("node_modules/") / "-").mkdir(parents=True)
            made = tmp / "made" / at
            made.mkdir(parents=True)
            (made / "index.js").write_text(f"module.exports = '{at}';\n")
            data = tarball(made)
            (path / f"{path.parent.name}-{package['version']}.tgz").write_bytes(data)
            package["integrity"] = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["npm_config_registry"] = f"http://127.0.0.1:{server.server_port}"
        urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
        cache.mkdir()
        (cache / "package-lock.json").write_text(json.dumps({"packages": lock}))
        without_npm(cache)
        for at in lock:
            if at:
                assert (cache / at / "index.js").read_text() == f"module.exports = '{at}';\n"
        try:
            client(tmp / "other", npm=None)
            raise SystemExit("packages that are not the recorded ones were taken")
        except AssertionError as e:
            assert "is not what was recorded" in str(e), e
        assert not list((tmp / "other").iterdir())
        server.shutdown()

tap.finish()
