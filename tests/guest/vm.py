"""Real guests for tests: the cached Debian kernel, initramfs made on demand, and `vireo run` under a deadline.

Nothing here sleeps to synchronise: a guest's console is read until what is waited for appears, or the deadline
passes, which is a failure."""

import base64
import contextlib
import json
import os
import pathlib
import selectors
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIREO = os.environ.get("VIREO", str(ROOT / "build/vireo"))
FETCH = ROOT / "tools/guest/fetch.sh"
INITRAMFS = ROOT / "tools/guest/initramfs.py"
# A switch with a free port, down0, and, behind its other port, a bridge behind a bridge: inner.
BRIDGES = [word for device in ("pci-upstream-port,id=switch,bus=port0", "pci-downstream-port,id=down0,bus=switch",
                               "pci-downstream-port,id=down1,bus=switch", "pci-bridge,id=outer,bus=down1",
                               "pci-bridge,id=inner,bus=outer") for word in ("--device", device)]


def fetched(*what):
    """What tools/guest/fetch.sh prints, as lines."""
    done = subprocess.run([str(FETCH), *what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def kernel_folder():
    return pathlib.Path(fetched("kernel")[0])


def initramfs(folder, *args):
    """The path of an initramfs made by tools/guest/initramfs.py with @args."""
    done = subprocess.run([str(INITRAMFS), "-k", str(folder), *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def run_arg(script):
    """The kernel command line word that makes the guest's init run @script and power off."""
    return "vireo.run=" + base64.b64encode(script.encode()).decode()


def vireo(*args, code=0, timeout=120):
    """The command, run to its end, which has to be exit code @code where that is not None."""
    done = subprocess.run([VIREO, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout)
    assert code is None or done.returncode == code, (args, done.returncode, done.stderr)
    return done


def counters(name):
    """{(group, id, name): value} of the running machine."""
    return {(s["group"], s["id"], s["name"]): s["value"] for s in json.loads(vireo("stats", "--json", name).stdout)}


def bits(line):
    """The numbers of the bits that are set in sysfs's row of 0 and 1."""
    return {n for n, c in enumerate(line) if c == "1"}


class Vm:
    """A running `vireo run`, or @command where another emulator is to run the guest. Use as a context manager; leaving
    it ends the process. @until: what it has to say first; self.at is the index behind it."""

    def __init__(self, *args, deadline_s=240, stdin=True, command=None, until=None):
        self.deadline = time.monotonic() + deadline_s
        self.text = ""
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command or [VIREO, "run", *map(str, args)],
                                        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)
        with self.kept():
            self.at = self.expect(until) if until else 0

    @contextlib.contextmanager
    def kept(self):
        """For constructors: what fails in it ends the process, as nobody else would."""
        try:
            yield
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            if pipe:
                pipe.close()

    def _read(self):
        """More console text, or False at its end."""
        with selectors.DefaultSelector() as sel:
            sel.register(self.process.stdout, selectors.EVENT_READ)
            if not sel.select(max(0.0, self.deadline - time.monotonic())):
                raise AssertionError(f"no answer in time; the console said:\n{self.text[-3000:]}")
        got = os.read(self.process.stdout.fileno(), 65536)
        self.text += got.decode(errors="replace").replace("\r", "")
        return bool(got)

    def expect(self, what, after=0):
        """Wait for @what on the console (from index @after); returns the index behind it."""
        while (at := self.text.find(what, after)) < 0:
            if not self._read():
                raise AssertionError(f"the guest ended ({self.process.poll()}) before it said {what!r}:\n"
                                     f"{self.text[-3000:]}\n{self.errors()}")
        return at + len(what)

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def run(self, line):
        """What @line printed, where a shell takes lines."""
        self.send(line + "\n")
        begin, self.at = self.at, self.expect(f"done: {line}\n", self.at)
        return self.text[begin:self.at - len(f"done: {line}\n")]

    def up_again(self):
        """Wait until a shell takes lines after a reset."""
        self.at = self.expect(UP, self.at)

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait(self):
        """The exit code; all console text is in self.text."""
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        while self._read():
            pass
        return self.process.wait(max(1.0, self.deadline - time.monotonic()))


# One line of the console a command.
SHELL = "stty -echo; echo guest: up; while read -r line; do eval \"$line\"; echo \"done: $line\"; done"
UP = "guest: up\n"


class Shell(Vm):
    """A guest whose shell takes lines, when it has done @before, and where @needs is true (a command: that a disk is
    there, which the kernel finds in its own time); or, where @boot is False, a snapshot of one."""

    def __init__(self, *args, before="", needs=None, append="quiet", boot=True, **kw):
        more = ["-a", f"{append} {run_arg(before + SHELL)}"] if boot else []
        super().__init__("-q", *args, *more, until=UP if boot else None, **kw)
        with self.kept():
            if needs:
                until(self, needs)


class Incoming(Vm):
    """A process that waits for a machine to come to @uri."""

    def __init__(self, uri, *args, **kw):
        super().__init__("--incoming", uri, *args, **kw)
        with self.kept():
            while "may come to" not in self.errors():
                assert self.process.poll() is None and time.monotonic() < self.deadline, self.errors()
                os.sched_yield()


def until(shell, condition, patience_s=120):
    """Have @shell (a guest's, or qmp.Console) try @condition, a command, until it is true."""
    deadline = time.monotonic() + patience_s
    while "it is true\n" not in shell.run(f"{condition} && echo it is true"):
        assert time.monotonic() < deadline, f"in {patience_s} s this did not become true: {condition}"


def booted(*args, script, append="quiet", **kw):
    """Boot, run @script, power off: (exit code, console text)."""
    with Vm(*args, "-a", f"{append} {run_arg(script)}", **kw) as vm:
        code = vm.wait()
        return code, vm.text
