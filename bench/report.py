"""Tables of what was measured: medians, and ratios to the first peer."""

import pathlib
import re
import statistics

GUEST = pathlib.Path(__file__).resolve().parent / "guest"


def short(value):
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def median(records, peer, name, field):
    values = [record[field] for record in records
              if record["peer"] == peer and record["name"] == name and record.get(field) is not None]
    return statistics.median(values) if values else None


def cell(value, base, scale=1.0, digits=2):
    """A figure, with its ratio to the first peer's."""
    if value is None:
        return "-"
    ratio = f" ({value / base:.2f}x)" if base else ""
    return f"{value * scale:.{digits}f}{ratio}"


def show_machine(records, started, peers):
    rows = []
    figures = [("boot to user space, CPU s", "boot", "user_cpu", 1, 2),
               ("boot to user space, wall s", "boot", "user", 1, 2),
               ("first kernel line, wall s", "boot", "kernel", 1, 3),
               ("resident, MiB", "idle", "rss_kib", 1 / 1024, 1),
               ("resident beyond guest RAM, MiB", "idle", "extra_kib", 1 / 1024, 1),
               ("idle guest, % of a core", "idle", "idle_cpu_pct", 1, 2)]
    for title, name, field, scale, digits in figures:
        base = median(records, peers[0], name, field)
        values = [median(records, peer, name, field) for peer in peers]
        if any(value is not None for value in values):
            rows.append([title, *(cell(value, base, scale, digits) for value in values)])
    by_peer = dict(started)
    for index, title in enumerate(("start to power-off, wall ms", "start to power-off, CPU ms",
                                   "start to power-off, peak resident MiB")):
        if started:
            base = by_peer.get(peers[0])
            rows.append([title, *(cell(by_peer[peer][index] if by_peer.get(peer) else None,
                                       base[index] if base else None, 1, 1) for peer in peers)])
    if rows:
        table(["less is better", *peers], rows)


def show_rates(records, peers):
    groups = dict(re.findall(r'\{"(\w+)", "(\w+)", b_', "".join(
        path.read_text() for path in sorted(GUEST.glob("bench_*.c")))))
    rates = {}
    for record in records:
        if record["name"] == "bench":
            # Disks and networks are waited for; computing is charged by CPU time.
            io = record["bench"].startswith(("blk_", "net_", "rw_"))
            value = record["rate_wall" if io else "rate_cpu"]
            if value:
                rates.setdefault(record["bench"], {}).setdefault(record["peer"], []).append(value)
    rows, ratios = [], {}
    for bench, found in rates.items():
        row = [bench]
        for peer in peers:
            if peer not in found:
                row.append("-")
                continue
            value = statistics.median(found[peer])
            if peers[0] in found:
                ratio = value / statistics.median(found[peers[0]])
                ratios.setdefault(groups.get(bench, bench.split("_")[0]), {}).setdefault(peer, []).append(ratio)
                row.append(f"{short(value)} ({ratio:.2f}x)")
            else:
                row.append(short(value))
        rows.append(row)
    if rows:
        table(["rate, more is better", *peers], rows)
        table(["geometric mean of ratios", *peers],
              [[f"{group} ({max(map(len, found.values()))})",
                *(f"{statistics.geometric_mean(found[peer]):.2f}x" if peer in found else "-" for peer in peers)]
               for group, found in ratios.items()])


def show(records, started, peers):
    show_machine(records, started, peers)
    show_rates(records, peers)
