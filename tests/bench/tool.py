#!/usr/bin/env python3
"""bench/: what a guest's console says becomes figures, figures become ratios and tables, runs become a history; and
lines that are damaged are refused and named, never counted."""

import json
import pathlib
import tempfile

import history
import measure
import peers
import report
from tap import Tap

CONSOLE = b"""[    0.000000] Linux version 6.12.107 (gcc) #1 SMP Debian\r
#USERSPACE 1.02\r
#RUN int\r
#BEGIN fib\r
[    2.0] a line of the kernel's #5 in between\r
#END fib 1000 0.500000 0.480000\r
#BEGIN nbody\r
#END nbody 300 0.5 0.5\r
#DONE\r
"""


def guest(in_guest=True):
    return measure.Guest(["x"], 512, in_guest)


def fed(text, in_guest=True, step=7):
    """A guest that said @text, in pieces, with one CPU second a piece."""
    one = guest(in_guest)
    for index, at in enumerate(range(0, len(text), step)):
        one.feed(text[at : at + step], index / 10, index)
    return one


def fails(one):
    return [record["what"] for record in one.records if record["name"] == "fail"]


def records():
    """Two runs of two peers and one of native code."""
    found = []
    for rep, factor in ((0, 1.0), (1, 1.2), (2, 0.9)):
        for peer, speed in (("qemu10", 1), ("vireo", 3), ("native", 9)):
            for bench, base in (("fib", 100), ("nbody", 10), ("memcpy", 50), ("getpid", 7)):
                rate = base * factor * (speed if bench != "getpid" else speed**2)
                found.append({"peer": peer, "name": "bench", "rep": rep, "bench": bench, "rate_cpu": rate,
                              "rate_wall": rate / 2})
        for peer, speed in (("qemu10", 1), ("vireo", 4)):
            found.append({"peer": peer, "name": "bench", "rep": rep, "bench": "blk_sync", "rate_cpu": 1e9,
                          "rate_wall": 500 * speed * factor})
            found.append({"peer": peer, "name": "boot", "rep": rep, "user_cpu": 2.0 * factor / speed, "user": 3.0,
                          "kernel": 0.2})
    return found


ABOUT = {"date": "2026-11-27T03:00:00+00:00", "commit": "abcdef0123",
         "host": {"cpu": "A CPU", "cores": 2, "kernel": "6.1", "load": 0.5},
         "settings": {"reps": 3, "mem": 512}, "versions": {"qemu10": "QEMU 10.0.13", "vireo": "vireo 0.1.0", "native": "cc"}}


def run(**more):
    return {**ABOUT, **report.summary(records(), [("qemu10", (50.0, 40.0, 45.0)), ("vireo", (5.0, 4.0, 9.0))],
                                      ["qemu10", "vireo", "native"]), **more}


def raises(kind, function, *args):
    try:
        function(*args)
    except kind as wrong:
        return str(wrong)
    raise AssertionError(f"{function.__name__}{args} was accepted")


def near(value, want):
    assert abs(value / want - 1) < 1e-9, f"{value}, not {want}"


tap = Tap()

with tap.test("a console's lines become rates, however they are cut"):
    for step in (1, 7, 19, 4096):
        one = fed(CONSOLE, step=step)
        found = {record["bench"]: record for record in one.records if record["name"] == "bench"}
        if step == 4096:  # no CPU time passed between first and last line: not a figure
            assert not found and len(fails(one)) == 2, one.records
            continue
        assert not fails(one) and list(found) == ["fib", "nbody"] and one.done, one.records
        near(found["fib"]["rate_wall"], 2000)
        assert one.seen.keys() == {"first_output", "kernel", "user"}

with tap.test("a program that runs without a monitor tells its own CPU time"):
    one = fed(CONSOLE, in_guest=False, step=4096)
    assert not fails(one)
    near(one.records[0]["rate_cpu"], 1000 / 0.48)

