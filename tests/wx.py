"""No page of a process is ever writable and executable: a checker for whole lives of processes.

run(argv) starts a command under a seccomp filter (seccomp(2)) that ends it with SIGSYS when it, or a child,
asks for such a page (mmap, mprotect, pkey_mprotect), and meanwhile reads /proc/PID/maps, which also shows
pages that came otherwise (the loader's, another process's doing). The filter sees what looking from time to
time would miss; the maps, what no filter sees."""

import ctypes
import platform
import re
import signal
import struct
import subprocess
import time

AUDIT = {"x86_64": (0xC000003E, (9, 10, 329)), "aarch64": (0xC00000B7, (222, 226, 288)),
         "riscv64": (0xC00000F3, (222, 226, 288))}  # arch, numbers of mmap, mprotect, pkey_mprotect
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL, ALLOW = 0x80000000, 0x7FFF0000
WRITE_EXEC = 2 | 4


def why_not():
    """Why this host cannot check; None: it can."""
    return None if platform.machine() in AUDIT else f"no system call numbers for {platform.machine()}"


def _filter():
    """A BPF program: struct seccomp_data is {int nr; u32 arch; u64 pc; u64 args[6]}."""
    arch, calls = AUDIT[platform.machine()]
    load, equal, both, ret = 0x20, 0x15, 0x54, 0x06  # ld [k]; jeq; and; ret (linux/bpf_common.h)
    code = [(load, 0, 0, 4), (equal, 1, 0, arch), (ret, 0, 0, KILL), (load, 0, 0, 0)]
    for i, number in enumerate(calls):
        code.append((equal, len(calls) - i, 0, number))
    code += [(ret, 0, 0, ALLOW), (load, 0, 0, 16 + 2 * 8), (both, 0, 0, WRITE_EXEC),
             (equal, 0, 1, WRITE_EXEC), (ret, 0, 0, KILL), (ret, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *line) for line in code)


_PROGRAM = _filter() if why_not() is None else b""
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Fprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _confine():
    prog = _Fprog(len(_PROGRAM) // 8, _PROGRAM)
    if _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            _LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(prog), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def pages(pid):
    """The lines of /proc/PID/maps that must not be, and how many lines there are."""
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
            lines = maps.read().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return [], 0
    return [line for line in lines if re.match(r"\S+ .wx", line)], len(lines)


class Life:
    """A command under watch; `with Life(argv) as process:` for one that is talked to."""

    def __init__(self, argv, **more):
        self.looks = 0
        self.process = subprocess.Popen(argv, preexec_fn=_confine, **more)

    def look(self):
        bad, count = pages(self.process.pid)
        assert not bad, f"writable and executable: {bad}"
        self.looks += count > 0

    def end(self):
        """Watch until it ends; its exit code."""
        while self.process.poll() is None:
            self.look()
            time.sleep(0.002)
        code = self.process.returncode
        assert code != -signal.SIGSYS, "it asked for pages that are writable and executable"
        return code

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def run(argv, **more):
    """(exit code, how often its maps were looked at)"""
    with Life(argv, **more) as life:
        return life.end(), life.looks
