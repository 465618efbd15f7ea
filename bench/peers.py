"""Who is measured: a name in peers.conf, or [NAME=]PATH of a vireo or a QEMU.

    qemu10   vireo   ./old/build/vireo   before=./old/build/vireo   newest=/opt/qemu/bin/qemu-system-riscv64

What a program given by path is, its own --version says. Any other emulator has a line in a file of the form of
peers.conf."""

import collections
import pathlib
import re
import shlex
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FIELDS = ("name", "program", "command", "disk", "net", "share", "start")
Peer = collections.namedtuple("Peer", (*FIELDS, "version"))


class Unknown(Exception):
    """No such peer; says which there are."""


def said_by(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def read(paths=()):
    """{name: [program, command, disk, net, share, start]} of peers.conf and of further files."""
    found = {}
    for path in (HERE / "peers.conf", *map(pathlib.Path, paths)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, *fields = (field.strip() for field in line.split("|"))
            if fields[1:] and fields[1].startswith("like "):
                other = fields[1].removeprefix("like ")
                if other not in found:
                    raise Unknown(f"{path}:{number}: no line {other!r} before this one")
                fields = [fields[0], *found[other][1:]]
            if len(fields) < 2 or len(fields) >= len(FIELDS):
                raise Unknown(f"{path}:{number}: {len(fields) + 1} fields, not 3 to {len(FIELDS)}")
            found[name] = (fields + [""] * len(FIELDS))[: len(FIELDS) - 1]
    return found


def version_of(program):
    """One line, for tables."""
    said = said_by(program, "--version").splitlines()
    line = said[0] if said else ""
    if "QEMU emulator" in line:
        return "QEMU " + re.search(r"version (\S+)", line)[1]
    return line


def find(word, lines, values):
    """The Peer that @word asks for; @values fill in where a program lies."""
    name, _, path = word.rpartition("=")
    if word in lines:
        name, fields = word, lines[word]
        if fields[0].startswith("fetch "):
            program = said_by(ROOT / "tools/guest/fetch.sh", *fields[0].split()[1:])
        else:
            program = shutil.which(fields[0].format(**values)) or ""
        if not program:
            raise Unknown(f"peer {word}: {fields[0].format(**values)} is not here")
    elif "/" in path and shutil.which(path):
        program = str(pathlib.Path(path).resolve())
        version = version_of(program)
        if version.startswith("vireo"):
            fields = lines["vireo"]
        elif version.startswith("QEMU"):
            fields = lines["qemu10"]
        else:
            raise Unknown(f"{path} says by --version neither vireo nor QEMU: "
                          "give how to start it as a line in a file (--conf, see peers.conf)")
        name = name or re.sub(r"[^\w.+-]+", "-", path.strip("./"))
    else:
        raise Unknown(f"no peer {word}: name one of {', '.join(lines)}, or [NAME=]PATH of a vireo or a QEMU")
    if "{kernel}" in fields[1]:
        version = version_of(program)
    else:  # the programs themselves, without a monitor
        version = said_by("cc", "--version").splitlines()[:1]
        version = version[0] if version else ""
    return Peer(name, program, *fields[1:], version)


def arguments(template, peer, values):
    """The argument list of one of @peer's fields. A value with blanks stays one argument."""
    return [word.format(**values, program=peer.program) for word in shlex.split(template)]
