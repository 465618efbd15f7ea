#!/usr/bin/env python3
"""A virtio console on a terminal: the guest knows its size, and hears of every change."""

import contextlib
import fcntl
import pathlib
import struct
import termios

import debian
from cli.command import Terminal
from tap import Tap

# The shell is the terminal's session leader, so SIGWINCH is its own; sleep ends with it, or soon after.
SCRIPT = r"""
cat >/tmp/watch <<'END'
trap 'echo "now $(stty size)."' WINCH
echo "first $(stty size)."
while :; do
    sleep 0.2
    [ ! -e /tmp/end ] || exit
done
END
setsid -c sh -c 'exec sh /tmp/watch' </dev/hvc0 >/dev/hvc0 2>&1
"""


def resize(terminal, cols, rows):
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def session(tmp, *more):
    """Sizes at the start and later, as `stty size` says them: rows, then columns."""
    args = [*debian.small_machine(tmp, SCRIPT), "--console", f"file:{tmp}/log", "--net", "none", "-q",
            "--virtio-console", "stdio", *more]
    with Terminal("run", *args, size=(100, 40)) as t:
        t.expect(b"first 40 100.")
        for cols, rows in ((132, 43), (80, 24), (300, 2)):
            resize(t, cols, rows)
            t.expect(f"now {rows} {cols}.".encode())
        t.type(b"\x01x")
        assert t.wait() == 0
        t.check_restored()


tap = Tap()
with contextlib.ExitStack() as stack:
    tmp = pathlib.Path(stack.enter_context(debian.scratch()))
    with tap.test("one console: the size is in its configuration"):
        session(tmp)
    with tap.test("a console and a port: the size comes as a message"):
        session(tmp, "--virtio-console", "null,name=org.vireo.test")
tap.finish()
