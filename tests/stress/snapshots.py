#!/usr/bin/env python3
"""`make soak-snapshots`: snapshots at random moments, and many of them.

  snapshots.py [-n MOMENTS] [-c CYCLES] [-s SEED]

A Debian guest boots, then compiles and runs programs, fetches over its network and writes a file system. One half of MOMENTS
are random moments of its boot, the other half of its work: at each it is saved, whole or by what changed, packed or not, with
its disk's contents or (paused) without, and goes on. Then each snapshot is continued in a new process, by the JIT, or by the
interpreter for a while, saved again by that and then continued by the JIT. Everybody has to come to what an undisturbed
guest came to, with a file system that fsck finds clean. Of some files random bytes are changed, which has to be found.

Then one machine is saved and restored CYCLES times, and must not grow."""

import argparse
import collections
import contextlib
import http.server
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/guest")]
import tap  # noqa: E402, F401: a runtime folder of our own
import debian  # noqa: E402
import vm  # noqa: E402
from qmp import Qmp, socket_path  # noqa: E402
from work import new_disk  # noqa: E402

TURNS = 6
DISK_MIB = 48
# Connections do not outlive a process: a transfer that was under way is noticed to be dead, and begun anew.
MAIN = r"""
set -e
export LC_ALL=C TMPDIR=/mnt
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
mkfs.ext4 -q /dev/vdb
mount -t ext4 /dev/vdb /mnt
cd /mnt
echo begin >sum
program() { # turn
    echo '#include <stdio.h>'
    for f in 1 2 3 4 5 6 7 8; do
        echo "static unsigned f$f(unsigned x) { for (int i = 0; i < 20000; i++) {"
        echo "switch (x % $((f + 2))) { case 0: x = x * $((1664525 + f * $1)) + $1; break;"
        echo "case 1: x ^= x << 13; x ^= x >> $((f + 7)); break; default: x += $((f * 77 + $1)); } } return x; }"
    done
    echo 'int main(void) { unsigned x = 1; for (int i = 0; i < 20; i++) {'
    echo 'x = f1(f2(f3(f4(f5(f6(f7(f8(x)))))))); printf("%u\n", x); } return 0; }'
}
fetch() { # part
    curl -s --connect-timeout 5 --speed-time 5 --speed-limit 1 --retry 20 --retry-delay 1 --retry-all-errors -o in \
        http://10.0.2.2:PORT/$1 || echo "fetch failed"
}
echo work begins
for turn in $(seq 1 TURNS); do
    program $turn >p.c
    gcc -O2 -o p p.c || echo "gcc failed"
    ./p >out
    fetch $turn
    for i in 1 2 3 4; do
        cat p in out sum | dd of=kept.$turn.$i bs=64k 2>/dev/null
        sync
        echo 3 >/proc/sys/vm/drop_caches
    done
    sha256sum p out in kept.* sum >next
    rm -f kept.$((turn - 1)).[123]
    mv next sum
    echo turn $turn
done
sync
echo 3 >/proc/sys/vm/drop_caches
sum=$(sha256sum kept.* p out sum | sha256sum | cut -c1-64)
cd /
umount /mnt
echo "sum $sum"
"""

# A moment: how it was saved, the file, a disk of its own or None.
Moment = collections.namedtuple("Moment", "how snap disk")


