#!/usr/bin/env python3
"""vireo fork: clones of a machine that runs a stock kernel. Each does a job of its own, with a disk, random numbers and
a name of its own, over memory that is shared; parents, clients and clones are killed at any moment, and nobody else
suffers. FORK_CLONES (8) says how many clones do a job at a time."""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

import vm
from qmp import Console
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
COUNT = int(os.environ.get("FORK_CLONES", "8"))
PATIENCE_S = 120 + 4 * COUNT
DISK = 8 << 20
OWN = 1 + (512 * COUNT >> 16)  # pieces of 64 KiB at the beginning, where each clone has a sector of its own
KERNEL = vm.kernel_folder()
vireo = functools.partial(vm.vireo, timeout=PATIENCE_S)
random.seed(6)


def fork(name, *args):
    """What `vireo fork --json` says."""
    return json.loads(vireo("fork", name, "--json", "--overlays", tmp, *args).stdout)


def machines():
    return {m["name"]: m for m in json.loads(vireo("ps", "--json").stdout)}


def processes():
    """Whoever lives in this test's runtime folder, machines that have no socket yet among them. Clones have sessions of
    their own: nothing else would end them with the test."""
    mine, found = f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}".encode(), set()
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if mine in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


@atexit.register
def end_all():
    while left := processes():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.sched_yield()


def wait_gone(pid):
    """Until process @pid has ended (it may be nobody's child here)."""
    deadline = time.monotonic() + PATIENCE_S
    while os.path.exists(f"/proc/{pid}"):
        with open(f"/proc/{pid}/stat", "rb") as stat:
            if stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X"):
                return
        assert time.monotonic() < deadline, f"process {pid} lives on"
        os.sched_yield()


def start(*args, name="box"):
    return vm.Shell("--name", name, "--kernel", KERNEL / "Image", "--initrd", vm.initramfs(KERNEL), "-m", "256M", *args,
                    deadline_s=PATIENCE_S)


def job(k):
    """A shell's job, and its result."""
    seed = expected = f"job {k}"
    for _ in range(30):
        expected = hashlib.sha256(f"{expected}\n".encode()).hexdigest()
    return (f"h='{seed}'; i=0; while [ $i -lt 30 ]; do h=$(echo \"$h\" | sha256sum | cut -d' ' -f1); i=$((i+1)); done; "
            f"echo result $h"), expected


