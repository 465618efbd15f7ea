#!/usr/bin/env python3
"""Snapshots by the command, of bare-metal machines: what a wrong word must not destroy (a running machine, its disk,
another snapshot, a file that is none), and what is told. Guests at work are in tests/guest/snapshot.py."""

import contextlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import time

import bare
from command import LONG_S, VIREO, refused, vireo
from machine import Machine
from qmp import Qmp, Refused, socket_path
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
os.environ["XDG_DATA_HOME"] = str(tmp / "data")
STORE = tmp / "data/vireo/snapshots"
WRITER = bare.writer_program(2).write(tmp / "writer.elf")


def said(*args):
    """What it printed, when all is well."""
    code, out, err = vireo(*args)
    assert (code, err) == (0, ""), (args, code, err)
    return out


def new_disk(name, byte):
    path = tmp / name
    path.write_bytes(byte * (1 << 20))
    return path


@contextlib.contextmanager
def writer(name, *args):
    """One that writes its memory all the time, and knows whether it holds what was written."""
    with Machine("--name", name, "-m", "16M", *args, WRITER, says=b"ready\n") as m:
        yield m


def is_whole(m):
    m.type(b"?")
    m.expect(b"+")


with tap.test("the snapshot of another machine is refused, and the running one is as it was: memory, disk, state"):
    others = {
        "harts": ["-c", "2"],
        "devices": ["--balloon", "on"],
        "extensions": ["--machine", "virt,aia=aplic"],
        "memory": ["-m", "32M"],
    }
    for name, args in others.items():
        with writer(name, "--disk", new_disk("other.img", b"o"), *args):
            said("snapshot", "save", name, "--to", tmp / f"{name}.vsnap", "-q")
    disk = new_disk("mine.img", b"m")
    with writer("box", "--disk", disk) as m:
        for name in others:
            refused(5, "snapshot", "restore", "box", tmp / f"{name}.vsnap", says="of a ")
            assert json.loads(said("status", "box", "--json"))["status"] == "running", name
            is_whole(m)
        said("pause", "box")
        refused(5, "snapshot", "restore", "box", tmp / "devices.vsnap", says="devices")
        assert json.loads(said("status", "box", "--json"))["status"] == "paused"
        said("resume", "box")
        is_whole(m)
        assert disk.read_bytes() == b"m" * (1 << 20)
        said("snapshot", "save", "box", "--to", "good", "-q")
        said("snapshot", "restore", "box", "good")
        is_whole(m)

with tap.test("a disk that is in use is not put back: its machine goes on with the file that it has"):
    disk = new_disk("used.img", b"a")
    with writer("box", "--disk", disk) as m:
        said("snapshot", "save", "box", "--to", "used", "-q")
        with open(disk, "r+b") as f:
            f.write(b"what was written since")
        inode = disk.stat().st_ino
        refused(5, "run", "-q", "--console", "null", "--name", "two", "box/used", "--snapshot-disks", "revert",
                says=["in use by another Vireo", "--snapshot-disks DIR"])
        assert disk.stat().st_ino == inode and disk.read_bytes().startswith(b"what was written since")
        is_whole(m)

with tap.test("a disk that is put back keeps its rights, and the link that leads to it"):
    disk.chmod(0o640)
    link = tmp / "used"
    disk.rename(tmp / "real.img")
    link.symlink_to("real.img")
    link.rename(disk)
    with Machine("box/used", "--snapshot-disks", "revert", "--name", "box", "--console", "null", says=None,
                 run=("run", "-q")) as m, Qmp(socket_path("box")):
        assert disk.is_symlink() and (tmp / "real.img").read_bytes() == b"a" * (1 << 20)
        assert stat.S_IMODE((tmp / "real.img").stat().st_mode) == 0o640
        said("stop", "box")

with tap.test("what others were made of is not written over: not by a save, not by a merge, nor by its own child"):
    with writer("box"):
        said("snapshot", "save", "box", "--to", "a", "-q")
        said("snapshot", "save", "box", "--to", "b", "--parent", "a", "-q")
        said("snapshot", "save", "box", "--to", "c", "--parent", "b", "-q")
        needed = "holds what changed since, and would be lost"
        refused(5, "snapshot", "save", "box", "--to", "a", says=["b.vsnap", needed])
        refused(5, "snapshot", "save", "box", "--to", "c", "--parent", "c", says="choose another name")
        refused(5, "snapshot", "save", "box", "--to", "a", "--parent", "c", says="choose another name")
        refused(5, "snapshot", "merge", "box/b", says=["c.vsnap", needed])
        refused(5, "snapshot", "merge", "box/c", "--to", "a", says=["b.vsnap", needed])
        said("snapshot", "verify", "box/c")
        said("snapshot", "save", "box", "--to", "c", "--parent", "b", "-q")  # nobody's parent
        assert said("snapshot", "merge", "box/c", "--to", "d") == f"{STORE}/box/d.vsnap\n"
        said("snapshot", "merge", "box/c")
        for name in ("b", "a"):
            said("snapshot", "delete", f"box/{name}")
        said("snapshot", "verify", "box/c", "box/d")

