"""Running the command in tests."""

import fcntl
import os
import pathlib
import pty
import select
import struct
import subprocess
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIREO = os.environ.get("VIREO", str(ROOT / "build/vireo"))
LONG_S = 60


def vireo(*args, stdin=b"", cwd=None, env=None):
    """Run to the end: (exit code, standard output, standard error). A hang is a failure."""
    done = subprocess.run([VIREO, *map(str, args)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=LONG_S, cwd=cwd, env=env)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refused(code, *args, says, **kw):
    """The command refuses @args with exit code @code and one line that holds every text in @says."""
    got, out, err = vireo(*args, **kw)
    assert got == code, f"exit code {got}, expected {code}: {err}"
    assert out == "", f"standard output: {out!r}"
    lines = err.splitlines()
    assert len(lines) == 1, f"expected one line, got {lines}"
    assert lines[0].startswith("vireo: "), lines[0]
    assert len(lines[0]) < 300, f"long: {lines[0]}"
    for text in [says] if isinstance(says, str) else says:
        assert text in lines[0], f"no {text!r} in {lines[0]!r}"


def start(*args, **kw):
    """A running vireo with pipes."""
    return subprocess.Popen([VIREO, *map(str, args)], stdin=kw.pop("stdin", subprocess.PIPE),
                            stdout=kw.pop("stdout", subprocess.PIPE), stderr=kw.pop("stderr", subprocess.PIPE), **kw)


def read_until(fd, what, already=b""):
    """Read from @fd until @what came; returns all that was read."""
    data, deadline = already, time.monotonic() + LONG_S
    while what not in data:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise AssertionError(f"no {what!r} in {data!r}")
        try:
            more = os.read(fd, 65536)
        except OSError:  # a pty whose other end has gone
            more = b""
        if not more:
            raise AssertionError(f"it ended without {what!r}: {data!r}")
        data += more
    return data


class Terminal:
    """vireo on a terminal of its own. Leaving the block ends it."""

    def __init__(self, *args, size=None):
        self.master, slave = pty.openpty()
        if size:
            cols, rows = size
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.slave = os.dup(slave)
        self.before = termios.tcgetattr(self.slave)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([VIREO, *map(str, args)], stdin=slave, stdout=slave, stderr=slave,
                                        preexec_fn=own_terminal)
        os.close(slave)
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def expect(self, what):
        self.text = read_until(self.master, what, self.text)
        self.text = self.text[self.text.index(what) + len(what):]

    def type(self, keys):
        os.write(self.master, keys)

    def wait(self):
        return self.process.wait(LONG_S)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def check_restored(self):
        after = termios.tcgetattr(self.slave)
        assert after == self.before, f"terminal modes: {self.before} became {after}"
