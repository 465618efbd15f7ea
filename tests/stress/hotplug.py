#!/usr/bin/env python3
"""`make hotplug`: every class of devices that can be plugged in comes and goes 100 times, under load.

  hotplug.py [--rounds N] [--machine virt,...] [--only CLASS,...] [--kernel IMAGE] [--harts N]

The guest's kernel has native PCI Express hot plug, which Debian's own for riscv64 lacks (tools/guest/fetch.sh
test-kernel builds it). In each round all devices are plugged in at once, are used, and their removal is asked for while
programs read from them; all the time another disk is written and compared. Checked are: what the guest read and wrote,
from both sides; that all came and went; that the kernel has no complaint; and that the host's process holds as many
descriptors and threads, and as much memory, as after the first rounds. In the end this kernel's driver of the watchdog,
which Debian's riscv64 kernel lacks too, keeps a machine alive, and lets it be reset once nobody feeds it."""

import argparse
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "guest"))
import vm  # noqa: E402
from plug import Plugged  # noqa: E402

CLASSES = "blk scsi lun net console rng balloon fs input watchdog"
WARM, GROWTH_KIB = 5, 8192  # rounds until caches are filled; what may come after them


def watchdog(kernel):
    """What the watchdog does to a guest that hangs: complaints, if any."""
    name = f"bitten-{os.getpid()}"
    with vm.Shell("--kernel", kernel, "--initrd", vm.initramfs(vm.kernel_folder()), "--net", "none", "--watchdog",
                  "i6300esb", "--name", name, needs="[ -c /dev/watchdog ]") as guest:
        guest.run("watchdog -T 4 -t 1 /dev/watchdog")
        guest.run("sleep 12")
        bad = ["it bit a guest that lives"] if guest.text.count(vm.UP) != 1 else []
        guest.send("kill -STOP $(pidof watchdog)\n")
        guest.up_again()
        events = vm.vireo("events", name, "--json").stdout
        bad += [] if '"WATCHDOG"' in events and '"reset"' in events else [f"no event told of it: {events}"]
        guest.send("poweroff -f\n")
        return bad if guest.wait() == 0 else [*bad, guest.errors()]


def main():
    parser = argparse.ArgumentParser(description="devices come and go")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--machine", default="virt,slots=10")
    parser.add_argument("--only", default=CLASSES.replace(" ", ","))
    parser.add_argument("--kernel", type=pathlib.Path)
    parser.add_argument("--harts", type=int, default=1)
    args = parser.parse_args()
    kernel = args.kernel or pathlib.Path(vm.fetched("test-kernel")[-1]) / "Image"
    classes = args.only.split(",")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as tmp:
        with Plugged(tmp, kernel, "", True, "-c", args.harts, machine=args.machine,
                     deadline_s=60 * args.rounds + 300) as machine:
            usage = {}
            for n in range(args.rounds):
                machine.round(n, classes)
                usage[n] = machine.usage()
                if n % 10 == 9:
                    print(f"{n + 1} rounds, {time.monotonic() - begin:.0f} s: {usage[n]}", flush=True)
            complaints, writes = machine.end()
    first, last = usage[min(WARM, args.rounds - 1)], usage[args.rounds - 1]
    print(f"{args.rounds} rounds of {' '.join(classes)} on {args.machine}, {args.harts} harts: "
          f"{args.rounds * len(classes)} devices came and went; {writes} writes to the disk that stayed were compared; "
          f"descriptors {first['fds']} -> {last['fds']}, threads {first['threads']} -> {last['threads']}, "
          f"private memory {first['kib']} -> {last['kib']} KiB")
    bad = [f"the kernel says: {line}" for line in complaints]
    bad += ["descriptors grew"] if last["fds"] > first["fds"] else []
    bad += ["threads grew"] if last["threads"] > first["threads"] + 2 else []  # the disk that stays has a pool
    bad += ["memory grew"] if last["kib"] > first["kib"] + GROWTH_KIB else []
    if "watchdog" in classes:
        bad += [f"watchdog: {line}" for line in watchdog(kernel)]
    for line in bad:
        print(f"hotplug: {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
