#!/usr/bin/env python3
"""`make races`: devices, I/O threads and the control socket under ThreadSanitizer.

  races.py [BUILD] [--no-guest]

In-process tests whose machines have threads, and a Debian guest of two harts (interpreted: the JIT's code is not
instrumented) that uses two disks and a network on two I/O threads. A report fails the run unless it is of the guest's own
RAM: what harts and devices do there at the same time is the guest's business, ordered by its barriers and by fences, which
ThreadSanitizer does not model. Such reports are told apart by where they are ("memfd:ram"), not by who made them, and counted.
Left out is what races on guest memory on purpose (threats_virtio_race) or has one thread."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/guest"))
TESTS = """unit/loop unit/work unit/chr unit/machine unit/vm unit/qmp unit/net_user unit/net_stream unit/fork unit/migrate
    unit/rv_smp unit/dirty unit/clock unit/space unit/blk_raw unit/fs_ops unit/panic_watch dev/hotplug dev/own_device dev/virtio_blk
    dev/virtio_blk_queues dev/virtio_net_queues dev/virtio_scsi dev/virtio_fs dev/virtio_console dev/sriov""".split()
SCRIPT = r"""
. /test/lib.sh
await disks "[ -b /dev/vda ] && [ -b /dev/vdb ]"
ifconfig eth0 10.0.2.15 up
for round in 1 2; do
    dd if=/dev/vda of=/dev/vdb bs=64k count=16 oflag=direct 2>/dev/null &
    dd if=/dev/vdb of=/dev/null bs=4k count=100 iflag=direct 2>/dev/null &
    ping -c 5 -i 0.1 -q 10.0.2.2 &
    sha256sum /bin/busybox >/dev/null &
    wait
done
echo all done
poweroff -f
"""
REPORT = re.compile(r"^WARNING: ThreadSanitizer: (?:.*\n)*?SUMMARY: .*$", re.M)


def reports(log):
    """Those that count, and how many are of guest RAM. What went wrong in another way is in them, too."""
    text = "\n".join(path.read_text(errors="replace") for path in log.parent.glob(log.name + ".*"))
    found = REPORT.findall(text)
    assert len(found) == text.count("WARNING: ThreadSanitizer"), text[:3000]
    bad = [r for r in found if not re.search(r"^  Location is .*\(memfd:ram ", r, re.M)]
    return bad, len(found) - len(bad)


def environment(log):
    return dict(os.environ, TSAN_OPTIONS=f"halt_on_error=0 exitcode=0 history_size=4 log_path={log}",
                CMOCKA_MESSAGE_OUTPUT="TAP")


def run_guest(build, tmp, log):
    """None, or what is wrong."""
    import debian
    import vm
    initrd = debian.initrd(tmp, SCRIPT, init=vm.ROOT / "tools/guest/init", modules="virtio_blk,virtio_net")
    disks = [tmp / "a", tmp / "b"]
    for disk in disks:
        disk.write_bytes(os.urandom(4 << 20))
    args = ["-q", "--kernel", vm.kernel_folder() / "Image", "--initrd", initrd, "-a", "quiet " + vm.run_arg("sh /test/main"),
            "-m", "128M", "-c", "2", "--engine", "interp", "--io-threads", "2", "--net", "user"]
    for disk in disks:
        args += ["--disk", disk]
    os.environ.update(environment(log))
    with vm.Vm(*args, command=[str(build / "vireo"), "run", *map(str, args)], deadline_s=1200) as guest:
        code = guest.wait()
    good = code == 0 and "all done" in guest.text and "Oops" not in guest.text and guest.text.count(" 0% packet loss") == 2
    same = disks[0].read_bytes()[:1 << 20] == disks[1].read_bytes()[:1 << 20]
    return None if good and same else f"exit {code}:\n{guest.text[-1500:]}\n{guest.errors()}"


def main():
    parser = argparse.ArgumentParser(description="data races")
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=ROOT / "build-races")
    parser.add_argument("--no-guest", action="store_true")
    args = parser.parse_args()
    build, failed, ours = args.build.resolve(), 0, 0
    begin = time.monotonic()
    if not (build / "build.ninja").exists():  # gcc says of each fence that it is not modelled
        subprocess.run(["meson", "setup", str(build), "--buildtype=debugoptimized", "-Db_sanitize=thread", "-Db_lundef=false",
                        "-Db_lto=false", "-Dc_args=-Wno-tsan"], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=True)
    subprocess.run([str(ROOT / "tools/build.sh"), str(build), "vireo", *(f"tests/{t}_test" for t in TESTS)], check=True)
    print(f"races: built in {time.monotonic() - begin:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tmp = pathlib.Path(folder)
        for test in [*TESTS, *([] if args.no_guest else ["guest"])]:
            log, begin, wrong = tmp / test.replace("/", "-"), time.monotonic(), None
            if test == "guest":
                wrong = run_guest(build, tmp, log)
            else:
                done = subprocess.run([str(build / f"tests/{test}_test")], env=environment(log), stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, errors="replace", timeout=600)
                wrong = f"exit {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}" if done.returncode else None
            bad, ram = reports(log)
            ours += len(bad)
            failed += bool(bad or wrong)
            print(f"races: {test}: {'FAILED' if bad or wrong else 'ok'}: {len(bad)} races, {ram} of the guest in its RAM, "
                  f"{time.monotonic() - begin:.0f} s", flush=True)
            for text in [*({re.search("SUMMARY.*", r)[0]: r for r in bad}.values()), *([wrong] if wrong else [])]:
                print(text)
    print(f"races: {len(TESTS) + (not args.no_guest)} programs, {failed} failed, {ours} races")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
