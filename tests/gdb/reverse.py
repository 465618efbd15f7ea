#!/usr/bin/env python3
"""GDB goes back in a recorded life of a stock kernel with two harts: to who wrote a variable last, over breakpoints, step by
step, to the very beginning and forth again."""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "guest"), str(HERE.parent / "cpu"), str(HERE.parent / "cli")]

import jit  # noqa: E402
import kernel  # noqa: E402
import vm  # noqa: E402
from qmp import Qmp, socket_path  # noqa: E402
from remote import Remote, gdb, show, values  # noqa: E402
from tap import Skip, Tap  # noqa: E402

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
FOLDER = vm.kernel_folder()
SYMBOLS = ("start_kernel", "version_proc_show", "panic_on_oops")
SWITCH = "/proc/sys/kernel/panic_on_oops"
SCRIPT = (f"while :; do :; done & echo 1 >{SWITCH}; echo 0 >{SWITCH}; echo 7 >{SWITCH}; cat /proc/version >/dev/null; "
          "echo guest: worked; kill $!")


def base(script):
    return ["--kernel", FOLDER / "Image", "--initrd", RAM, "-m", "96M", "-c", "2", "-a",
            f"quiet nokaslr {vm.run_arg(script)}"]


def ended(guest):
    """(steps, hash) of a guest that has ended."""
    assert guest.wait() == 0, guest.errors()
    line = next(line for line in guest.errors().splitlines() if "ended at step" in line)
    words = line.replace(",", "").split()
    return int(words[words.index("step") + 1]), words[-1]


def back(engine):
    with vm.Vm("-q", "--name", "box", *base(SCRIPT), "--replay", TAPE, "--paused", "--gdb", "auto", *engine, stdin=False,
               deadline_s=300) as guest:
        target = socket_path("box").with_suffix(".gdb")
        with Qmp(socket_path("box")) as qmp:
            qmp.wait_state("paused")
            text = gdb(
                target, "tbreak *&version_proc_show", "continue", show(broke="$pc"),
                "watch *(int *)&panic_on_oops", "reverse-continue",
                show(seven_pc="$pc", before_seven="*(int *)&panic_on_oops", a7="$a7"),
                "reverse-continue", show(zero_pc="$pc", before_zero="*(int *)&panic_on_oops"),
                "reverse-stepi 2", "stepi 2", show(there="$pc"),
                "continue", show(after_zero="*(int *)&panic_on_oops"), "continue", show(after_seven="*(int *)&panic_on_oops"),
                "delete", "monitor status",
                "reverse-continue", show(begin="$pc"), "monitor status", "hbreak *&start_kernel", "continue",
                show(start="$pc"), "reverse-stepi 3", "stepi 3", show(start_again="$pc"),
                program=SYMBOL_FILE, deadline_s=200)
            v = values(text)
            assert v["broke"] == AT["version_proc_show"], text
            assert v["before_seven"] == 0 and v["before_zero"] == 1 and v["after_zero"] == 0 and v["after_seven"] == 7, text
            assert v["seven_pc"] == v["zero_pc"] == v["there"] >= kernel.KERNEL, text  # the instruction that writes
            assert "Old value = 7\nNew value = 0\n" in text and "Old value = 0\nNew value = 1\n" in text, text
            assert "No more reverse-execution history" in text and "step 0\n" in text, text
            assert v["start"] == v["start_again"] == AT["start_kernel"], text
            state = qmp.ask("x-vireo-query-deterministic")
            # What it said again while it went back and forth was heard once.
            with Remote(target) as remote:
                assert "ReverseStep+;ReverseContinue+" in remote.ask("qSupported")
                assert remote.ask("P2=0000000000000000") == "E1e"
                assert "replaylog:end;" in remote.ask("c")
                assert qmp.ask("x-vireo-query-deterministic")["step"] == state["last-step"] == END[0]
                assert qmp.ask("x-vireo-hash")["hash"] == END[1]
                assert "replaylog:end;" in remote.ask("c")
                assert "replaylog:begin;" in remote.ask("bc")
                assert qmp.ask("x-vireo-query-deterministic")["step"] == 0
                assert "replaylog:begin;" in remote.ask("bs")
            qmp.ask("quit")
        assert guest.wait() == 0, guest.errors()
        assert guest.text.count("guest: worked") == 1, guest.text


try:
    RAM = vm.initramfs(FOLDER, "-o", tmp / "initramfs.cpio")
    with vm.Vm("-q", *base(kernel.tell(SYMBOLS)), stdin=False) as first:
        assert first.wait() == 0, first.errors()
        SYMBOL_FILE, AT = kernel.symbols(tmp, SYMBOLS, first.text)
    TAPE = tmp / "tape"
    with vm.Vm(*base(SCRIPT), "--record", TAPE, "--deterministic=idle=skip", stdin=False) as first:
        END = ended(first)
except Skip as skip:
    print(f"1..0 # skip {skip}")
    sys.exit(77)

# One engine: that both lead to the same moments is tests/unit/det_back_test.c.
with tap.test("there and back again"):
    back(["--engine", "interp" if jit.why_not(vm.VIREO) else "jit"])

with tap.test("a life that is lived now does not go back"):
    with vm.Vm("-q", "--name", "box", *base("echo guest: up; sleep 99"), "--deterministic", "--gdb", "auto",
               stdin=False) as guest:
        guest.expect("guest: up")
        with Remote(socket_path("box").with_suffix(".gdb")) as remote:
            assert "Reverse" not in remote.ask("qSupported")
            assert remote.ask("bs") == "" and remote.ask("bc") == ""
            assert remote.ask("vCont;s:1").startswith("T05thread:1;")

tap.finish()
