#!/usr/bin/env python3
"""The control socket of a machine that runs a stock kernel: the guest's resets, panics and ends are events with their
reasons, disks are counted, time stands still while it is paused."""

import pathlib
import re
import tempfile
import time

import vm
from qmp import Qmp, Refused, pci_functions, pci_place, socket_path
from tap import Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
FOLDER = vm.kernel_folder()


def shell(*args, modules=None, **kw):
    ram = vm.initramfs(FOLDER, *(["-m", modules] if modules else []))
    return vm.Shell("--name", "box", "--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", *args,
                    append="quiet panic=-1", **kw)


disk = tmp / "disk.img"
disk.write_bytes(bytes(8 << 20))
with shell("--disk", disk) as guest, Qmp(socket_path("box")) as qmp:
    with tap.test("disks are counted: requests, bytes, time"):
        before = qmp.ask("query-blockstats")[0]["stats"]
        guest.run("dd if=/dev/vda of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null")
        guest.run("dd if=/dev/zero of=/dev/vda bs=64k count=16 oflag=direct conv=fsync 2>/dev/null")
        after = qmp.ask("query-blockstats")[0]["stats"]
        assert after["rd_bytes"] - before["rd_bytes"] >= 2 << 20, (before, after)
        assert after["wr_bytes"] - before["wr_bytes"] == 1 << 20, (before, after)
        for kind in ("rd", "wr", "flush"):
            assert after[f"{kind}_operations"] > before[f"{kind}_operations"], (kind, after)
            assert after[f"{kind}_total_time_ns"] > before[f"{kind}_total_time_ns"], (kind, after)
        assert after["failed_rd_operations"] == 0

    with tap.test("a limit of a disk is kept by the guest's clock, and goes again"):
        def took(count):
            """Guest seconds for as many reads of 4 KiB, none of which is had before."""
            out = guest.run(f"cut -d' ' -f1 /proc/uptime; dd if=/dev/vda of=/dev/null bs=4k count={count} iflag=direct "
                            "2>/dev/null; cut -d' ' -f1 /proc/uptime")
            begin, end = map(float, out.split())
            return end - begin

        vm.vireo("set", "box", "disk0.iops=100")
        limited = took(150)
        vm.vireo("set", "box", "disk0.iops=0")
        free = took(150)
        assert limited >= 1.35 and free < limited / 2, (limited, free)  # 150 reads, 11 of them at once

    with tap.test("the cable of a card is pulled out and plugged in again: the guest's carrier follows"):
        carrier = "/sys/class/net/eth0/carrier"
        guest.run("modprobe virtio_net; netup")
        assert guest.run(f"cat {carrier}") == "1\n"
        reach = "wget -q -T 2 -O - http://10.0.2.2:1/ 2>&1"
        assert "refused" in guest.run(reach)
        vm.vireo("set", "box", "net0.link=down")
        vm.until(guest, f"[ $(cat {carrier}) = 0 ]")
        assert "refused" not in guest.run(reach)
        qmp.ask("set_link", name="net0", up=True)
        vm.until(guest, f"[ $(cat {carrier}) = 1 ]")
        assert "refused" in guest.run(reach)
        try:
            qmp.ask("set_link", name="net9", up=True)
            raise AssertionError("a card that is not there")
        except Refused as no:
            assert no.cls == "DeviceNotFound", no

    with tap.test("the boot profile: made, loaded, the kernel, its first words, user space"):
        boot = {s["name"]: s["value"] for s in qmp.ask("x-vireo-stats", group="boot")}
        assert set(boot) == {"create_ns", "load_ns", "supervisor_ns", "console_ns", "user_ns"}, boot
        assert 0 < boot["create_ns"] < 60e9 and 0 < boot["load_ns"] < 60e9, boot
        assert boot["supervisor_ns"] < boot["user_ns"] and 0 < boot["console_ns"] < 240e9, boot

    with tap.test("query-pci: the functions and addresses that the guest's kernel finds"):
        found = {}
        for line in guest.run("cd /sys/bus/pci/devices; for d in *; do echo $d $(cat $d/vendor $d/device $d/class) "
                              "$(sed -n 's/ .*//p' $d/resource | tr '\\n' ' '); done; cd /").splitlines():
            place, vendor, device, cls, *starts = line.split()
            found[place] = [int(x, 16) for x in (vendor, device)] + [int(cls, 16) >> 8, {int(x, 16) for x in starts}]
        told = pci_functions(qmp)
        assert len(told) == len(found) > 2, (told, found)
        for d in told:
            vendor, device, cls, starts = found[pci_place(d)]
            assert (d["id"]["vendor"], d["id"]["device"], d["class_info"]["class"]) == (vendor, device, cls), d
            assert {r["address"] for r in d["regions"] if r["address"] >= 0} <= starts, (d, starts)
        assert {"disk0", "rng"} <= {d["qdev_id"] for d in told}

    with tap.test("processor time and memory that the guest uses are counted"):
        def number(group, name):
            return sum(s["value"] for s in qmp.ask("x-vireo-stats", group=group) if s["name"] == name)

        cpu, used = number("cpu", "time_ns"), number("machine", "memory_used_bytes")
        guest.run("head -c 48m /dev/urandom >/tmp/random")
        assert number("cpu", "time_ns") > cpu + 1_000_000
        assert number("machine", "memory_used_bytes") > used + (32 << 20)

    with tap.test("while it is paused, the guest's time stands still"):
        begin = float(guest.run("cat /proc/uptime").split()[0])
        host = time.monotonic()
        qmp.ask("stop")
        paused = time.monotonic()
        while time.monotonic() < paused + 1.5:  # what is measured, not a wait for something
            qmp.ask("query-status")
        qmp.ask("cont")
        end = float(guest.run("cat /proc/uptime").split()[0])
        host = time.monotonic() - host
        assert end - begin < host - 1.4, (begin, end, host)

    with tap.test("400 pauses under load harm nothing"):
        guest.send("sha256sum /tmp/random /tmp/random\n")
        for _ in range(400):
            qmp.ask("stop")
            qmp.ask("cont")
        guest.at = guest.expect("done: sha256sum", guest.at)
        sums = [line.split()[0] for line in guest.text[:guest.at].splitlines() if line.endswith("  /tmp/random")]
        assert len(sums) == 2 and sums[0] == sums[1], sums

    with tap.test("a reset by the guest, and one by the user while it runs"):
        qmp.events.clear()
        guest.send("reboot -f\n")
        assert qmp.wait_event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}
        guest.up_again()
        qmp.ask("system_reset")
        assert qmp.wait_event("RESET")["data"]["guest"] is False
        guest.up_again()

    with tap.test("a guest that powers off"):
        guest.send("poweroff -f\n")
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
        assert guest.wait() == 0, guest.errors()

