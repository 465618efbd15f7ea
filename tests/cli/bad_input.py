#!/usr/bin/env python3
"""Bad input: each row of it gives one clear line and exit code 2 (usage), 3 (host) or 5 (I/O)."""

import gzip
import os
import pathlib
import socket
import struct
import subprocess
import tempfile

import bare
from command import VIREO, read_until, refused, start, vireo
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
good = bare.end_program(0x5555).write(tmp / "good.elf")
idle = bare.idle_program().write(tmp / "idle.elf")
BARE = ("--firmware", "none")
QUIET = ("-q", "--console", "null", "--net", "none")


def file(name, body):
    (tmp / name).write_bytes(body)
    return tmp / name


def image(length, said_length):
    """A Linux Image with an EFI section table that speaks of @said_length bytes."""
    head = bytearray(0x80)
    struct.pack_into("<2s6xQQQ8x8s8s4sI", head, 0, b"MZ", 0x200000, said_length, 0, b"", b"RISCV\0\0\0", b"RSC\x05", 0x40)
    struct.pack_into("<4sHHIIIHH", head, 0x40, b"PE\0\0", 0x5064, 1, 0, 0, 0, 0, 0)
    struct.pack_into("<8sIIII16x", head, 0x58, b".text", said_length, 0, said_length - 0x80, 0x80)
    return bytes(head).ljust(length, b"\0")


empty = file("empty", b"")
elf = good.read_bytes()
x86 = bytearray(elf)
struct.pack_into("<H", x86, 18, 62)
zeroes = file("zero.img", bytes(1 << 20))

KERNELS = [
    ("that is missing", tmp / "missing", 5, "No such file"),
    ("that is empty", empty, 2, "is empty"),
    ("that is a directory", tmp, 2, "is a directory"),
    ("of four bytes", file("tiny", b"\x7fELF"), 2, "cut off"),
    ("cut off in its ELF segment", file("cut.elf", elf[:0x1004]), 2, "cut off"),
    ("cut off in its ELF header", file("head.elf", elf[:80]), 2, "cut off"),
    ("that is an Image cut off", file("cut.img", image(0x1000, 0x100000)), 2, "cut off"),
    ("that is an Image cut off in its header", file("head.img", image(0x80, 0x1000)[:70]), 2, "cut off"),
    ("that is a gzip file cut off", file("cut.gz", gzip.compress(os.urandom(5000))[:2000]), 2, "gzip"),
    ("that is an x86-64 ELF file", file("x86.elf", bytes(x86)), 2, "another architecture"),
    ("that is an arm64 Image", file("arm.img", bytes(56) + b"ARM\x64" + bytes(4096)), 2, "another architecture"),
    ("that is text", file("text", b"hello\n" * 100), 2, "nothing known"),
    ("that is a script", file("script", b"#!/bin/sh\n" + b"echo\n" * 50), 2, "a script"),
]
for name, path, code, says in KERNELS:
    with tap.test(f"--kernel {name}"):
        refused(code, "run", *QUIET, "--kernel", path, says=[says, str(path)])

FILES = [
    ("is missing", tmp / "missing", 5, "No such file"),
    ("is empty", empty, 2, "is empty"),
    ("is a directory without a kernel", tmp, 5, "has no kernel"),
    ("is of four bytes", tmp / "tiny", 2, "cut off"),
    ("is for another architecture", tmp / "x86.elf", 2, "another architecture"),
    ("is a gzip file without a kernel", file("text.gz", gzip.compress(os.urandom(1000))), 2, "gzip"),
    ("is qcow2", file("disk.qcow2", b"QFI\xfb\0\0\0\3" + bytes(4096)), 2, "qemu-img convert"),
    ("is zeroes", zeroes, 2, "say what it is"),
]
for name, path, code, says in FILES:
    with tap.test(f"a FILE that {name}"):
        refused(code, "run", *QUIET, path, says=[says, str(path)])

DISKS = [
    ("that is missing", tmp / "missing", 5, "no such file"),
    ("that is empty", empty, 2, "empty"),
    ("that is a directory", tmp, 2, "is a directory"),
    ("of odd length", file("odd.img", bytes(1000)), 2, "not a multiple of 512"),
    ("that is qcow2", tmp / "disk.qcow2", 2, "qcow2"),
    ("that is a character device", "/dev/null", 2, "neither a file nor a block device"),
]
for name, path, code, says in DISKS:
    with tap.test(f"--disk {name}"):
        refused(code, "run", *QUIET, *BARE, good, "--disk", path, says=[says, str(path)])

with tap.test("--disk that the user may not read or write"):
    if os.geteuid() == 0:
        raise Skip("root may write everything")
    secret = file("secret.img", bytes(4096))
    secret.chmod(0o444)
    refused(5, "run", *QUIET, *BARE, good, "--disk", secret, says=["secret.img", "ro"])
    secret.chmod(0)
    refused(5, "run", *QUIET, *BARE, good, "--disk", f"{secret},ro", says="secret.img")

with tap.test("--disk that another Vireo uses; both read it with ro"):
    disk = file("disk.img", bytes(1 << 20))
    with start("run", "-q", "--net", "none", *BARE, idle, "--disk", disk) as first:
        read_until(first.stdout.fileno(), b"idle")
        refused(5, "run", *QUIET, *BARE, good, "--disk", disk, says=["disk.img", "in use"])
        refused(5, "run", *QUIET, *BARE, good, "--disk", f"{disk},ro", says=["disk.img", "in use"])
        first.kill()
    with start("run", "-q", "--net", "none", *BARE, idle, "--disk", f"{disk},ro") as first:
        read_until(first.stdout.fileno(), b"idle")
        code, _, err = vireo("run", *QUIET, *BARE, good, "--disk", f"{disk},ro")
        assert code == 0, err
        refused(5, "run", *QUIET, *BARE, good, "--disk", disk, says=["disk.img", "in use"])
        first.kill()