with tap.test("each of the two lines is answered, so that the guest does not run on unseen"):
    one, answers = guest(), []
    one.answer = lambda: answers.append(list(one.begun))
    for index, piece in enumerate((b"#USERSPACE 1\n#BEG", b"IN fib\n", b"text\n#END fib 1000 0.5 0.4\n#D", b"ONE\n")):
        one.feed(piece, index, index)
    assert answers == [["fib"], []] and not fails(one), answers

with tap.test("damaged lines are refused and named"):
    for line in ("#END fib 1000 0.5", "#END fib 1000 0.5 0.4 7", "#END fib 1000 zero 0.4", "#END fib nan 0.5 0.4",
                 "#END fib 1000 inf 0.4", "#END fib 0 0.5 0.4", "#END fib 1000 0 0.4", "#END fib -5 0.5 0.4",
                 "#END fi 1000 0.5 0.4", "#END", "#BEGIN", "#BEGIN fib fib", "#END fib 10[ 3.1] x 0.5 0.4",
                 "#END fib 1000 0.5 -1"):
        one = fed(f"#BEGIN fib\n{line}\n#DONE\n".encode(), step=3)
        assert fails(one) == [f"damaged line: {line}"], (line, one.records)
        assert not [record for record in one.records if record["name"] == "bench"], line

with tap.test("a guest that says it failed has failed"):
    assert fails(fed(b"#FAIL net\n")) == ["#FAIL net"]

with tap.test("a program that ends too soon, or badly, is a failure"):
    for script, what in (("echo '#BEGIN fib'", "ended before its work did (fib)"), ("exit 3", "exit code 3"),
                         ("exec sleep 60", "still running")):
        one = measure.Guest(["sh", "-c", script], 512, False)
        with tempfile.NamedTemporaryFile() as log:
            one.run(log.name, 0.5 if "sleep" in script else 20)
        assert any(what in said for said in fails(one)), (script, one.records)

with tap.test("medians, ratios, and geometric means of groups"):
    found = run()
    near(found["ratios"]["fib"]["vireo"], 3)
    near(found["ratios"]["boot_cpu"]["vireo"], 1 / 4)
    near(found["ratios"]["start_wall"]["vireo"], 0.1)
    near(found["groups"]["sys"]["native"], 81)
    near(found["groups"]["blk"]["vireo"], 4)  # wall time counts there
    near(found["geomean"]["vireo"], (3 * 3 * 3 * 9) ** 0.25)
    near(next(row for row in found["rows"] if row["name"] == "fib")["values"]["qemu10"], 100)

with tap.test("the last line is the geometric mean, before it one line a group"):
    lines = report.text(run()).splitlines()
    assert lines[-6:] == ["int vs QEMU: 3.00", "fp vs QEMU: 3.00", "mem vs QEMU: 3.00", "sys vs QEMU: 9.00",
                          "blk vs QEMU: 4.00", "geomean vs QEMU: 3.95"], lines[-6:]

with tap.test("where it is slower than another monitor is said"):
    assert "\nvireo is slower than qemu10 in: none of these\n" in report.text(run())
    found = run(peers=["qemu10", "vireo", "rvvm"])
    for row in found["rows"]:
        if row["name"] in ("nbody", "getpid"):
            row["values"]["rvvm"] = row["values"]["vireo"] * (4 if row["name"] == "nbody" else 0.5)
    assert report.slower(found, "rvvm") == [("nbody", 0.25)], report.slower(found, "rvvm")
    assert "vireo is slower than rvvm in: nbody (0.25)\n" in report.text(found)

with tap.test("without a figure for a program there is no mean over all"):
    part = [record for record in records() if (record["peer"], record.get("bench")) != ("vireo", "fib")]
    lines = report.text({**ABOUT, **report.summary(part, [], ["qemu10", "vireo", "native"])}).splitlines()
    assert lines[-1] == "geomean vs QEMU: none, for want of fib", lines[-1]