with tap.test("the power button: its driver takes it for a power key, and the guest powers off when it is pressed"):
    press = vm.run_arg(
        "modprobe evdev; modprobe -r virtio_input; echo guest: no driver; read -r line; modprobe virtio_input;"
        "cat /proc/bus/input/devices; exec 3</dev/input/event0; echo guest: listens;"
        # The first event (struct input_event: 16 bytes of time, type, code, value) is the key going down.
        "head -c 24 <&3 | od -An -tu2 -j16 -N6; poweroff -f")
    ram = vm.initramfs(FOLDER, "-m", "virtio_input,evdev")
    with vm.Vm("-q", "--name", "box", "--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", "--power-button",
               "-a", f"quiet {press}") as guest, Qmp(socket_path("box")) as qmp:
        at = guest.expect("guest: no driver\n")
        try:
            qmp.ask("system_powerdown")
            raise AssertionError("nobody listens")
        except Refused as refused:
            assert refused.cls == "DeviceNotFound" and "does not listen" in refused.desc, refused
        guest.send("go\n")
        at = guest.expect("guest: listens\n", at)
        assert "Vireo power button" in guest.text and "B: KEY=10000000000000 0" in guest.text, guest.text
        vm.vireo("shutdown", "--wait", "box")
        assert guest.wait() == 0 and re.search(r"^ +1 +116 +1$", guest.text[at:], re.M), guest.text[at:]
        qmp.wait_event("POWERDOWN")

with tap.test("a watchdog presses the power button of a guest that let it run out"):
    # Debian's riscv64 kernel has no driver for it: by hand, the clock of 1 MHz, then on; two stages are two seconds.
    bite = vm.run_arg(
        "modprobe evdev; modprobe virtio_input; exec 3</dev/input/event0;"
        "dev=$(dirname $(grep -l 0x8086 /sys/bus/pci/devices/*/vendor)); echo 1 >$dev/enable;"
        "put() { printf $2 | dd of=$dev/config bs=1 seek=$1 conv=notrunc; };"
        "put 96 '\\004'; put 104 '\\002'; echo guest: hangs;"
        "head -c 24 <&3 | od -An -tu2 -j16 -N6; poweroff -f")
    ram = vm.initramfs(FOLDER, "-m", "virtio_input,evdev")
    with vm.Vm("-q", "--name", "box", "--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", "--power-button",
               "--watchdog", "i6300esb,action=shutdown", "-a", f"quiet {bite}") as guest, \
            Qmp(socket_path("box")) as qmp:
        at = guest.expect("guest: hangs\n")
        assert qmp.wait_event("WATCHDOG")["data"] == {"action": "shutdown"}
        assert guest.wait() == 0 and re.search(r"^ +1 +116 +1$", guest.text[at:], re.M), guest.text
    with vm.Vm("--kernel", FOLDER / "Image", "--watchdog", "i6300esb,action=shutdown", stdin=False) as guest:
        assert guest.wait() == 2 and "--power-button" in guest.errors(), guest.errors()

with tap.test("vireo set balloon: the guest gives memory back and gets it again; BALLOON_CHANGE tells"):
    with shell("--balloon", "on", modules="virtio_balloon", before="modprobe virtio_balloon; "), \
            Qmp(socket_path("box")) as qmp:
        for mib in (160, 256):
            vm.vireo("set", "box", f"balloon={mib}M")
            while (left := qmp.wait_event("BALLOON_CHANGE")["data"]["actual"]) != mib << 20:
                assert left < 256 << 20, left
            assert qmp.ask("query-balloon") == {"actual": mib << 20}

with tap.test("a kernel that panics: told when it does, and as the reason of the end"):
    with shell() as guest, Qmp(socket_path("box")) as qmp:
        guest.send("echo c >/proc/sysrq-trigger\n")
        assert qmp.wait_event("GUEST_PANICKED")["data"] == {"action": "poweroff"}
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-panic"}
        assert guest.wait() == 4, guest.errors()

tap.finish()