MEMORY = [
    ("0", 2, "at least 16M"),
    ("1M", 2, "at least 16M"),
    ("512", 2, "did you mean 512M?"),
    ("16777217", 2, "multiple of 4K"),
    ("-1", 2, "expected a size"),
    ("lots", 2, "expected a size"),
    ("512X", 2, "expected a size"),
    ("99999999999999999999", 2, "more than any host has"),
    ("16777215P", 2, "more than any host has"),
    ("4096P", 2, "at most"),
    ("1024T", 2, "at most"),
]
for size, code, says in MEMORY:
    with tap.test(f"--memory {size}"):
        refused(code, "run", *QUIET, *BARE, good, "--memory", size, says=says)

with tap.test("--memory that the host does not give"):
    done = subprocess.run(["prlimit", "--as=1000000000", VIREO, "run", *QUIET, *BARE, good, "--memory", "8G"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 3 and "ask for less" in done.stderr, (done.returncode, done.stderr)

WORDS = [
    ("an unknown command", ["rnu"], "did you mean 'run'?"),
    ("a file as command", [str(good)], f"did you mean 'vireo run {good}'?"),
    ("no command at all", [], "vireo help"),
    ("an unknown option", ["run", "--memroy", "1G"], "did you mean --memory?"),
    ("an option before the command", ["--kernel", "x"], "options come after the command"),
    ("an unknown option like nothing", ["run", "--xyzzy"], "vireo help run"),
    ("an unknown letter", ["run", "-z"], "unknown option -z"),
    ("a missing value", ["run", "--kernel"], "needs a value"),
    ("a missing value of a letter", ["run", "-m"], "needs a value"),
    ("one file too many", ["run", str(good), str(good)], "one word too many"),
    ("a file and --kernel", ["run", str(good), "--kernel", str(good)], "leave one of them out"),
    ("nothing to start", ["run"], "nothing to start"),
    ("no harts", ["run", "-c", "0"], "expected 1 to 64"),
    ("65 harts", ["run", "-c65"], "expected 1 to 64"),
    ("an unknown key of a disk", ["run", "--disk", "x,readonly"], "unknown key 'readonly'"),
    ("an unknown key of a network", ["run", "--net", "user,hostfw=1"], "did you mean 'hostfwd'?"),
    ("an unknown network", ["run", "--net", "usr"], "expected user"),
    ("a bad forward", ["run", "-p", "22"], "2222:22"),
    ("a forward to port 0", ["run", "-p", "2222:0"], "1 to 65535"),
    ("a forward and no network", ["run", str(good), "-p", "1234:22", "--net", "none"], "--net is none"),
    ("an unknown console", ["run", "--console", "stdo"], "did you mean stdio?"),
    ("a console without its path", ["run", "--console", "unix:"], "unix:PATH"),
    ("nine virtio consoles", ["run"] + ["--virtio-console", "null"] * 9, "at most 8"),
    ("nine disks", ["run"] + ["--disk", "x"] * 9, "at most 8"),
    ("an unknown engine", ["run", "--engine", "warp"], "expected auto, jit, interp or lockstep"),
    ("an unknown key of the JIT", ["run", "--jit", "hott=1"], "did you mean 'hot'?"),
    ("a JIT that never compiles", ["run", "--jit", "hot=0"], "expected 1 to 60000"),
    ("a JIT with a strange mirror", ["run", "--mirror", "on"], "expected auto, off or always"),
    ("an MMU that there is not", ["run", "--mmu", "sv64"], "expected auto, sv39, sv48 or sv57"),
    ("a JIT without a number", ["run", "--jit", "hot"], "expected 1 to 60000"),
    ("a JIT with too little memory", ["run", "--jit", "code=4K"], "expected 64K to 256M"),
    ("a JIT with too much memory", ["run", "--jit", "code=4G"], "expected 64K to 256M"),
    ("--json with nothing to query", ["run", "--json", str(good)], "--explain"),
    ("an unknown shell", ["completion", "csh"], "bash, zsh and fish"),
    ("an unknown device", ["device", "help", "uart"], "did you mean 'uart16550'?"),
    ("a device without help", ["device", "halp", "plic"], "did you mean 'help'?"),
    ("an unknown command to explain", ["help", "walk"], "unknown command"),
]
for name, words, says in WORDS:
    with tap.test(name):
        refused(2, *words[:1], *(["-q"] if words[:1] == ["run"] else []), *words[1:], says=says)

PLACES = [
    ("a console in a folder that is not there", ["--console", f"file:{tmp}/no/such"]),
    ("a socket in a folder that is not there", ["--console", f"unix:{tmp}/no/such"]),
    ("an instruction trace in a folder that is not there", ["--trace-insn", f"{tmp}/no/such"]),
    ("a device tree in a folder that is not there", ["--dump-dtb", f"{tmp}/no/such"]),
    ("an initrd that is not there", ["--initrd", f"{tmp}/no/such"]),
]
for name, words in PLACES:
    with tap.test(name):
        refused(5, "run", "-q", "--net", "none", *BARE, good, *words, says=f"{tmp}/no/such")

with tap.test("firmware that is missing, empty, or for another architecture"):
    refused(5, "run", *QUIET, good, "--firmware", tmp / "missing", says="No such file")
    refused(2, "run", *QUIET, good, "--firmware", empty, says="is empty")
    refused(2, "run", *QUIET, good, "--firmware", tmp / "x86.elf", says="another architecture")

with tap.test("a host port that is taken"):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(5, "run", "-q", "--console", "null", *BARE, good, "-p", f"{port}:22", says=str(port))

tap.finish()
