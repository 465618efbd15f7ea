#!/usr/bin/env python3
"""GDB at a stock Linux kernel, on both engines: breakpoints at kernel symbols, from power-on and while it works; steps,
watched variables of the kernel and of a program, registers of each hart, memory through page tables."""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "guest"), str(HERE.parent / "cpu")]

import cross  # noqa: E402
import jit  # noqa: E402
import kernel  # noqa: E402
import vm  # noqa: E402
from qmp import Qmp, socket_path  # noqa: E402
from remote import gdb, show, values  # noqa: E402
from tap import Skip, Tap  # noqa: E402

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
FOLDER = vm.kernel_folder()
SYMBOLS = ("start_kernel", "version_proc_show", "panic_on_oops", "linux_banner")
# A program that the guest runs for ever: it counts in a variable, and says where that is.
COUNTER = """
static volatile long count = 1000;
static long call(long number, long a, long b, long c)
{
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}
void _start(void)
{
    char text[] = "count at 0123456789abcdef\\n";
    for (int i = 0; i < 16; i++) {
        text[9 + i] = "0123456789abcdef"[(unsigned long)&count >> (60 - 4 * i) & 15];
    }
    call(64, 1, (long)text, sizeof(text) - 1);
    for (;;) {
        count++;
    }
}
"""
# What goes on while the debugger looks. /proc/version reads linux_banner's neighbours, the switch is written.
WORK = ("while :; do cat /proc/version >/dev/null; done & "
        "while :; do echo 1 >/proc/sys/kernel/panic_on_oops; echo 0 >/proc/sys/kernel/panic_on_oops; done & ")


def initramfs():
    (tmp / "counter.c").write_text(COUNTER)
    program = cross.compiled(tmp / "counter", [tmp / "counter.c"], "-O1", "-nostdlib", "-ffreestanding",
                             "-Wl,--build-id=none,-Ttext=0x51230000,-Tdata=0x51238000")
    return vm.initramfs(FOLDER, "-o", tmp / "initramfs.cpio", "-f", f"{program}:/bin/counter")


def one_engine(ram, *engine):
    """Boots, looks, boots again."""
    script = (kernel.tell(SYMBOLS) + "; echo guest: symbols;" + WORK + "echo guest: works; /bin/counter")
    with vm.Vm("-q", "--name", "box", "--kernel", FOLDER / "Image", "--initrd", ram, "-m", "256M", "-c", "2", "--gdb",
               "auto", *engine, "-a", f"quiet nokaslr {vm.run_arg(script)}") as guest:
        guest.expect("guest: symbols\n")
        symbols, at = kernel.symbols(tmp, SYMBOLS, guest.text)
        end = guest.expect("\n", guest.expect("count at "))
        count = int(guest.text[:end].split()[-1], 16)
        target = socket_path("box").with_suffix(".gdb")
        words = "*(unsigned long *)"
        text = gdb(
            target, "info threads",
            "tbreak *&version_proc_show", "continue", show(broke="$pc", mode="$priv", satp="(unsigned long)$satp >> 60", back="$ra"),
            "tbreak *$ra", "continue", show(returned="$pc"), "stepi 5", show(stepped="$pc"),
            # The kernel's variable, watched: it goes back and forth between 0 and 1.
            "watch *(int *)&panic_on_oops", "continue", show(one="*(int *)&panic_on_oops", writer="$pc", cause="$scause"),
            "continue", show(other="*(int *)&panic_on_oops"), "delete",
            "thread 1", show(ra1="$ra", sp1="$sp"), "thread 2", show(ra2="$ra", sp2="$sp"),
            # The program's variable, in user mode; a physical address of the same byte.
            f"watch *(long *){count:#x} if $priv == 0", "continue",
            show(user="$priv", user_pc="$pc", count=f"*(long *){count:#x}"), "continue",
            show(count2=f"*(long *){count:#x}"), f"monitor translate {count:#x}", "delete",
            f"rwatch *(long *){count:#x} if $priv == 0", "continue", show(reader="$priv"), "delete",
            "monitor status", program=symbols, deadline_s=40)
        v = values(text)
        assert v["broke"] == at["version_proc_show"] and v["mode"] == 1 and v["satp"] in (8, 9, 10), text
        assert v["returned"] == v["back"] and v["stepped"] >= kernel.KERNEL, text
        assert {v["one"], v["other"]} == {0, 1} and v["writer"] >= kernel.KERNEL, text
        assert v["sp1"] != v["sp2"] and v["sp1"] and v["sp2"], text
        assert v["user"] == 0 and v["user_pc"] < 1 << 38 and v["count2"] == v["count"] + 1 > 1000, text
        assert v["reader"] == 0 and "physical 0x" in text and ", ram" in text, text
        with Qmp(socket_path("box")) as qmp:
            assert qmp.ask("query-status")["status"] == "running"
        # From power-on: the kernel's first C function, with its arguments' page tables on.
        before = len(guest.text)
        text = gdb(target, "monitor reset", "maintenance flush register-cache", show(reset="$pc"),
                   "hbreak *&start_kernel", "continue", show(first="$pc", mode="$priv", hart="$mhartid"),
                   show(banner=words + "&linux_banner"), program=symbols, deadline_s=120)
        v = values(text)
        assert v["first"] == at["start_kernel"] and v["mode"] == 1, text
        assert v["banner"].to_bytes(8, "little") == b"Linux ve", text
        assert v["reset"] < kernel.KERNEL, text
        guest.expect("guest: works\n", before)  # it boots, debugger or not


try:
    RAM = initramfs()
except Skip as skip:
    print(f"1..0 # skip {skip}")
    sys.exit(77)

for engine in ("--engine interp", "--engine jit --mirror always"):
    with tap.test(f"a stock kernel, {engine}"):
        if "jit" in engine and (why := jit.why_not(vm.VIREO)):
            raise Skip(why)
        one_engine(RAM, *engine.split())

tap.finish()
