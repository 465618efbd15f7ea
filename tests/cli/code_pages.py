#!/usr/bin/env python3
"""W^X: the platform's code memory, and whole machines, never have a page that is writable and executable."""

import os
import pathlib
import subprocess
import sys
import tempfile

import bare
import jit
import wx
from command import VIREO, read_until
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
# A sanitizer's run-time may do as it likes with pages; its builds test other things.
TESTS = sys.argv[1:]
MADE = """
import mmap, sys
if sys.argv[1] == "map":
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
else:
    import ctypes
    page = mmap.mmap(-1, 8192)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(at), 4096, 7)
print("still here")
"""

if wx.why_not():
    print(f"1..0 # skip {wx.why_not()}")
    sys.exit(77)

for how in ("map", "protect"):
    with tap.test(f"the checker ends who asks for such a page ({how})"):
        try:
            wx.run([sys.executable, "-c", MADE, how], **QUIET)
        except AssertionError as said:
            assert "it asked for" in str(said), said
        else:
            raise AssertionError("nothing was noticed")

with tap.test("the checker sees such a page that is there"):
    (tmp / "maps.c").write_text("char code[4096] __attribute__((section(\".rwx,\\\"awx\\\",@progbits#\")));\n"
                                "#include <unistd.h>\nint main(void) { return write(1, code, 1) + read(0, code, 1) < 0; }\n")
    built = subprocess.run([os.environ.get("CC", "cc"), "-o", tmp / "maps", tmp / "maps.c", "-Wl,-z,noseparate-code",
                            "-Wl,--no-warn-rwx-segments"], stderr=subprocess.PIPE, text=True)
    if built.returncode:
        raise Skip(f"the linker makes no such program: {built.stderr.strip()[-120:]}")
    child = subprocess.Popen([tmp / "maps"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout.read(1) == b"\0"  # it runs
        bad, count = wx.pages(child.pid)
        assert bad and count > len(bad), (bad, count)
    finally:
        child.kill()
        child.communicate()

for path in TESTS:
    with tap.test(f"{pathlib.Path(path).name}: code is made, run and taken away"):
        code, _ = wx.run([path], **QUIET)
        assert code == 0, code

with tap.test("vireo platform: code is tried, a guest as well"):
    code, _ = wx.run([VIREO, "platform"], **QUIET)  # may be over before its maps were looked at
    assert code == 0, code

for engine in ("--engine interp", "--engine jit --jit hot=1", "--engine jit --jit hot=1,code=64K"):
    with tap.test(f"vireo run {engine}: from the first instruction of a guest to its end"):
        if "jit" in engine and (why := jit.why_not(VIREO)):
            raise Skip(why)
        echo = bare.echo_program().write(tmp / "echo.elf")
        with wx.Life([VIREO, "run", "--firmware", "none", "-q", *engine.split(), str(echo)], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as life:
            read_until(life.process.stdout.fileno(), b"ready")
            for i in range(50):
                life.process.stdin.write(b"hello\n")
                life.process.stdin.flush()
                read_until(life.process.stdout.fileno(), b"hello\n")
                life.look()
            life.process.stdin.write(b"q")
            life.process.stdin.flush()
            assert life.end() == 0 and life.looks >= 50, life.looks

tap.finish()
