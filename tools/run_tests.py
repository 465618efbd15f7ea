#!/usr/bin/env python3
"""`make test`: builds and runs everything, unattended, and ends with "N passed, N failed, N skipped".

  run_tests.py [SUITE...]     default: all. Suites: those of tests/*/meson.build, and lint

Builds, because each finds what the others cannot:
  asan     gcc, address and undefined-behaviour checks     in-process suites
  clang    clang, optimised                                in-process suites
  tsan     gcc, data races: the platform layer             its suite
  arm64    the platform layer for arm64, under qemu-user   its suite
  riscv64  the same for riscv64
  windows  the same for Windows, under Wine
  release  gcc, link-time optimised: what users get        guests, the command, ports, lint"""

import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools/cross"))
import wine  # noqa: E402
IN_PROCESS = {"unit", "platform", "dev", "cpu", "fuzz"}

Build = collections.namedtuple("Build", "name folder compiler options wants")
BUILDS = [
    Build("asan", "build-asan", "gcc",
          ["--buildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
          lambda suite: suite in IN_PROCESS),
    Build("clang", "build-clang", "clang", ["--buildtype=release", "-Db_lundef=false"],
          lambda suite: suite in IN_PROCESS),
    Build("tsan", "build-tsan", "gcc",
          ["--buildtype=debugoptimized", "-Db_sanitize=thread", "-Db_lundef=false", "-Dparts=platform"],
          lambda suite: suite == "platform"),
    Build("arm64", "build-arm64", None,
          ["--cross-file", "tools/cross/aarch64-linux.ini", "-Dparts=platform", "--buildtype=release"],
          lambda suite: suite == "platform"),
    Build("riscv64", "build-riscv64", None,
          ["--cross-file", "tools/cross/riscv64-linux.ini", "-Dparts=platform", "--buildtype=release"],
          lambda suite: suite == "platform"),
    Build("windows", "build-windows", None,
          ["--cross-file", "tools/cross/x86_64-windows.ini", "-Dparts=platform", "--buildtype=release"],
          lambda suite: suite == "platform"),
    Build("release", "build", "gcc", ["--buildtype=release", "-Db_lto=true"],
          lambda suite: suite not in IN_PROCESS),
]
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "TSAN_OPTIONS": "halt_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    # meson would fill fresh memory with a random byte, which hides order-dependent failures from a rerun.
    "MALLOC_PERTURB_": "165",
}
SKIPPED = "# skipped: "  # what a C test says before it is skipped (tests/test.h)
Result = collections.namedtuple("Result", "passed failed skipped")  # lists of (name, text)


def say(text):
    print(text, flush=True)


def run(argv, **more):
    return subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, errors="replace", **more)


def captured(argv, **more):
    return run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def read_tap(name, text):
    """Counts the subtests of one TAP test. Diagnostics stand before a result, or ("# ...") after it."""
    result, notes, after = Result([], [], []), [], False
    for line in text.splitlines():
        match = re.match(r"(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(skip|todo)\S*\s*(.*))?", line, re.I)
        if not match:
            if after and line.startswith("#"):
                what, said = result.failed[-1]
                result.failed[-1] = (what, said + "\n" + line)
            else:
                notes.append(line)
            continue
        after = bool(match[1])
        if (match[3] or "").lower() == "skip":
            after = False
            said = [note[len(SKIPPED):] for note in notes if note.startswith(SKIPPED)]
            why = match[4].strip() or (said[-1] if said else "")
            result.skipped.append((f"{name}: {match[2].strip() or why}", why if match[2].strip() else ""))
        elif match[1]:
            result.failed.append((f"{name}: {match[2].strip()}", "\n".join(notes[-60:])))
        else:
            result.passed.append((f"{name}: {match[2].strip()}", ""))
        notes = []
    whole = re.search(r"^1\.\.0\s*#\s*skip\S*\s*(.*)", text, re.I | re.M)
    if whole:
        result.skipped.append((name, whole[1]))
    return result


def judge(entry, is_tap):
    """One line of meson's log, as a Result. A TAP test that breaks after good subtests has failed too."""
    name, text = entry["name"], entry.get("stdout", "") + entry.get("stderr", "")
    status = entry["result"]
    if is_tap:
        result = read_tap(name, entry.get("stdout", ""))
        if status not in ("OK", "SKIP") and not result.failed:
            result.failed.append((f"{name}: {status.lower()}", tail(text)))
        elif status == "OK" and not result.passed and not result.skipped:
            result.failed.append((f"{name}: tested nothing", tail(text)))
        elif result.failed:
            first, notes = result.failed[0]
            result.failed[0] = (first, notes + "\n" + tail(entry.get("stderr", "")))
        return result
    if status == "OK":
        return Result([(name, "")], [], [])
    if status == "SKIP":
        return Result([], [], [(name, " ".join(text.split()))])
    return Result([], [(f"{name}: {status.lower()}", tail(text))], [])


def tail(text, lines=120):
    return "\n".join(text.splitlines()[-lines:])