class Pages(http.server.BaseHTTPRequestHandler):
    """/N: bytes that N says."""

    def do_GET(self):
        body = random.Random(self.path).randbytes(1 << 20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the guest was taken back, or is gone
            self.wfile.write(body)

    def log_message(self, *args):
        pass


class Soak:
    def __init__(self, tmp, rng):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.tmp, self.rng, self.seen = tmp, rng, collections.Counter()
        self.guest = debian.machine(tmp, MAIN.replace("PORT", str(server.server_port)).replace("TURNS", str(TURNS)))
        self.guest[-1] += " test.mode=ro"
        self.root, self.disk = f"{debian.image()},ro", tmp / "work.img"

    def fresh(self):
        self.disk.unlink(missing_ok=True)
        debian.sparse(self.tmp, self.disk.name, DISK_MIB << 20)
        return vm.Vm("-q", "--name", "soak", *self.guest, "-m", "256M", "--disk", self.root, "--disk", self.disk,
                     "--net", "user", deadline_s=1200)

    def undisturbed(self):
        with self.fresh() as guest:
            begin = running_since()
            guest.expect("work begins\n")
            self.boot_s = time.monotonic() - begin
            guest.expect("turn 1\n")
            self.turn_s = time.monotonic() - begin - self.boot_s
            code = guest.wait()
            self.expected = facts(guest.text)
            assert code == 0 and len(self.expected) == 2, (code, guest.text[-3000:], guest.errors())
        debian.fsck(self.disk)
        print(f"undisturbed: boot {self.boot_s:.1f} s, one of {TURNS} turns {self.turn_s:.1f} s, {self.expected[0]}", flush=True)

    def ended(self, guest, disk, what):
        """@guest comes to what it should."""
        code = guest.wait()
        got = facts(guest.text)
        assert code == 0 and got == self.expected, (what, code, got, self.expected, guest.text[-3000:], guest.errors())
        debian.fsck(disk)

    def save(self, snap, parent):
        """Save the running guest as chance will have it."""
        rng, disk = self.rng, None
        packed, part, bare = rng.random() < 0.3, parent and rng.random() < 0.6, rng.random() < 0.3
        args = ["--compress", "zstd"] if packed else []
        args += ["--parent", parent] if part else []
        if bare:
            vm.vireo("pause", "soak")
            args += ["--no-disks"]
        vm.vireo("snapshot", "save", "soak", "--to", snap, "-q", *args)
        if bare:
            disk = snap.with_suffix(".img")
            debian.run("cp", "--sparse=always", self.disk, disk)
            vm.vireo("resume", "soak")
        words = ["packed" if packed else "plain", "what changed" if part else "whole", "no disks" if bare else "with disks"]
        self.seen.update(words)
        return Moment(", ".join(words), snap, disk)

    def saved(self, count):
        """A guest that is saved at @count moments of boot and as many of work, and comes to its end."""
        rng, made = self.rng, []
        at = sorted(rng.uniform(0, self.boot_s) for _ in range(count)) + sorted(rng.uniform(0, TURNS - 1) for _ in range(count))
        with self.fresh() as guest:
            begin = running_since()
            for i, when in enumerate(at):
                if i < count:
                    time.sleep(max(0.0, begin + when - time.monotonic()))  # the moment itself is what is random
                else:
                    guest.expect(f"turn {int(when)}\n" if when >= 1 else "work begins\n")
                    time.sleep(when % 1 * self.turn_s)
                made.append(self.save(self.tmp / f"moment{i}.vsnap", made[-1].snap if made else None))
            self.ended(guest, self.disk, "the guest that was saved")
        return made

    def continued(self, moment):
        """From @moment, in processes of their own, to the end."""
        rng, snap, disk, text = self.rng, moment.snap, self.disk, ""
        if moment.disk:
            disk, how = moment.disk, ["--snapshot-disks", "keep"]
        elif rng.random() < 0.5:
            folder = pathlib.Path(tempfile.mkdtemp(dir=self.tmp))
            disk, how = folder / "soak-disk1.img", ["--snapshot-disks", folder]
        else:
            how = ["--snapshot-disks", "revert"]
        disks = ["--disk", self.root, "--disk", disk] if moment.disk else []
        how += ["--snapshot-copy"] if rng.random() < 0.3 else []
        engines = ["jit"] if rng.random() < 0.6 else ["interp", "jit"]
        if rng.random() < 0.2:
            damage(snap, rng)
        for engine in engines:
            with vm.Vm("-q", snap, *disks, "--engine", engine, *how, deadline_s=1200) as guest:
                if engine == "jit":
                    self.ended(guest, disk, (moment, engines))
                    text += guest.text
                    break
                time.sleep(rng.uniform(0.5, 8))  # a random moment
                snap, disks, how = self.tmp / "again.vsnap", [], ["--snapshot-disks", "revert"]
                vm.vireo("snapshot", "save", "soak", "--to", snap, "-q")
                guest.process.kill()
                while guest._read():
                    pass
                text += guest.text
        where = "boot" if "work begins\n" in text else "work"
        self.seen.update([where, "by " + ", then ".join(engines)])
        print(f"{where}: {moment.how}; {', then '.join(engines)}: good", flush=True)
        if disk.parent not in (self.tmp,):
            shutil.rmtree(disk.parent)


def running_since():
    """When the machine that was started just now began to run: now."""
    with Qmp(socket_path("soak")) as qmp:  # it listens, and is about to be started
        qmp.wait_state("running")
    return time.monotonic()


def facts(text):
    """What a guest came to, and what it and its kernel complained of."""
    bad = r".* failed|.*(?:Oops|BUG:|WARNING:|I/O error|EXT4-fs error|rcu: INFO|soft lockup).*"
    return re.findall(rf"^(?:sum [0-9a-f]{{64}}|main: exit \d+|{bad})$", text, re.M)


def damage(snap, rng):
    """Changed bytes of @snap are found."""
    size = snap.stat().st_size
    with open(snap, "r+b") as f:
        for _ in range(3):
            at = rng.randrange(size)
            f.seek(at)
            was = f.read(1)
            f.seek(at)
            f.write(bytes([was[0] ^ (1 << rng.randrange(8))]))
            f.flush()
            vm.vireo("snapshot", "verify", snap, code=5)
            f.seek(at)
            f.write(was)
            f.flush()


def soak_moments(count, rng, tmp):
    soak = Soak(tmp, rng)
    soak.undisturbed()
    done = 0
    while done < count:
        half = min(2, max(1, (count - done) // 2))
        made = soak.saved(half)
        for moment in made:
            soak.continued(moment)
        done += len(made)
        print(f"{done} of {count} moments", flush=True)
        for left in tmp.glob("moment*"):
            left.unlink()
    print(f"moments: {done}: " + "; ".join(f"{n} {what}" for what, n in sorted(soak.seen.items())), flush=True)


def holds(pid):
    """Resident KiB that are not guest RAM, and descriptors."""
    kib = sum(int(x) for x in re.findall(r"^(?:RssAnon):\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))
    return kib, len(os.listdir(f"/proc/{pid}/fd"))


def soak_cycles(count, tmp):
    disk = new_disk(tmp / "disk.img")
    kernel = vm.kernel_folder()
    machine = ["--name", "soak", "--kernel", kernel / "Image", "--initrd", vm.initramfs(kernel, "-m", "virtio_blk,virtio_net"),
               "-m", "128M", "--disk", disk]
    with vm.Shell(*machine, deadline_s=10000) as guest, Qmp(socket_path("soak")) as qmp:
        first = None

        def job(command, path):
            qmp.events.clear()
            qmp.ask(command, **{"job-id": "j", "tag": "soak", "x-vireo-path": str(path)})
            while qmp.wait_event("JOB_STATUS_CHANGE")["data"]["status"] != "concluded":
                pass
            told = qmp.ask("query-jobs")
            assert "error" not in told[0], told
            qmp.ask("job-dismiss", id="j")

        for i in range(count):
            job("snapshot-save", tmp / "cycle.vsnap")
            job("snapshot-load", tmp / "cycle.vsnap")
            assert guest.run(f"echo {i}") == f"{i}\n"
            if i == min(50, count // 4):
                first = holds(guest.process.pid)
            if i % 50 == 49:
                print(f"{i + 1} of {count} cycles: {holds(guest.process.pid)}", flush=True)
        last = holds(guest.process.pid)
        assert last[0] <= first[0] + 4096 and last[1] <= first[1] + 2, (first, last)
        print(f"cycles: {count}, anonymous memory {first[0]} KiB then {last[0]} KiB, descriptors {first[1]} then {last[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--moments", type=int, default=50)
    parser.add_argument("-c", "--cycles", type=int, default=1000)
    parser.add_argument("-s", "--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as name:
        tmp = pathlib.Path(name)
        os.environ["XDG_DATA_HOME"] = str(tmp / "data")
        if args.cycles:
            soak_cycles(args.cycles, tmp)
        if args.moments:
            soak_moments(args.moments, random.Random(args.seed), tmp)
    print("all of it: good")


if __name__ == "__main__":
    sys.exit(main())
