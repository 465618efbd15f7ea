"""What was measured as one summary of a run (a dict that goes into the history as it is), and as tables: medians, and
ratios to the first peer.

    {"date", "commit", "host", "settings", "peers", "versions": {peer: text},
     "rows": [{"name", "title", "group", "less": whether less is better, "values": {peer: number}}],
     "ratios": {row: {peer: value / first peer's}}, "groups": {group: {peer: geometric mean of the ratios}},
     "geomean": {peer: over all programs of int, fp, mem and sys}}"""

import pathlib
import re
import statistics

GUEST = pathlib.Path(__file__).resolve().parent / "guest"
COMPUTING = ("int", "fp", "mem", "sys")
PER_SECOND = ("blk", "blkmem", "net", "fs", "rw")  # waited for; computing is charged by CPU time

# row, title, which record, its field, scale
MACHINE = [("boot_cpu", "boot to user space, CPU s", "boot", "user_cpu", 1),
           ("boot_wall", "boot to user space, wall s", "boot", "user", 1),
           ("first_line", "first kernel line, wall s", "boot", "kernel", 1),
           ("resident", "resident, MiB", "idle", "rss_kib", 1 / 1024),
           ("resident_more", "resident beyond guest RAM, MiB", "idle", "extra_kib", 1 / 1024),
           ("idle", "idle guest, % of a core", "idle", "idle_cpu_pct", 1)]
STARTUP = [("start_wall", "start to power-off, wall ms"), ("start_cpu", "start to power-off, CPU ms"),
           ("start_resident", "start to power-off, peak resident MiB")]


def short(value):
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
                      *("| " + " | ".join(row) + " |" for row in rows)])


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def group_of(bench, groups):
    return groups.get(bench, bench.split("_")[0])


def program_groups():
    """{program: group} of guest/bench_*.c."""
    return dict(re.findall(r'\{"(\w+)", "(\w+)", b_', "".join(
        path.read_text() for path in sorted(GUEST.glob("bench_*.c")))))


def rows_of(records, started, peers):
    rows = []

    def add(name, title, group, less, value_of):
        values = {peer: value for peer in peers if (value := value_of(peer)) is not None}
        if values:
            rows.append({"name": name, "title": title, "group": group, "less": less, "values": values})

    def taken(peer, kind, field, scale=1, **same):
        found = median(record.get(field) for record in records if record["peer"] == peer and record["name"] == kind
                       and all(record[key] == value for key, value in same.items()))
        return None if found is None else found * scale

    for name, title, kind, field, scale in MACHINE:
        add(name, title, "machine", True, lambda peer: taken(peer, kind, field, scale))  # noqa: B023
    for index, (name, title) in enumerate(STARTUP):
        add(name, title, "machine", True, lambda peer: (dict(started).get(peer) or [None] * 3)[index])  # noqa: B023
    groups = program_groups()
    for bench in dict.fromkeys(record["bench"] for record in records if record["name"] == "bench"):
        group = group_of(bench, groups)
        field = "rate_wall" if group in PER_SECOND else "rate_cpu"
        add(bench, bench, group, False, lambda peer: taken(peer, "bench", field, bench=bench))  # noqa: B023
    return rows


def summary(records, started, peers):
    """rows, ratios, groups and geomean (see above); @peers are names, the first is the base."""
    rows, base = rows_of(records, started, peers), peers[0]
    ratios, groups = {}, {}
    for row in rows:
        values = row["values"]
        if values.get(base):
            ratios[row["name"]] = {peer: value / values[base] for peer, value in values.items()}
            if not row["less"]:
                for peer, ratio in ratios[row["name"]].items():
                    groups.setdefault(row["group"], {}).setdefault(peer, []).append(ratio)
    all_of = {}
    for group in COMPUTING:
        for peer, found in groups.get(group, {}).items():
            all_of.setdefault(peer, []).extend(found)
    means = {group: {peer: statistics.geometric_mean(found) for peer, found in by_peer.items()}
             for group, by_peer in groups.items()}
    return {"peers": list(peers), "rows": rows, "ratios": ratios, "groups": means,
            "geomean": {peer: statistics.geometric_mean(found) for peer, found in all_of.items()}}


def number(row, value):
    if not row["less"]:
        return short(value)
    return f"{value:.3f}" if value < 1 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(run, row, peers):
    for peer in peers:
        value = row["values"].get(peer)
        ratio = run["ratios"].get(row["name"], {}).get(peer)
        yield "-" if value is None else number(row, value) + (f" ({ratio:.2f}x)" if ratio is not None else "")


def subject(run):
    """The peer that the closing lines are about: vireo, or the first after the base that is a monitor."""
    others = [peer for peer in run["peers"][1:] if peer != "native"]
    return "vireo" if "vireo" in others else (others or run["peers"][1:] or run["peers"])[0]


def base_name(run):
    base = run["peers"][0]
    return "QEMU" if run.get("versions", {}).get(base, "").startswith("QEMU") else base


def missing(run):
    """Programs of which one of the peers that ran others of the group gave no figure: the means leave them out."""
    found = []
    for row in run["rows"]:
        group = run["groups"].get(row["group"], {})
        found += [f"{row['name']} on {peer}" for peer in run["peers"] if peer in group and peer not in row["values"]]
    return found