def configure(build):
    """Sets a build folder up once; returns what went wrong."""
    if (ROOT / build.folder / "build.ninja").exists():
        return None
    done = captured(["meson", "setup", build.folder, *build.options],
                    env={**os.environ, **({"CC": build.compiler} if build.compiler else {})})
    return tail(done.stdout) if done.returncode else None


def introspect(what, folder):
    said = run(["meson", "introspect", what, folder], stdout=subprocess.PIPE)
    return json.loads(said.stdout) if said.returncode == 0 else []


def suite_of(test):
    return test["suite"][0].split(":")[-1]


def needed(build, tests):
    """What ninja is to build for @tests: what they run, and what is built by default. Not the programs of other suites:
    linking those of the in-process suites into the optimised build takes minutes."""
    wanted = {target for test in tests for target in test["depends"]}
    return [os.path.relpath(file, ROOT / build.folder) for target in introspect("--targets", build.folder)
            if target["id"] in wanted or target["build_by_default"] for file in target["filename"]]


@contextlib.contextmanager
def wine_for(build):
    """What tests of that build need in their environment: one Wine for all of Windows' tests, gone afterwards. Where
    there is none, each of them says so (tools/cross/wine.py)."""
    with contextlib.ExitStack() as stack:
        prefix = None
        if build.name == "windows":
            with contextlib.suppress(wine.Missing):
                prefix = stack.enter_context(wine.made_prefix())
        yield {"VIREO_WINEPREFIX": prefix} if prefix else {}


def follow(process, log, seen):
    """Shows on a terminal how far the running tests are."""
    while process.poll() is None:
        time.sleep(0.3)
        if sys.stderr.isatty() and log.exists():
            count = log.read_bytes().count(b"\n")
            print(f"\r  {count} of {seen} test programs", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def run_build(build, chosen, totals):
    say(f"== {build.name}: configure and build")
    started = time.monotonic()
    problem = configure(build)
    tests = []
    if problem is None:
        tests = [test for test in introspect("--tests", build.folder)
                 if build.wants(suite_of(test)) and (not chosen or suite_of(test) in chosen)]
        done = captured(["ninja", "-C", build.folder, *needed(build, tests)])
        problem = tail(done.stdout[max(done.stdout.find("FAILED"), 0):]) if done.returncode else None
    if problem is not None:
        say(problem)
        totals.failed.append((f"{build.name}: build", problem))
        return
    if not tests:
        return
    suites = sorted({suite_of(test) for test in tests})
    say(f"== {build.name}: built in {time.monotonic() - started:.0f} s; running {', '.join(suites)}")
    log = ROOT / build.folder / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    output = ROOT / build.folder / "test.log"
    with open(output, "w") as sink, wine_for(build) as more:
        argv = ["meson", "test", "-C", build.folder, "--no-rebuild"]
        for suite in suites:
            argv += ["--suite", suite]
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink,
                                   stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT, **more})
        try:
            follow(process, log, len(tests))
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)  # meson ends its tests
            process.wait()
            raise
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    by_suite = {suite: Result([], [], []) for suite in suites}
    seconds = collections.Counter()
    unseen = {(suite_of(test), test["name"]): test["protocol"] == "tap" for test in tests}
    for entry in entries:
        label, _, name = entry["name"].rpartition(" / ")
        suite = label.split(":")[-1] or next(s for s, n in unseen if n == name)
        tap = unseen.pop((suite, name))
        entry["name"] = name
        seconds[suite] += entry.get("duration", 0)
        for into, found in zip(by_suite[suite], judge(entry, tap)):
            into.extend((f"{build.name}/{suite}/{what}", text) for what, text in found)
    for suite, name in unseen:
        by_suite[suite].failed.append((f"{build.name}/{suite}/{name}: did not run",
                                       tail(output.read_text(errors="replace"), 40)))
    for suite, result in by_suite.items():
        say(f"   {suite:10} {len(result.passed):6} passed {len(result.failed):4} failed "
            f"{len(result.skipped):4} skipped   {seconds[suite]:.0f} s")
        for what, text in result.failed:
            say(f"-- FAILED {what}\n{text}")
        for into, found in zip(totals, result):
            into.extend(found)


def main():
    chosen = set(sys.argv[1:])
    known = {path.parent.name for path in (ROOT / "tests").glob("*/meson.build")} | {"lint"}
    if chosen - known:
        say(f"no suite {', '.join(sorted(chosen - known))}; there are {', '.join(sorted(known))}")
        return 2
    if run([ROOT / "tools/deps.sh", "test"]).returncode:
        return 1
    totals = Result([], [], [])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for build in BUILDS:
        if not chosen or any(build.wants(suite) for suite in chosen):
            run_build(build, chosen, totals)
    if totals.failed:
        say("\nfailed:")
        for what, _ in totals.failed:
            say(f"  {what}")
    if totals.skipped:
        say("\nskipped:")
        for what, why in totals.skipped:
            say(f"  {what}: {why or 'no reason given'}")
    say(f"\n{len(totals.passed)} passed, {len(totals.failed)} failed, {len(totals.skipped)} skipped")
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
