#!/usr/bin/env python3
"""What earlier runs of bench.py found: one JSON line a run, in ${XDG_STATE_HOME:-~/.local/state}/vireo/bench.jsonl, or in
the file that $BENCH_HISTORY names.

  history.py [--last N]        the trend: one line a run, and what the last run changed against the one before it on the
                               same machine
  history.py --readme [FILE]   the last run as the README's tables; in FILE they replace what stands between the lines
                               <!-- bench --> and <!-- /bench -->
  history.py --show            the last run's tables again

A line that is not the summary of a run (report.py) is refused with its number."""

import argparse
import json
import math
import os
import pathlib
import sys

import report

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
NOISE = 0.05  # what a ratio may move by before it is shown
KEYS = {"date": str, "commit": str, "host": dict, "settings": dict, "peers": list, "versions": dict, "rows": list,
        "ratios": dict, "groups": dict, "geomean": dict}


class Damaged(Exception):
    """A line of the history that is no run; says where and what."""


def place():
    state = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state"
    return pathlib.Path(os.environ.get("BENCH_HISTORY") or pathlib.Path(state) / "vireo/bench.jsonl")


def numbers(found):
    """Whether @found is {name: finite positive number}, or {name: the same} to any depth."""
    return isinstance(found, dict) and all(
        numbers(value) if isinstance(value, dict) else
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        for value in found.values())


def parsed(line):
    """The run that @line is; ValueError says what is wrong."""
    run = json.loads(line)
    if not isinstance(run, dict):
        raise ValueError("not an object")
    for key, kind in KEYS.items():
        if not isinstance(run.get(key), kind):
            raise ValueError(f"{key!r} is missing or is no {kind.__name__}")
    if not run["peers"]:
        raise ValueError("no peers")
    for row in run["rows"]:
        if not isinstance(row, dict) or set(row) != {"name", "title", "group", "less", "values"} or not numbers(row["values"]):
            raise ValueError(f"not a row: {row}")
    for key in ("ratios", "groups", "geomean"):
        if not numbers(run[key]):
            raise ValueError(f"{key!r} does not hold numbers")
    return run


def read(path):
    runs = []
    if path.exists():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                runs.append(parsed(line))
            except ValueError as wrong:
                raise Damaged(f"{path}:{number}: {wrong}") from None
    return runs


def append(path, run):
    line = json.dumps(run)
    parsed(line)  # what is written can be read
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(line + "\n")


def trend(runs):
    """One row a run."""
    groups = list(dict.fromkeys(group for run in runs for group in run["groups"]))
    rows = []
    for run in runs:
        who = report.subject(run)
        means = (run["groups"].get(group, {}).get(who) for group in groups)
        rows.append([run["date"][:16].replace("T", " "), run["commit"], run["host"].get("cpu", ""), report.base_name(run),
                     *(f"{mean:.2f}" if mean else "-" for mean in means),
                     f"{run['geomean'][who]:.2f}" if who in run["geomean"] else "-"])
    return report.table(["date", "commit", "machine", "against", *groups, "geomean"], rows)


def comparable(before, after):
    return (before["host"].get("cpu"), before["peers"][0]) == (after["host"].get("cpu"), after["peers"][0])


def change(before, after):
    """Lines that say which ratios moved by more than noise from one run to the next."""
    old, new = report.subject(before), report.subject(after)
    rows = []
    for name, ratios in after["ratios"].items():
        was, now = before["ratios"].get(name, {}).get(old), ratios.get(new)
        if was and now and abs(now / was - 1) > NOISE:
            rows.append((now / was, [name, f"{was:.2f}", f"{now:.2f}", f"{100 * (now / was - 1):+.0f} %"]))
    rows.sort(key=lambda row: row[0])
    title = f"change against {before['date'][:16].replace('T', ' ')}, {before['commit']}"
    if not rows:
        return f"{title}: no ratio moved by more than {100 * NOISE:.0f} %"
    return report.table([title, "before", "now", "by"], [row for _, row in rows])


def last_change(runs):
    """change() of the last run against the newest one before it that it can be compared with, or None."""
    for before in reversed(runs[:-1]):
        if comparable(before, runs[-1]):
            return change(before, runs[-1])
    return None


def put_into(path, tables):
    whole = path.read_text()
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        raise Damaged(f"{path}: no pair of lines {BEGIN} and {END}")
    head, rest = whole.split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{tables}\n{END}{rest.split(END)[1]}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--last", type=int, default=20)
    parser.add_argument("--readme", nargs="?", const="-", metavar="FILE")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    try:
        runs = read(place())
        if not runs:
            raise Damaged(f"{place()}: no run yet: make bench")
        if args.readme == "-":
            print(report.readme(runs[-1]))
        elif args.readme:
            put_into(pathlib.Path(args.readme), report.readme(runs[-1]))
        elif args.show:
            print(report.text(runs[-1]))
        else:
            print(trend(runs[-args.last:]))
            if moved := last_change(runs):
                print("\n" + moved)
    except Damaged as wrong:
        print(f"history: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
