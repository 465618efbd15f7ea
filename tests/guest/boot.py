#!/usr/bin/env python3
"""Stock Debian boots: on 1, 2 and 4 harts, with the built-in SBI and with Debian's OpenSBI."""

import pathlib

import vm
from tap import Tap

SCRIPT = """
echo harts $(nproc)
uname -m
i=0; sum=0; while [ $i -lt 1000 ]; do i=$((i+1)); sum=$((sum+i)); done; echo sum $sum
cat /proc/cmdline | wc -w
grep -c ^processor /proc/cpuinfo
sleep 0.2 && echo slept
echo "hello from user space" | sha256sum
"""
HELLO = "e3fc3d9bcacde82d5b322d2b80c2ff773a1609ef6cc272b92c6c3356e978869d"

tap = Tap()
folder = vm.kernel_folder()
base = ["--kernel", folder / "Image", "--initrd", vm.initramfs(folder), "-m", "256M", "--rng", "off"]
opensbi = pathlib.Path(vm.fetched("firmware")[0]) / "fw_dynamic.bin"


def check(code, text, harts):
    text = "\n" + text
    for line in (f"harts {harts}", "riscv64", "sum 500500", "slept", HELLO + "  -", "vireo.run: exit 0"):
        assert f"\n{line}\n" in text, f"no line {line!r} in:\n{text[-3000:]}"
    assert "Oops" not in text and "WARNING:" not in text, text[-5000:]
    assert code == 0, f"exit code {code}"


for name, firmware in (("built-in SBI", []), ("OpenSBI", ["--firmware", opensbi])):
    for harts in (1, 2, 4):
        with tap.test(f"Debian boots, runs a script and powers off: {name}, {harts} hart(s)"):
            code, text = vm.booted(*base, *firmware, "-c", harts, script=SCRIPT)
            check(code, text, harts)

with tap.test("an interactive shell answers, and its end powers off"):
    with vm.Vm(*base, "-a", "quiet") as guest:
        guest.expect("busybox shell")
        guest.send("echo $((6*7))-answers\n")
        guest.expect("42-answers")
        guest.send("poweroff -f\n")
        assert guest.wait() == 0, guest.errors()

with tap.test("commands from a pipe run unattended"):
    with vm.Vm(*base, "-a", "quiet") as guest:
        guest.send("uname -a\npoweroff -f\n")
        code = guest.wait()
        assert code == 0 and "riscv64 GNU/Linux" in guest.text, guest.text[-2000:]

with tap.test("a panicking guest gives code 4"):
    code, text = vm.booted(*base, script="echo c > /proc/sysrq-trigger")
    assert "Kernel panic - not syncing" in text, text[-2000:]
    assert code == 4, f"exit code {code}"

with tap.test("a panic with panic=-1 (reboot at once) gives code 4 too"):
    code, text = vm.booted(*base, append="quiet panic=-1", script="echo c > /proc/sysrq-trigger")
    assert code == 4, f"exit code {code}"

with tap.test("old panic text on the console does not end a healthy guest"):
    lines = "[ 5000.000000] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---"
    code, text = vm.booted(*base, script=f"echo 'Kernel panic - not syncing: x'; echo '{lines}'; echo alive")
    assert code == 0 and "\nalive\n" in text, (code, text[-2000:])

with tap.test("a reboot starts the guest again; with --no-reboot it ends"):
    with vm.Vm(*base, "-a", "quiet") as guest:
        at = guest.expect("busybox shell")
        guest.send("reboot -f\n")
        guest.expect("busybox shell", at)
        guest.send("poweroff -f\n")
        assert guest.wait() == 0, guest.errors()
    code, text = vm.booted(*base, "--no-reboot", script="reboot -f")
    assert code == 0, f"exit code {code}"

tap.finish()