def closing(run):
    """One line a group, `GROUP vs QEMU: N.NN`, and at last `geomean vs QEMU: N.NN`."""
    who, base = subject(run), base_name(run)
    lines = [f"{group} vs {base}: {means[who]:.2f}" for group, means in run["groups"].items() if who in means]
    lacking = [row["name"] for row in run["rows"] if row["group"] in COMPUTING
               and not {who, run["peers"][0]} <= set(row["values"])]
    if lacking:
        lines.append(f"geomean vs {base}: none, for want of {', '.join(lacking)}")
    elif who in run["geomean"]:
        lines.append(f"geomean vs {base}: {run['geomean'][who]:.2f}")
    return lines


def slower(run, peer):
    """[(program, how many times as fast as @peer)] where the run's subject is slower, the slowest first."""
    found = []
    for row in run["rows"]:
        values = row["values"]
        if not row["less"] and values.get(peer) and subject(run) in values:
            found.append((values[subject(run)] / values[peer], row["title"]))
    return [(title, ratio) for ratio, title in sorted(found) if round(ratio, 2) < 1]


def slower_text(run, peer):
    found = ", ".join(f"{title} ({ratio:.2f})" for title, ratio in slower(run, peer))
    return f"{subject(run)} is slower than {peer} in: {found or 'none of these'}"


def text(run):
    """All tables and the closing lines."""
    peers = run["peers"]
    parts = []
    for less, title in ((True, "less is better"), (False, "rate, more is better")):
        rows = [[row["title"], *cells(run, row, peers)] for row in run["rows"] if row["less"] == less]
        if rows:
            parts.append(table([title, *peers], rows))
    if run["groups"]:
        counts = {}
        for row in run["rows"]:
            counts[row["group"]] = counts.get(row["group"], 0) + (row["name"] in run["ratios"])
        rows = [[f"{group} ({counts[group]})", *(f"{means[peer]:.2f}x" if peer in means else "-" for peer in peers)]
                for group, means in run["groups"].items()]
        parts.append(table(["geometric mean of ratios", *peers], rows))
    if missing(run):
        parts.append("no figure: " + ", ".join(missing(run)))
    others = [peer for peer in peers if peer not in ("native", subject(run))]
    if run["groups"] and others:
        parts.append("\n".join(slower_text(run, peer) for peer in others))
    parts.append("\n".join(closing(run)))
    return "\n\n".join(parts)


GROUP_TITLES = {"int": "integer programs", "fp": "floating point", "mem": "memory",
                "sys": "system calls, processes, faults", "smp": "two harts", "blk": "disk file (per second)",
                "blkmem": "disk in memory (per second)", "net": "network (per second)", "fs": "shared folder (per second)",
                "rw": "Debian's programs (per second)"}


def readme(run):
    """The README's tables: how Vireo stands to QEMU, and to native code, with all that a reader needs to judge it."""
    who, base = subject(run), run["peers"][0]
    host, settings = run["host"], run["settings"]
    lines = [f"{run['versions'].get(who, who)} ({run['commit']}) next to {run['versions'].get(base, base)}: "
             f"one hart, {settings['mem']} MiB, {settings['reps']} interleaved runs of `make bench` on {host['cores']} cores "
             f"of {host['cpu']} (Linux {host['kernel']}), {run['date'][:10]}, load {host['load']:.1f}. Rates are per CPU second "
             f"of the whole monitor, where not said otherwise; {base} is 1.", ""]
    rows = [[row["title"], number(row, row["values"][base]), number(row, row["values"][who]),
             f"{run['ratios'][row['name']][who]:.2f}", ""]
            for row in run["rows"] if row["less"] and base in row["values"] and who in row["values"]]
    for group, means in run["groups"].items():
        if who in means:
            count = sum(row["group"] == group and row["name"] in run["ratios"] for row in run["rows"])
            rows.append([f"{GROUP_TITLES.get(group, group)}, geometric mean of {count}", "1", f"{means[who]:.2f}",
                         f"{means[who]:.2f}", f"{means[who] / means['native']:.2f}" if "native" in means else ""])
    if who in run["geomean"]:
        mean, native = run["geomean"][who], run["geomean"].get("native")
        rows.append(["**int, fp, mem and sys together**", "1", f"**{mean:.2f}**", f"**{mean:.2f}**",
                     f"{mean / native:.2f}" if native else ""])
    lines.append(table(["", base, who, f"to {base_name(run)}", "to native"], rows))
    rows = []
    for row in run["rows"]:
        ratio = run["ratios"].get(row["name"], {})
        if not row["less"] and who in ratio:
            rows.append([row["group"], row["title"], short(row["values"][base]), short(row["values"][who]),
                         f"{ratio[who]:.2f}", f"{ratio[who] / ratio['native']:.2f}" if "native" in ratio else ""])
    best = sorted(((ratio[who], name) for name, ratio in run["ratios"].items() if who in ratio and not next(
        row for row in run["rows"] if row["name"] == name)["less"]), reverse=True)[:5]
    lines += ["", f"Best: {', '.join(f'{name} ({ratio:.1f})' for ratio, name in best)}. {slower_text(run, base)}.".replace(
        f"{who} is slower than {base} in", "Slower")]
    lines += ["", "<details><summary>Each program</summary>", "",
              table(["group", "program", f"{base}, per s", f"{who}, per s", f"to {base_name(run)}", "to native"], rows), "",
              "</details>"]
    return "\n".join(lines)
