#!/usr/bin/env python3
"""Snapshots of a stock kernel at work: saved while it computes and writes to a disk, continued in new processes by
either engine and in the running machine, with what an undisturbed guest comes to. Kept by QMP jobs, in chains."""

import hashlib
import json
import os
import pathlib
import shutil
import struct
import tempfile
import time

import vm
from qmp import Qmp, Refused, socket_path
from tap import Tap
from work import DISK_THERE, WORK, facts, new_disk

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
os.environ["XDG_DATA_HOME"] = str(tmp / "data")
FOLDER = vm.kernel_folder()
RAM = vm.initramfs(FOLDER, "-m", "virtio_blk,virtio_net")


def cli(*args):
    """What it printed."""
    return vm.vireo(*args).stdout.strip()


def guest_of(*args, boot=True):
    """A guest whose shell takes lines; @args of `vireo run`."""
    machine = ["--kernel", FOLDER / "Image", "--initrd", RAM, "-m", "128M"] if boot else []
    return vm.Shell(*machine, *args, before=WORK, needs=DISK_THERE if boot and "--disk" in args else None, boot=boot)


TURNS = 30
disk = new_disk(tmp / "undisturbed.img")
with guest_of("--name", "box", "--disk", disk) as guest:
    expected = facts(guest.run(f"work {TURNS}"))
    assert len(expected) == 1
expected_disk = hashlib.sha256(disk.read_bytes()).hexdigest()

snap = tmp / "work.vsnap"
disk = new_disk(tmp / "disk.img")
with tap.test("saved at work: the machine goes on as if nothing was"):
    with guest_of("--name", "box", "--disk", disk) as guest:
        guest.send(f"work {TURNS}\n")
        guest.expect("turn 9\n")
        told = json.loads(cli("snapshot", "save", "box", "--to", snap, "--json"))
        assert told["machine"] == "box" and told["tag"] == "work" and told["running"], told
        at = guest.expect(f"done: work {TURNS}\n")
        assert facts(guest.text) == expected
    assert hashlib.sha256(disk.read_bytes()).hexdigest() == expected_disk
    assert cli("snapshot", "verify", snap).endswith("whole")

with tap.test("a disk that has changed since is refused, with what can be done"):
    done = vm.vireo("run", "-q", "--console", "null", snap, code=5)
    assert "written to since" in done.stderr and "--snapshot-disks" in done.stderr, done

for engine in ("jit", "interp"):
    for how in ([], ["--snapshot-copy"]):
        with tap.test(f"continued by {engine}{' '.join([''] + how)}, its disk put back: the same sums"):
            with guest_of(snap, "--engine", engine, "--snapshot-disks", "revert", *how, boot=False) as guest:
                guest.expect(f"done: work {TURNS}\n")
                assert facts(guest.text) == expected, (guest.text, guest.errors())
            assert hashlib.sha256(disk.read_bytes()).hexdigest() == expected_disk