with tap.test("what is no snapshot is not written over"):
    disk = new_disk("own.img", b"x")
    pipe, empty, text = tmp / "pipe", tmp / "empty", tmp / "text"
    os.mkfifo(pipe)
    empty.touch()
    text.write_text("of somebody's\n")
    with writer("box", "--disk", disk):
        for path in (disk, pipe, text):
            before = path.stat().st_ino
            refused(5, "snapshot", "save", "box", "--to", path, says="is no snapshot, and is not written over")
            refused(5, "snapshot", "merge", "box/d", "--to", path, says="is no snapshot, and is not written over")
            assert path.stat().st_ino == before
        assert text.read_text() == "of somebody's\n" and stat.S_ISFIFO(pipe.stat().st_mode)
        said("snapshot", "save", "box", "--to", empty, "-q")
        said("snapshot", "save", "box", "--to", empty, "-q")  # over a snapshot
        said("snapshot", "verify", empty)

with tap.test("names lead to folders that are made; lists are in order, with sizes"):
    shutil.rmtree(STORE)
    with writer("box"), writer("also"):
        for i in range(4):
            said("snapshot", "save", "box", "--to", f"{4 - i}", "-q")
        said("snapshot", "save", "also", "--to", "new/one", "--compress", "zstd", "-q")
        said("snapshot", "save", "also", "--to", "z", "-q")
    (STORE / "box/broken.vsnap").write_bytes(b"VIREOSNP")
    told = json.loads(said("snapshot", "list", "--json"))
    order = [pathlib.Path(s["file"]).relative_to(STORE).with_suffix("") for s in told]
    assert list(map(str, order)) == ["box/broken", "also/z", "new/one", "box/4", "box/3", "box/2", "box/1"] or \
        list(map(str, order)) == ["box/broken", "new/one", "also/z", "box/4", "box/3", "box/2", "box/1"], order
    rows = said("snapshot", "list").splitlines()
    assert rows[0].split() == ["MACHINE", "TAG", "MADE", "MEMORY", "FILE"] and len(rows) == 8, rows
    assert "16 MiB" in rows[-1] and rows[-1].split()[:2] == ["box", "1"], rows
    assert "  size      " in said("snapshot", "info", "box/1") and "zstd" in said("snapshot", "info", "new/one")
    refused(2, "snapshot", "list", "../x", says="no name of a machine")

with tap.test("words that say nothing are refused, misspelt ones are guessed"):
    refused(2, "snapshot", "restor", "box", "x", says="did you mean 'restore'?")
    refused(2, "snapshot", "wipe", says="expected save, restore")
    for args, word in ((["list", "--to", "x"], "--to"), (["delete", "x", "--json"], "--json"),
                       (["verify", "x", "--force"], "--force"), (["merge", "x", "--no-disks"], "--no-disks"),
                       (["restore", "box", "x", "--parent", "y"], "--parent"), (["info", "x", "-q"], "--quiet")):
        refused(2, "snapshot", *args, says=f"{word} says nothing to it")

with tap.test("clients that are killed while they wait take no room: jobs go on, and later ones begin"):
    with writer("box"), Qmp(socket_path("box")) as qmp:
        for i in range(20):  # as many clients, that never come back to dismiss theirs
            with Qmp(socket_path("box")) as gone:
                gone.ask_raw("snapshot-save", {"job-id": f"j{i}", "tag": "again"})
                deadline = time.monotonic() + LONG_S
                while {j["id"]: j["status"] for j in gone.ask("query-jobs")}[f"j{i}"] != "concluded":
                    assert time.monotonic() < deadline
                    os.sched_yield()
        jobs = [j["id"] for j in qmp.ask("query-jobs")]
        assert jobs == [f"j{i}" for i in range(4, 20)], jobs
        said("snapshot", "save", "box", "--to", "last", "-q")
        qmp.ask_raw("job-dismiss", {"id": "j19"})
        try:
            qmp.ask_raw("job-dismiss", {"id": "j0"})
            raise AssertionError("it has gone")
        except Refused as no:
            assert "not found" in no.desc, no

with tap.test("a full disk is exit code 5, and what was there still is"):
    small = tmp / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=300k none {small}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Skip(f"no file system of our own here: {done.stderr.strip()}")
    snap = STORE / "box/last.vsnap"
    script = (f'{mount} && printf VIREOSNP >{small}/old.vsnap && "{VIREO}" snapshot merge box/last --to {small}/old.vsnap; '
              f'code=$?; ls -A {small}; exit $code')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 5 and "No space left" in done.stderr and done.stdout == "old.vsnap\n", done

tap.finish()
