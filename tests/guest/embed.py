#!/usr/bin/env python3
"""The example program that embeds a machine does what its head says."""

import os
import re
import subprocess

import vm
from tap import Tap

tap = Tap()
folder = vm.kernel_folder()
initramfs = vm.initramfs(folder)

with tap.test("examples/embed boots a kernel, types, reads the answer, cuts the power"):
    ran = subprocess.run([os.environ["EMBED"], folder / "Image", initramfs], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"the guest says that the answer is 42, [\d.]+ s after power-on\n"
                        r"stopped: end 5, code 7\n", ran.stdout), ran.stdout

with tap.test("and says what is wrong with a kernel that is none"):
    ran = subprocess.run([os.environ["EMBED"], __file__, initramfs], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ran.returncode == 1 and "a script" in ran.stderr, ran

tap.finish()
