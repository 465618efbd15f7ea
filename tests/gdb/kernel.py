"""Symbols of a stock kernel for GDB. Debian's kernels bring none; the guest's own /proc/kallsyms has all addresses, at a
fixed place with `nokaslr`."""

import cross

KERNEL = 0xffffffff80000000


def tell(names):
    """A shell command that prints the lines of @names in /proc/kallsyms."""
    return "cat /proc/kallsyms | grep -E ' (" + "|".join(names) + ")$'"


def symbols(folder, names, text):
    """A file in @folder with the addresses that @text says, as GDB takes it; and these, by name."""
    source = folder / "kernel.S"
    found = {name: int(at, 16) for at, _, name in (line.split()[:3] for line in text.splitlines() if line.count(" ") >= 2)
             if name in names}
    assert set(found) == set(names), (found, text)
    source.write_text('.section .kernel, "ax", @nobits\nkernel:\n' + "".join(
        f".globl {name}\n.type {name}, @function\n.set {name}, kernel + {at - KERNEL:#x}\n"
        for name, at in found.items()) + ".space 64 << 20\n")
    return cross.compiled(folder / "kernel", [source], "-nostdlib", f"-Wl,--section-start=.kernel={KERNEL:#x}",
                          "-Wl,--build-id=none,--entry=0,--no-relax,--no-warn-rwx-segments"), found