with tap.test("memory that was changed in the file: found before the guest uses it, wherever it is"):
    info = json.loads(cli("snapshot", "info", snap, "--json"))
    hurt = tmp / "hurt.vsnap"
    shutil.copyfile(snap, hurt)
    with open(hurt, "r+b") as file:
        data = file.read(info["memory_bytes"])  # memory comes first, flat
        places = [at for at in range(4096, len(data), 4096) if any(data[at:at + 4096])]
        for at in (places[0], places[len(places) // 3], places[-1] + 4095, len(data) - 4097):
            was = data[at]
            for how in ([], ["--snapshot-verify"]):
                file.seek(at)
                file.write(bytes([was ^ 0x10]))
                file.flush()
                done = vm.vireo("run", "-q", "--console", "null", hurt, "--snapshot-disks", "keep", *how, code=5)
                assert "damaged: 'ram'" in done.stderr and ("machine ends" in done.stderr) == (not how), done
            file.seek(at)
            file.write(bytes([was]))
    hurt.unlink()

with tap.test("disks in a folder of one's own: the old file stays as it is"):
    (tmp / "disks").mkdir()
    with guest_of(snap, "--snapshot-disks", tmp / "disks", "--name", "other", boot=False) as guest:
        guest.expect(f"done: work {TURNS}\n")
        assert facts(guest.text) == expected
    made = list((tmp / "disks").iterdir())
    assert len(made) == 1 and hashlib.sha256(made[0].read_bytes()).hexdigest() == expected_disk, made

with tap.test("a running machine is taken back, again and again"):
    disk = new_disk(tmp / "again.img")
    with guest_of("--name", "box", "--disk", disk) as guest:
        guest.send(f"work {TURNS}\n")
        guest.expect("turn 5\n")
        cli("snapshot", "save", "box", "--to", "mark")
        assert [s["tag"] for s in json.loads(cli("snapshot", "list", "box", "--json"))] == ["mark"]
        for _ in range(3):
            at = guest.expect(f"done: work {TURNS}\n", guest.at)
            assert facts(guest.text[guest.at:at]) == expected, guest.text[guest.at:]
            assert hashlib.sha256(disk.read_bytes()).hexdigest() == expected_disk
            guest.at = at
            cli("snapshot", "restore", "box", "mark")
        guest.expect(f"done: work {TURNS}\n", guest.at)

with tap.test("a chain: what changed since, compressed, merged; the ends are all the same"):
    disk = new_disk(tmp / "chain.img")
    with guest_of("--name", "box", "--disk", disk) as guest:
        guest.send(f"work {TURNS}\n")
        guest.expect("turn 4\n")
        cli("snapshot", "save", "box", "--to", tmp / "c0.vsnap")
        guest.expect("turn 8\n")
        cli("snapshot", "save", "box", "--to", tmp / "c1.vsnap", "--parent", tmp / "c0.vsnap")
        guest.expect("turn 12\n")
        cli("snapshot", "save", "box", "--to", tmp / "c2.vsnap", "--parent", tmp / "c1.vsnap", "--compress", "zstd")
        guest.expect(f"done: work {TURNS}\n")

    def blocks(name):
        return (tmp / name).stat().st_blocks

    assert blocks("c1.vsnap") * 2 < blocks("c0.vsnap"), (blocks("c1.vsnap"), blocks("c0.vsnap"))
    vm.vireo("snapshot", "delete", tmp / "c0.vsnap", code=5)  # others need it
    cli("snapshot", "merge", tmp / "c2.vsnap", "--to", tmp / "merged.vsnap")
    cli("snapshot", "merge", tmp / "c2.vsnap", "--to", tmp / "packed.vsnap", "--compress", "zstd")
    moved = tmp / "moved"
    moved.mkdir()
    for name in ("c0.vsnap", "c1.vsnap", "c2.vsnap"):
        shutil.move(tmp / name, moved / name)
    for name in (moved / "c2.vsnap", moved / "c1.vsnap", tmp / "merged.vsnap", tmp / "packed.vsnap"):
        with guest_of(name, "--snapshot-disks", "revert", boot=False) as guest:
            guest.expect(f"done: work {TURNS}\n")
            assert facts(guest.text) == expected, (name, guest.text)
        assert hashlib.sha256(disk.read_bytes()).hexdigest() == expected_disk, name
    (moved / "c0.vsnap").unlink()
    done = vm.vireo("snapshot", "verify", moved / "c2.vsnap", code=5)
    assert "c0.vsnap" in done.stderr, done

def sections(path):
    """{name: bytes} of what the file says of memory: docs/snapshots.md."""
    data, found = path.read_bytes(), {}
    at, length = struct.unpack_from("<QQ", data, 24)
    for entry in range(at, at + length, 64):
        name = data[entry:entry + 32].rstrip(b"\0").decode()
        off, size = struct.unpack_from("<QQ", data, entry + 40)
        if name.startswith("ram"):
            found[name] = data[off:off + size]
    return found


def child(name, parent):
    """How much memory was compared for it."""
    cli("snapshot", "save", "box", "--to", tmp / name, "--parent", parent, "--no-disks")
    return json.loads(cli("snapshot", "info", tmp / name, "--json"))["compared_bytes"]


for engine in ("jit", "interp"):
    with tap.test(f"{engine}: what was written is what differs, whoever wrote it: the same child as by comparing all"):
        disk, rounds = new_disk(tmp / "since.img"), 4 if engine == "jit" else 2
        for old in tmp.glob("s?.vsnap"):  # of the other engine: what has children is not written over
            old.unlink()
        with guest_of("--name", "box", "--disk", disk, "--engine", engine, "--balloon", "on", "-c", 2) as guest:
            guest.run("modprobe virtio_balloon 2>/dev/null; ip link set eth0 up 2>/dev/null")
            cli("snapshot", "save", "box", "--to", tmp / "s0.vsnap", "--no-disks")
            assert child("s1.vsnap", tmp / "s0.vsnap") == 128 << 20  # nobody counted before
            least = 128 << 20
            for i in range(rounds):
                # Devices write what is read from disk, and zeroes where the balloon grows; CPUs the rest.
                guest.run(f"work {3 + i}; ping -c 1 -W 1 10.0.2.2 >/dev/null 2>&1; cat /bin/busybox >/tmp/b{i}")
                cli("set", "box", f"balloon={'96M' if i % 2 else '128M'}")
                if i == 1:
                    cli("fork", "box", "--name", "twin")  # memory becomes a private view
                    cli("stop", "twin")
                cli("pause", "box")
                parent = tmp / f"s{i + 1}.vsnap"
                some = child("account.vsnap", parent)
                assert child(f"s{i + 2}.vsnap", parent) == 128 << 20  # the account is for children of the last one
                by_account, by_hash = sections(tmp / "account.vsnap"), sections(tmp / f"s{i + 2}.vsnap")
                assert by_account == by_hash, (i, [(k, len(v), len(by_hash[k])) for k, v in by_account.items()])
                assert 0 < len(by_account["ram"]) <= some < 128 << 20, (some, len(by_account["ram"]))
                least = min(least, some)
                cli("resume", "box")
        print(f"# {engine}: compared {least >> 20} MiB of 128 at the least")

with tap.test("without contents of disks: taken if they are as they were, refused if not"):
    disk = new_disk(tmp / "plain.img")
    snap = tmp / "plain.vsnap"
    with guest_of("--name", "box", "--disk", disk) as guest:
        guest.run("dd if=/dev/zero of=/dev/vda bs=64k seek=3 count=1 oflag=direct conv=notrunc 2>/dev/null")
        cli("pause", "box")
        cli("snapshot", "save", "box", "--to", snap, "--no-disks")
    with guest_of(snap, boot=False) as guest:
        assert guest.run("head -c 4 /proc/uptime")
        guest.run("dd if=/dev/zero of=/dev/vda bs=64k seek=9 count=1 oflag=direct conv=notrunc 2>/dev/null")
        done = vm.vireo("snapshot", "restore", "box", snap, code=5)
        assert "written to since" in done.stderr, done
        assert guest.run("head -c 4 /proc/uptime")  # it goes on
    done = vm.vireo("run", "-q", "--console", "null", snap, code=5)
    assert "written to since" in done.stderr, done
    shutil.move(disk, tmp / "elsewhere.img")
    done = vm.vireo("run", "-q", "--console", "null", snap, code=5)
    assert "--disk" in done.stderr, done
    with guest_of(snap, "--disk", tmp / "elsewhere.img", "--snapshot-disks", "keep", boot=False) as guest:
        assert guest.run("head -c 4 /proc/uptime")

with tap.test("time: the guest's own goes on where it stood, the clock on the wall is the host's"):
    snap = tmp / "time.vsnap"
    with guest_of("--name", "box") as guest:
        uptime = float(guest.run("cat /proc/uptime").split()[0])
        cli("pause", "box")
        cli("snapshot", "save", "box", "--to", snap)
    saved = time.time()
    while time.time() < saved + 3:  # what is measured, not a wait for something
        pass
    with guest_of(snap, boot=False) as guest:
        assert float(guest.run("cat /proc/uptime").split()[0]) < uptime + 2
        rtc = int(guest.run("cat /sys/class/rtc/rtc0/since_epoch").split()[0])
        assert abs(rtc - time.time()) < 2, (rtc, time.time())
        guest.send("reboot -f\n")  # its files are read for the first time
        guest.up_again()
        rtc = int(guest.run("cat /sys/class/rtc/rtc0/since_epoch").split()[0])
        assert abs(rtc - time.time()) < 2, (rtc, time.time())

with tap.test("jobs: save, load and delete by QMP, with their events"):
    with guest_of("--name", "box", "--disk", new_disk(tmp / "qmp.img")) as guest, Qmp(socket_path("box")) as qmp:
        def job(command, **args):
            qmp.events.clear()
            qmp.ask(command, **{"job-id": "j1", "tag": "mark", **args})
            seen = []
            while not seen or seen[-1] != "concluded":
                data = qmp.wait_event("JOB_STATUS_CHANGE")["data"]
                assert data["id"] == "j1"
                seen.append(data["status"])
            told = qmp.ask("query-jobs")
            assert [j["id"] for j in told] == ["j1"] and told[0]["type"] == command, told
            qmp.ask("job-dismiss", id="j1")
            assert qmp.wait_event("JOB_STATUS_CHANGE")["data"]["status"] == "null"
            assert qmp.ask("query-jobs") == []
            return seen, told[0].get("error")

        good = ["created", "running", "waiting", "pending", "concluded"]
        assert job("snapshot-save", vmstate="disk0", devices=["disk0"]) == (good, None)
        assert job("snapshot-load", vmstate="disk0", devices=["disk0"]) == (good, None)
        assert qmp.ask("query-status")["running"]
        assert job("snapshot-delete", devices=["disk0"]) == (good, None)
        seen, error = job("snapshot-load", vmstate="disk0", devices=["disk0"])
        assert seen[-2:] == ["aborting", "concluded"] and "mark" in error, (seen, error)
        for wrong in ({"job-id": "1"}, {"tag": "../x"}, {"devices": ["disk7"]}, {"x-vireo-path": "here"}):
            try:
                qmp.ask("snapshot-save", **{"job-id": "j1", "tag": "mark", **wrong})
                raise AssertionError(wrong)
            except Refused:
                pass
        assert qmp.ask("query-status")["running"]
        assert guest.run("echo fine") == "fine\n"

tap.finish()