with tap.test("the README's tables hold date, machine, versions and both ratios"):
    text = report.readme(run())
    for word in ("2026-11-27", "A CPU", "QEMU 10.0.13", "vireo 0.1.0", "abcdef0123", "| integer programs", "| to native |",
                 "| fib | 100 | 300 | 3.00 | 0.33 |",
                 "Best: getpid (9.0)", "Slower: none of these."):
        assert word in text, f"{word} is not in\n{text}"
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "README.md"
        page.write_text(f"above\n{history.BEGIN}\nold\n{history.END}\nbelow\n")
        history.put_into(page, text)
        assert page.read_text() == f"above\n{history.BEGIN}\n{text}\n{history.END}\nbelow\n"
        page.write_text("no marks")
        raises(history.Damaged, history.put_into, page, text)

with tap.test("a history keeps runs, and shows what changed"):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "more/history.jsonl"
        history.append(path, run(commit="first"))
        later = run(commit="second")
        later["ratios"] = {**later["ratios"], "fib": {"qemu10": 1.0, "vireo": 6.0}}
        history.append(path, later)
        runs = history.read(path)
        assert [one["commit"] for one in runs] == ["first", "second"]
        assert "3.95" in history.trend(runs) and "second" in history.trend(runs)
        moved = history.last_change(runs)
        assert "| fib | 3.00 | 6.00 | +100 % |" in moved and "getpid" not in moved, moved
        elsewhere = run(host={**ABOUT["host"], "cpu": "Another"})
        assert history.last_change([elsewhere, later]) is None
        assert "no ratio moved" in history.last_change([later, later])

with tap.test("damaged lines of a history are refused with their number"):
    good = json.dumps(run())
    no_rows = json.dumps({key: value for key, value in run().items() if key != "rows"})
    for bad in (good[:-20], "", "[]", no_rows, json.dumps(run(rows=[1])), json.dumps(run(rows=[{"name": "x"}])),
                json.dumps(run(geomean={"vireo": "fast"})), json.dumps(run(ratios={"fib": {"vireo": float("nan")}})),
                json.dumps(run(peers=[])), json.dumps(run(groups={"int": {"vireo": True}})), "\0" * 40):
        with tempfile.NamedTemporaryFile("w+", suffix=".jsonl") as file:
            file.write(f"{good}\n{bad}\n")
            file.flush()
            assert f"{file.name}:2: " in raises(history.Damaged, history.read, pathlib.Path(file.name)), bad

with tap.test("peers: names, paths, files, and what is none of these"):
    with tempfile.TemporaryDirectory() as folder:
        values = {"root": folder, "guest": folder}
        for name, says in (("vireo", "vireo 9.9.9"), ("qemu", "QEMU emulator version 11.1.0 (x)"), ("other", "other 1")):
            program = pathlib.Path(folder) / name
            program.write_text(f"#!/bin/sh\necho '{says}'\n")
            program.chmod(0o755)
        lines = peers.read()
        found = peers.find(f"old={folder}/vireo", lines, values)
        assert (found.name, found.version, found.program) == ("old", "vireo 9.9.9", f"{folder}/vireo"), found
        found = peers.find(f"{folder}/qemu", lines, values)
        assert found.version == "QEMU 11.1.0" and "-M virt" in found.command and found.name.endswith("qemu"), found
        argv = peers.arguments('{program} -append "{cmdline}" x', found, {"cmdline": 'a b "c'})
        assert argv == [f"{folder}/qemu", "-append", 'a b "c', "x"], argv
        for word, why in ((f"{folder}/other", "neither vireo nor QEMU"), ("nobody", "no peer nobody"),
                          (f"{folder}/absent", "no peer"), ("vireo", "is not here")):
            assert why in raises(peers.Unknown, peers.find, word, lines, values), word
        conf = pathlib.Path(folder) / "conf"
        conf.write_text(f"# mine\nmine | {folder}/other | {{program}} -k {{kernel}}\ntwo | {folder}/other | like mine\n")
        lines = peers.read([conf])
        assert peers.find("two", lines, values)[:3] == ("two", f"{folder}/other", "{program} -k {kernel}")
        for bad in ("x | y", "x | y | z | 1 | 2 | 3 | 4 | 5", "x | y | like nothing"):
            conf.write_text(bad + "\n")
            assert f"{conf}:1" in raises(peers.Unknown, peers.read, [conf]), bad

tap.finish()
