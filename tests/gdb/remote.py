"""GDB at a machine in tests: the program itself, in batch mode, and its protocol spoken by hand."""

import contextlib
import shutil
import socket
import subprocess
import tempfile

from tap import Skip

GDB = "gdb-multiarch"
LONG_S = 60
READY = ["set pagination off", "set confirm off", "set width 0", "set architecture riscv:rv64"]


def gdb(target, *commands, program=None, deadline_s=30):
    """What GDB printed that ran @commands at @target. An error of one of them is a failure."""
    if not shutil.which(GDB):
        raise Skip(f"no {GDB} here")
    lines = [*READY, *([f"file {program}"] if program else []), f"target remote {target}", *commands, "echo done\\n"]
    with tempfile.NamedTemporaryFile("w", suffix=".gdb") as script:
        script.write("\n".join(lines) + "\n")
        script.flush()
        process = subprocess.Popen([GDB, "-q", "-nx", "-batch", "-x", script.name], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            text = process.communicate(timeout=deadline_s)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            process.kill()
            text = process.communicate()[0].decode(errors="replace")
            raise AssertionError(f"GDB waited too long; it had said:\n{text}") from None
    assert process.returncode == 0 and "\ndone\n" in text, text
    return text


def values(text):
    """Lines "KEY=VALUE" that `echo`ed or printf'ed, as a dictionary of the last of each; hex numbers are numbers."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key.isidentifier():
            try:
                found[key] = int(value, 16)
            except ValueError:
                found[key] = value
    return found


def show(**what):
    """A GDB command that prints KEY=VALUE for each expression."""
    return 'printf "' + "".join(f"{key}=%lx\\n" for key in what) + '", ' + ", ".join(
        f"(unsigned long)({expr})" for expr in what.values())


class Remote:
    """One side of the protocol."""

    def __init__(self, target, ack=True):
        if ":" in str(target):
            host, port = str(target).split(":")
            self.socket = socket.create_connection((host, int(port)), timeout=LONG_S)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(LONG_S)
            self.socket.connect(str(target))
        self.data = b""
        self.acks = ack

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def byte(self):
        while not self.data:
            got = self.socket.recv(65536)
            if not got:
                return b""
            self.data += got
        first, self.data = self.data[:1], self.data[1:]
        return first

    def hear(self):
        """The next packet's text; None at the end."""
        while (byte := self.byte()) != b"$":
            if not byte:
                return None
        text = b""
        while (byte := self.byte()) != b"#":
            assert byte, text
            text += byte
        claimed = int(self.byte() + self.byte(), 16)
        assert claimed == sum(text) % 256, (text, claimed)
        if self.acks:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was the last one
                self.send(b"+")
        return text.decode("latin-1")

    def say(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        self.send(b"$" + data + b"#%02x" % (sum(data) % 256))

    def ask(self, text):
        self.say(text)
        return self.hear()

    def ended(self):
        """The other side hangs up."""
        with contextlib.suppress(ConnectionResetError):  # it had not read all
            while self.byte():
                pass
        return True
