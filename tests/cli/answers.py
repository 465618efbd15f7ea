#!/usr/bin/env python3
"""What the command says when it is asked: help, queries with --json, --explain, the device tree, the
manual page, completion scripts. Each comes from a table; here they are held against each other."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import bare
from command import vireo
from tap import Skip, Tap

tap = Tap()
folder = tempfile.TemporaryDirectory()
tmp = pathlib.Path(folder.name)
good = bare.end_program(0x5555).write(tmp / "good.elf")


def said(*args):
    code, out, err = vireo(*args)
    assert code == 0 and err == "", f"exit code {code}: {err}"
    return out


def asked(*args):
    return json.loads(said(*args, "--json"))


def need(tool):
    if not shutil.which(tool):
        raise Skip(f"no {tool} here")


VERBS = re.findall(r"^  (\w+)", said("help"), re.M)
RUN_OPTIONS = re.findall(r"^  (?:-\w,|   ) --([\w-]+)", said("help", "run"), re.M)

with tap.test("help lists the commands, and each explains itself in all three ways"):
    for verb in ("run", "devices", "device", "machines", "doctor", "platform", "version", "completion", "help", "man"):
        assert verb in VERBS, f"no {verb} in {VERBS}"
    for verb in VERBS:
        text = said("help", verb)
        assert text.startswith(f"usage: vireo {verb}"), text[:100]
        assert text == said(verb, "--help") == said(verb, "-h")
    assert said("help") == said("--help") == said("-h")

with tap.test("help run lists every option"):
    for option in ("kernel initrd append firmware flash flash-vars memory cpus engine jit name no-reboot rng balloon trace-insn disk cdrom net publish "
                   "console virtio-console explain json dump-dtb quiet help").split():
        assert option in RUN_OPTIONS, f"no --{option} in {RUN_OPTIONS}"
    assert len(RUN_OPTIONS) == len(set(RUN_OPTIONS))

with tap.test("help fits into 80 columns where its words do"):
    for verb in VERBS:
        for line in said("help", verb).splitlines():
            assert len(line) <= 80 or len(line.split()) < 3, line

with tap.test("version"):
    answer = asked("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer["version"]), answer
    assert answer["engines"] == ["jit", "interp", "lockstep"] and answer["features"]["kvm"] is False
    assert said("version").startswith(f"vireo {answer['version']}\n")
    assert said("--version") == said("version")

with tap.test("machines"):
    virt = asked("machines")[0]
    assert (virt["arch"], virt["name"], virt["memory_gpa"]) == ("riscv64", "virt", 0x80000000), virt
    assert "riscv64 virt" in said("machines")

with tap.test("devices, and help for each of them"):
    devices = asked("devices")
    names = [device["name"] for device in devices]
    text = said("devices")
    assert {"plic", "clint", "uart16550", "virtio-blk-mmio"} <= set(names), names
    for name in names:
        assert re.search(rf"^{name}\b", text, re.M)
        device = asked("device", "help", name)
        shown = said("device", "help", name)
        assert device["name"] == name and device["help"]
        for register in (r for window in device["windows"] for r in window["registers"]):
            assert register["name"] in shown and register["help"], register
            assert register["access"] in ("ro", "wo", "rw") and register["width_bytes"] in (1, 2, 4, 8)
        for option in device["options"]:
            assert option["name"] in shown and option["help"], option

with tap.test("doctor"):
    host = asked("doctor")
    checks = {check["name"]: check for check in host["checks"]}
    assert host["usable"] is True, host
    assert checks["engine interp"]["status"] == "ok"
    assert "no KVM engine" in checks["KVM"]["detail"]
    assert {check["status"] for check in host["checks"]} <= {"ok", "note", "missing"}
    assert "Machines run on this host." in said("doctor")

with tap.test("--explain shows the machine and why"):
    args = ("run", "-q", good, "-c", "3", "-m", "64M", "-p", "0:22", "--disk", f"{tmp}/d.img,ro", "--explain")
    (tmp / "d.img").write_bytes(bytes(4096))
    answer = asked(*args)
    assert (answer["harts"], answer["memory_bytes"]) == (3, 64 << 20)
    regions = {row["name"]: row for row in answer["map"]}
    assert regions["ram"]["gpa"] == 0x80000000 and regions["ram"]["len_bytes"] == 64 << 20
    assert regions["uart0"]["class"] == "uart16550" and regions["uart0"]["irq"] == 10
    pci = {row["name"]: (row["place"], row["class"]) for row in answer["pci"]}
    assert pci["disk0"] == ("01.0", "virtio-blk-pci") and pci["net0"] == ("02.0", "virtio-net-pci"), pci
    mmio = {row["name"]: row for row in asked(*args, "--machine", "virt,virtio=mmio")["map"]}
    assert mmio["disk0"]["class"] == "virtio-blk-mmio" and mmio["net0"]["irq"] == 2, mmio
    addresses = [row["gpa"] for row in answer["map"]]
    assert addresses == sorted(addresses)
    settings = {row["key"]: row for row in answer["settings"]}
    assert settings["memory"] == {"key": "memory", "value": "64M", "given": True, "why": None}
    assert settings["console"]["value"] == "stdio" and settings["console"]["given"] is False
    assert settings["console"]["why"] and settings["kernel"]["value"] == str(good)
    text = said(*args)
    assert "0x080000000" in text and "64 MiB" in text and f"--kernel {good}" in text

with tap.test("--explain opens no console and writes nothing"):
    code, out, err = vireo("run", "-q", good, "--explain", "--console", f"unix:{tmp}/s", "--trace-insn", f"{tmp}/t")
    assert code == 0, err
    assert not (tmp / "s").exists() and not (tmp / "t").exists()

with tap.test("--dump-dtb writes the device tree"):
    need("dtc")
    code, _, err = vireo("run", "-q", good, "-c", "2", "--dump-dtb", tmp / "tree.dtb")
    assert code == 0, err
    tree = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", tmp / "tree.dtb"], stdout=subprocess.PIPE, check=True,
                          text=True).stdout
    assert "memory@80000000" in tree and "cpu@1" in tree and "cpu@2" not in tree

with tap.test("the manual page names every command and option"):
    page = said("man")
    plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
    for verb in VERBS:
        assert f".SS vireo {verb} " in plain, verb
    for option in RUN_OPTIONS:
        assert f"--{option}" in plain, option
    for section in ("NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "EXAMPLES"):
        assert f".SH {section}\n" in page

with tap.test("roff has nothing to say against the manual page"):
    need("groff")
    ran = subprocess.run(["groff", "-man", "-Tutf8", "-wall", "-z"], input=said("man").encode(), stderr=subprocess.PIPE,
                         check=True)
    assert ran.stderr == b"", ran.stderr.decode()

with tap.test("man(1) renders the manual page without a warning"):
    need("man")
    (tmp / "vireo.1").write_text(said("man"))
    ran = subprocess.run(["man", "--warnings", "-l", tmp / "vireo.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         check=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    if b"minimized" in ran.stdout:
        raise Skip("this system has no manual pages")
    assert ran.stderr == b"", ran.stderr.decode()
    assert b"EXIT STATUS" in ran.stdout

with tap.test("bash reads its completion script, and completes"):
    need("bash")
    (tmp / "bash").write_text(said("completion", "bash"))
    subprocess.run(["bash", "-n", tmp / "bash"], check=True)

    def complete(*words):
        line = " ".join(f"'{word}'" for word in words)
        script = (f"source {tmp}/bash; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _vireo; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        out = subprocess.run(["bash", "--norc", "-c", script], stdout=subprocess.PIPE, check=True, text=True).stdout
        return set(out.split())

    assert complete("vireo", "do") == {"doctor"}
    assert complete("vireo", "") == set(VERBS)
    assert complete("vireo", "run", "--virtio") == {"--virtio-console"}
    assert complete("vireo", "run", "--") == {f"--{option}" for option in RUN_OPTIONS}
    assert complete("vireo", "run", "--net", "u") == {"user"}
    assert complete("vireo", "run", "-m", "51") == {"512M"}
    assert complete("vireo", "run", f"{tmp}/good") == {str(good)}
    assert complete("vireo", "run", "--kernel", f"{tmp}/good") == {str(good)}
    assert complete("vireo", "device", "help", "pli") == {"plic"}
    assert complete("vireo", "completion", "z") == {"zsh"}

for shell in ("zsh", "fish"):
    with tap.test(f"{shell} reads its completion script"):
        need(shell)
        (tmp / shell).write_text(said("completion", shell))
        subprocess.run([shell, "-n", tmp / shell], check=True)

with tap.test("completion scripts for zsh and fish name every option"):
    for shell, prefix in (("zsh", "--"), ("fish", "-l ")):
        script = said("completion", shell)
        for option in RUN_OPTIONS:
            assert prefix + option in script, (shell, option)

with tap.test("an answer that cannot be written is exit code 5"):
    with open("/dev/full", "wb") as full:
        from command import VIREO
        ran = subprocess.run([VIREO, "devices"], stdout=full, stderr=subprocess.PIPE)
    assert ran.returncode == 5 and b"No space left" in ran.stderr, ran

tap.finish()
