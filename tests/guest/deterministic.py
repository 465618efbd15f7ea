#!/usr/bin/env python3
"""Deterministic mode: Debian's life is the same each time and on both engines; and what --record wrote down
--replay lives again, with input from the console, the network and a disk."""

import os
import pathlib
import re
import tempfile

import jit
import vm
from qmp import Qmp, socket_path
from tap import Tap

SCRIPT = "echo harts $(nproc); date; head -c 8 /dev/urandom | od -x; sleep 1; echo slept"
ENDED = re.compile(r"ended at step (\d+), guest time (\d+) ns, state hash ([0-9a-f]{16})")

tap = Tap()
no_jit = jit.why_not(os.environ["VIREO"])
folder = vm.kernel_folder()
tmp = tempfile.TemporaryDirectory(prefix="vireo-det-")
home = pathlib.Path(tmp.name)
# Of our own: the kept one may be made anew by others meanwhile.
initrd = vm.initramfs(folder, "-o", str(home / "initramfs.cpio"))
base = ["--kernel", folder / "Image", "--initrd", initrd, "-m", "256M"]
engines = ["interp"] if no_jit else ["interp", "jit"]
if no_jit:
    print(f"# lives are compared of one engine only: {no_jit}")


def ended(guest):
    found = ENDED.search(guest.errors())
    assert found, guest.errors() + guest.text[-1000:]
    return found.groups()


def life(*args, script=SCRIPT):
    with vm.Vm(*base, *args, "-a", "quiet " + vm.run_arg(script), deadline_s=400, stdin=False) as guest:
        assert guest.wait() == 0, guest.errors() + guest.text[-1000:]
        assert "\nslept\n" in guest.text, guest.text[-1000:]
        return ended(guest), guest.text


for harts in (1, 2, 4):
    with tap.test(f"the same life on {' and '.join(engines)}, {harts} hart(s)"):
        lives = [life("-c", harts, "--deterministic", "--engine", e) for e in (engines * 2)[:2]]  # never one with itself
        assert all(x == lives[0] for x in lives), lives
        assert "Thu Jan  1 00:00:0" in lives[0][1] and f"harts {harts}\n" in lives[0][1], lives[0][1][-500:]

with tap.test("twice the same, and another seed is another life"):
    engine = engines[-1]
    first = life("--deterministic", "--engine", engine)
    assert life("--deterministic", "--engine", engine) == first
    assert life("--deterministic=seed=5", "--engine", engine)[0][2] != first[0][2]

with tap.test("a snapshot taken anywhere is continued to the same end, 2 harts"):
    # While it boots, and, standing, while it works.
    work = SCRIPT.replace("; date", "; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; date", 1)
    args = ["-c", 2, "--deterministic", "--engine", engines[-1]]
    whole = life(*args, script=work)
    args += ["-a", "quiet " + vm.run_arg(work)]
    for nr, when in enumerate(("", "harts 2\n")):
        saved = home / f"{nr}.vsnap"
        with vm.Vm(*base, *args, "--name", "det", deadline_s=400, stdin=False) as guest, Qmp(socket_path("det")) as qmp:
            qmp.wait_state("running")
            guest.expect(when)
            if when:  # at once: it does not work for long
                qmp.ask("stop")
            vm.vireo("snapshot", "save", "det", "--to", saved)
            if when:
                qmp.ask("cont")
            assert guest.wait() == 0 and ended(guest) == whole[0], "saving it changed its life"
        with vm.Vm(saved, deadline_s=400, stdin=False) as guest:
            assert guest.wait() == 0 and ended(guest) == whole[0], (when, ended(guest), whole[0])


def record(tape, *args):
    with vm.Vm(*base, *args, "--record", tape, "-a", "quiet") as guest:
        guest.expect("busybox shell")
        guest.send("echo $((6*7))-answers; head -c 9 /dev/urandom | od -x\n")
        guest.expect("42-answers")
        guest.send("modprobe virtio_net; netup; wget -q -O - http://10.0.2.2:1/ || echo no-server\n")
        guest.expect("no-server", guest.expect("|| echo no-server"))
        guest.send("modprobe virtio_blk; dd if=/dev/vda bs=64k count=8 2>/dev/null | md5sum; "
                   "dd if=/dev/zero of=/dev/vda bs=4k count=4 conv=fsync; poweroff -f\n")
        assert guest.wait() == 0, guest.errors() + guest.text[-1000:]
        return ended(guest), guest.text


def replay(tape, *args):
    """(exit code, end, console, what it said)"""
    with vm.Vm(*base, *args, "--replay", tape, "-a", "quiet", stdin=False, deadline_s=400) as guest:
        code = guest.wait()
        found = ENDED.search(guest.errors())
        return code, found and found.groups(), guest.text, guest.errors()


disk = home / "disk"
tape = home / "tape"
for harts in (1, 2):
    with tap.test(f"a recorded life is lived again, {harts} hart(s)"):
        disk.write_bytes(os.urandom(1 << 20))
        args = ["-c", harts, "--disk", f"{disk},raw"]
        end, text = record(tape, *args)
        disk.write_bytes(bytes(1 << 20))  # a replay does not need what was there
        for engine in engines:
            code, again, console, said = replay(tape, *args, "--engine", engine)
            assert code == 0 and again == end and console == text, (engine, end, again, said, console[-500:])
            hashes = re.search(r"ended as recorded, .* (\d+) state hashes were the same", said)
            assert hashes and int(hashes[1]) > 10, said
        assert disk.read_bytes() == bytes(1 << 20), "a replay wrote to the disk"

with tap.test("another machine differs, and says where"):
    args = ["-c", "2", "--disk", f"{disk},raw"]
    code, _, _, said = replay(tape, *args, "-m", "512M")
    assert code == 6 and "differs from the recording at step 0," in said, (code, said)
    code, _, _, said = replay(tape, "-c", "2")
    assert code == 6 and "sources" in said, (code, said)

with tap.test("damaged recordings are refused, cut ones end early"):
    good = tape.read_bytes()
    bad = home / "bad"
    for at in (3, 9, 20, 50, len(good) // 2, len(good) - 3):
        bad.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        code, _, _, said = replay(bad, *args)
        assert code == 5 and str(bad) in said, (at, code, said)
    cut = home / "cut"
    cut.write_bytes(good[:len(good) // 2])
    code, _, _, said = replay(cut, *args)
    assert code == 0 and "cut off" in said, (code, said)

with tap.test("what cannot be recorded is refused"):
    variables = home / "variables"
    variables.write_bytes(bytes(4096))
    for more, says in ((["--share", f"{home}:x"], "a shared directory"),
                       (["--root", home], "a shared directory"),
                       (["--engine", "lockstep"], "the engines interp and jit"),
                       (["--trace-insn", home / "trace"], "without an instruction trace"),
                       (["--io-threads", "2"], "leave --io-threads out"),
                       (["--flash-vars", variables], "leave --flash-vars out to record"),
                       (["--replay", tape], "records or replays, not both")):
        with vm.Vm(*base, "--record", home / "none", *more, stdin=False) as guest:
            assert guest.wait() == 2 and says in guest.errors(), (more, guest.errors())

tap.finish()