def smaps(pid):
    """PSS and RSS of a process, bytes."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return [int(re.search(rf"^{what}:\s+(\d+) kB", text, re.M).group(1)) << 10 for what in ("Pss", "Rss")]


def stop(clones):
    vireo("stop", *[c["name"] for c in clones][:12])
    for at in range(12, len(clones), 12):
        vireo("stop", *[c["name"] for c in clones[at:at + 12]])
    for c in clones:
        wait_gone(c["pid"])


disk = tmp / "disk.img"
image = random.randbytes(DISK)
disk.write_bytes(image)
WHOLE = "sha256sum /dev/vda | cut -d' ' -f1; echo 3 >/proc/sys/vm/drop_caches"


def sha(data):
    return hashlib.sha256(data).hexdigest()


with start("--disk", disk) as guest:
    box = Console("box")
    box.run("modprobe virtio_blk 2>/dev/null; echo parent >/tmp/who")

    with tap.test(f"{COUNT} clones of one moment each finish a job of their own, and share memory"):
        begin = time.monotonic()
        made = fork("box", "--count", COUNT)
        clones = made["clones"]
        print(f"# {COUNT} clones in {(time.monotonic() - begin) * 1000:.0f} ms, the parent stood for "
              f"{made['pause-ns'] / 1e6:.1f} ms")
        assert len({c["name"] for c in clones}) == len({c["uuid"] for c in clones}) == COUNT, clones
        # While they work, the parent writes all of its disk anew.
        box.send("dd if=/dev/zero bs=64k count=128 2>/dev/null | tr '\\0' 'P' | dd of=/dev/vda bs=64k 2>/dev/null; sync")
        consoles = [Console(c["name"]) for c in clones]
        for k, c in enumerate(consoles):
            c.send(job(k)[0])
        for k, c in enumerate(consoles):
            assert f"result {job(k)[1]}\n" in c.answer(), k
        used = [smaps(c["pid"]) for c in clones]
        pss, rss = (sum(x) >> 20 for x in zip(*used))
        print(f"# {COUNT} clones: PSS {pss} MiB in all, {pss / COUNT:.1f} MiB each; RSS {rss} MiB")
        assert COUNT < 4 or pss < rss * 3 / 4, (pss, rss)
        box.answer()

    with tap.test("every clone has the disk as it was, and writes on one of its own"):
        assert disk.read_bytes() == b"P" * DISK
        for k, c in enumerate(consoles):
            c.send(WHOLE)
        for k, c in enumerate(consoles):
            assert c.answer().split()[0] == sha(image), k
        for k, c in enumerate(consoles):
            c.send(f"echo 'clone {k} was here' | dd of=/dev/vda bs=512 seek={k} conv=sync,notrunc 2>/dev/null; sync; {WHOLE}")
        for k, c in enumerate(consoles):
            mine = bytearray(image)
            mine[512 * k:512 * (k + 1)] = f"clone {k} was here\n".encode().ljust(512, b"\0")
            assert c.answer().split()[0] == sha(mine), k
        assert disk.read_bytes() == b"P" * DISK

    with tap.test("the guest's kernel hears of it, and no two have the same random numbers"):
        numbers = {box.run("head -c 16 /dev/urandom | od -An -tx1").strip()}
        for c in consoles:
            c.send("dmesg | grep -c 'crng reseeded due to virtual machine fork'; head -c 16 /dev/urandom | od -An -tx1")
        for c in consoles:
            reseeded, number = c.answer().splitlines()
            assert int(reseeded) == 1 and number.strip() not in numbers, (reseeded, number)
            numbers.add(number.strip())
        assert box.run("dmesg | grep -c 'virtual machine fork'").strip() == "0"

    with tap.test("a clone of a clone, and of the parent as it is by now"):
        consoles[0].run("echo clone >/tmp/who; echo deep >/tmp/deep")
        deep = fork(clones[0]["name"], "--name", "deep")
        assert [c["name"] for c in deep["clones"]] == ["deep"], deep
        consoles[0].run(f"echo changed >/tmp/deep; echo x | dd of=/dev/vda bs=512 seek=4 conv=sync,notrunc 2>/dev/null; sync")
        box.run("echo second >/tmp/who")
        again = fork("box", "--name", "again")
        box.run("echo third >/tmp/who")
        for name, who in (("deep", "clone"), ("again", "second")):
            c = Console(name)
            said = c.run("cat /tmp/who").strip()
            assert said == who, (name, said)
            if name == "deep":
                assert c.run("cat /tmp/deep").strip() == "deep"
            want = bytearray(image) if name == "deep" else b"P" * DISK
            if name == "deep":
                want[:512] = b"clone 0 was here\n".ljust(512, b"\0")
            assert c.run(WHOLE).split()[0] == sha(want), name
            c.close()
        print(f"# forked again: {again['copied-bytes'] >> 10} KiB copied, {again['pause-ns'] / 1e6:.1f} ms")
        stop(deep["clones"] + again["clones"])

    with tap.test("a clone that powers off, panics or is killed is nobody else's affair"):
        before = machines()
        consoles[1].qmp.send(b"poweroff -f\n")
        wait_gone(clones[1]["pid"])
        consoles[2].qmp.send(b"echo c >/proc/sysrq-trigger\n")
        wait_gone(clones[2]["pid"])
        os.kill(clones[3]["pid"], signal.SIGKILL)
        wait_gone(clones[3]["pid"])
        gone = {clones[i]["name"] for i in (1, 2, 3)}
        assert set(machines()) == set(before) - gone
        assert box.run("cat /tmp/who").strip() == "third"
        assert f"result {job(77)[1]}\n" in consoles[4].run(job(77)[0])

    with tap.test("names, ports and machines that there are not"):
        taken = vireo("fork", "box", "--name", clones[4]["name"], code=None)
        assert taken.returncode != 0 and "runs already" in taken.stderr, taken
        assert vireo("fork", "nobody", code=None).returncode != 0
        assert "cannot share a port" in vireo("fork", "box", "-n", 2, "-p", "2222:22", code=None).stderr
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            port, begin = held.getsockname()[1], time.monotonic()
            busy = vireo("fork", "box", "-p", f"{port}:22", code=None)
            assert busy.returncode != 0 and str(port) in busy.stderr, busy
            assert time.monotonic() - begin < 20, "it went on to other names, which cannot help"
        bad = vireo("fork", "box", "--overlays", "/no/such/folder", code=None)
        assert bad.returncode != 0 and "/no/such/folder" in bad.stderr, bad
        assert box.run("cat /tmp/who").strip() == "third"

    with tap.test("clients killed at any moment: the parent goes on, what clones there are work"):
        known = set(machines())
        for i in range(8):
            p = subprocess.Popen([vm.VIREO, "fork", "box", "--count", "3", "--name", f"k{i}-"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + random.uniform(0, 0.05)
            while time.monotonic() < end and p.poll() is None:  # the moment is what is tried
                pass
            p.kill()
            p.wait()
        assert box.run("cat /tmp/who").strip() == "third"
        deadline = time.monotonic() + PATIENCE_S
        while processes() - {m["pid"] for m in machines().values()}:  # until they have a name, or ended
            assert time.monotonic() < deadline, (processes(), machines())
            os.sched_yield()
        strays = {n: m for n, m in machines().items() if n not in known}
        for name in strays:
            c = Console(name)
            said = c.run("cat /tmp/who").strip()
            assert said == "third", (name, said)
            c.close()
        print(f"# {len(strays)} clones outlived their clients")
        if strays:
            stop([{"name": n, "pid": m["pid"]} for n, m in strays.items()])

    with tap.test("the parent is killed: clones go on, and nobody else may write the image"):
        guest.process.kill()
        guest.process.wait()
        other = vireo("run", "-q", "--kernel", KERNEL / "Image", "--disk", disk, "--control", "none", code=None)
        assert other.returncode != 0 and "in use by another Vireo" in other.stderr, other
        for k, c in enumerate(consoles):
            if k not in (1, 2, 3):
                c.send(f"{job(k + 1000)[0]}; dd if=/dev/vda bs=64k skip={OWN} 2>/dev/null | sha256sum")
        for k, c in enumerate(consoles):
            if k not in (1, 2, 3):
                lines = c.answer().splitlines()
                assert lines[0] == f"result {job(k + 1000)[1]}", k
                assert lines[1].split()[0] == sha(image[OWN << 16:]), k
        for c in consoles:
            c.close()
        stop([c for k, c in enumerate(clones) if k not in (1, 2, 3)])
        assert not machines(), machines()
        with open(disk, "r+b"):
            pass
    box.close()

with tap.test("a parent killed while it forks leaves whole clones or none"):
    whole = 0
    for i in range(4):
        with start("--disk", disk, name=f"kill{i}") as guest:
            p = subprocess.Popen([vm.VIREO, "fork", f"kill{i}", "--count", "2", "--json"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            end = time.monotonic() + random.uniform(0, 0.03)
            while time.monotonic() < end:  # the moment is what is tried
                pass
            guest.process.kill()
            guest.process.wait()
            out, err = p.communicate(timeout=PATIENCE_S)
            assert p.returncode == 0 or err, (p.returncode, err)
            clones = json.loads(out)["clones"] if p.returncode == 0 else []
            for c in clones:
                console = Console(c["name"])
                assert f"result {job(i)[1]}\n" in console.run(job(i)[0])
                console.close()
                whole += 1
            if clones:
                stop(clones)
        assert not machines(), machines()
    print(f"# {whole} clones")

with tap.test("nobody is left behind"):
    deadline = time.monotonic() + 10  # whoever has been told to stop, or lost its parent, is about to end
    while left := processes():
        assert time.monotonic() < deadline, (left, machines())
        os.sched_yield()
assert sorted(p.name for p in tmp.iterdir()) == ["disk.img"], list(tmp.iterdir())
tap.finish()
