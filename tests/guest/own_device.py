#!/usr/bin/env python3
"""The example program with a device of its own: Debian's stock kernel finds it on the root bus and in a slot, its
registers are the program's, and what it does reaches the program."""

import os
import re
import subprocess

import vm
from tap import Tap

SCRIPT = r"""
for d in /sys/bus/pci/devices/*; do
    [ "$(cat $d/vendor) $(cat $d/device)" = "0x1234 0x1a3b" ] || continue
    echo 1 >$d/enable
    read at rest <$d/resource
    echo "at ${d##*/} class $(cat $d/class) magic $(devmem $at 32) wrong width $(devmem $at 8)"
    devmem $((at + 4)) 32 40
    devmem $((at + 4)) 32 101
    devmem $((at + 4)) 32 100
    until [ "$(devmem $((at + 8)) 32)" = 0x00000001 ]; do :; done
    [ $(($(setpci_status $d) >> 3 & 1)) = 1 ] && echo "pressed, and the pin is up"
    devmem $((at + 8)) 32 0
    [ $(($(setpci_status $d) >> 3 & 1)) = 0 ] && echo "and down, at $(devmem $((at + 4)) 32)"
done
"""
# The status register, of configuration space.
STATUS = r"""setpci_status() { dd if=$1/config bs=1 skip=6 count=2 2>/dev/null | hexdump -e '1/2 "%u"'; }
"""

tap = Tap()
folder = vm.kernel_folder()
with tap.test("a Debian kernel finds two lamps of the program's, sets them, and sees their buttons"):
    ran = subprocess.run([os.environ["OWN_DEVICE"], folder / "Image", vm.initramfs(folder),
                          "quiet " + vm.run_arg(STATUS + SCRIPT)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    text = ran.stdout.replace("\r", "")
    places = re.findall(r"at 0000:(\S+) class 0xff0000 magic 0x504D414C wrong width 0x00\n", text)
    assert len(places) == 2 and places[0].startswith("00:") and places[1] == "01:00.0", text
    for name in ("lamp0", "lamp1"):
        assert re.findall(rf"{name}: (\d+) %\n", text) == ["40", "100"], text
    assert text.count("pressed, and the pin is up\n") == 2 and text.count("and down, at 0x00000064\n") == 2, text
    assert "ended: 1\n" in text, text
tap.finish()
