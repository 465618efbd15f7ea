"""Runs one guest on one monitor and measures it from outside.

CPU time is the monitor's whole process (all threads) between the guest's #BEGIN and #END lines, which
makes results comparable on a machine that other work shares; wall time is recorded too. After each of the two the guest
waits for an answer (guest/io.h), so that what it does next is not counted when we come late."""

import math
import os
import pty
import re
import select
import subprocess
import time


def cpu_of(pid):
    """CPU seconds used by all threads of a process, dead ones included (see clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def memory_of(pid, ram_bytes):
    """(resident KiB, of which guest RAM): guest RAM is the mapping that is as long as it."""
    runs, current = [], None
    try:
        with open(f"/proc/{pid}/smaps") as smaps:
            for line in smaps:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+\s*(.*)", line)
                if match:
                    low, high, key = int(match[1], 16), int(match[2], 16), (match[3], match[4])
                    if current and current["high"] == low and current["key"] == key:
                        current["high"] = high
                    else:
                        current = {"low": low, "high": high, "key": key, "rss": 0}
                        runs.append(current)
                elif line.startswith("Rss:"):
                    current["rss"] += int(line.split()[1])
    except (OSError, TypeError):
        return None
    ram = [run["rss"] for run in runs
           if 0.9 * ram_bytes <= run["high"] - run["low"] <= 1.5 * ram_bytes and "r" in run["key"][0]]
    return sum(run["rss"] for run in runs), max(ram, default=0)


def read_end(words):
    """(operations, wall seconds, CPU seconds) of an #END line's last three words; a ValueError where they cannot be
    what a program measured (a console may lose or mix characters)."""
    operations, seconds, cpu = map(float, words)
    if not all(map(math.isfinite, (operations, seconds, cpu))) or operations <= 0 or seconds <= 0 or cpu < 0:
        raise ValueError("not a measurement")
    return operations, seconds, cpu


class Guest:
    """One run: feed() takes the console's output, records is what was measured."""

    def __init__(self, argv, mem_mib, in_guest):
        self.argv, self.mem_mib, self.in_guest = argv, mem_mib, in_guest
        self.seen, self.begun, self.records = {}, {}, []
        self.rest, self.idle_at, self.done = b"", None, False
        self.answer = lambda: None

    def feed(self, data, now, cpu):
        self.seen.setdefault("first_output", (now, cpu))
        self.rest += data
        if b"Linux version" in self.rest:
            self.seen.setdefault("kernel", (now, cpu))
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            text = line.decode("latin-1").strip("\r \0")
            words = text[text.index("#"):].split() if "#" in text else [""]
            if words[0] == "#USERSPACE":
                self.seen["user"] = (now, cpu)
            elif words[0] == "#RUN" and words[1:] == ["idle"]:
                self.idle_at = now + 3  # let the boot's last work end; then watch for 4 s
            elif words[0] == "#BEGIN" and len(words) == 2:
                self.begun[words[1]] = (now, cpu)
            elif words[0] in ("#BEGIN", "#END"):
                try:
                    self.ended(words[1], *read_end(words[2:]), now, cpu)
                except (ValueError, IndexError, KeyError):
                    self.fail(f"damaged line: {text}")
            elif words[0] == "#DONE":
                self.done = True
            elif words[0] == "#FAIL":
                self.fail(text)
            if words[0] in ("#BEGIN", "#END"):
                self.answer()

    def fail(self, what):
        self.records.append({"name": "fail", "what": what})

    def ended(self, bench, operations, seconds, inner_cpu, now, cpu):
        _, cpu_before = self.begun.pop(bench)
        used = inner_cpu
        if self.in_guest:
            used = 0 if cpu is None or cpu_before is None else cpu - cpu_before
        if used <= 0:
            self.fail(f"{bench}: no CPU time passed between its first and last line")
            return
        self.records.append({"name": "bench", "bench": bench, "rate_wall": operations / seconds,
                             "rate_cpu": operations / used})

    def run(self, log_path, timeout):
        master, slave = pty.openpty()
        start = time.monotonic()
        process = subprocess.Popen(self.argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        if self.in_guest:
            self.answer = lambda: os.write(master, b"\n")
        try:
            self.watch(process, master, start, log_path, timeout)
        except BaseException:  # leave nothing running, whatever ended us
            process.kill()
            raise
        status = process.wait()
        os.close(master)
        if status:
            self.fail(f"exit code {status}, see {log_path}")
        elif self.begun or self.in_guest and not self.done:
            self.fail(f"ended before its work did ({', '.join(self.begun) or 'boot'}), see {log_path}")
        if self.in_guest and "user" in self.seen:
            boot = {"name": "boot"}
            for what, (wall, cpu) in self.seen.items():
                boot[what], boot[what + "_cpu"] = wall, cpu
            self.records.append(boot)
        return self.records

    def watch(self, process, master, start, log_path, timeout):
        idle_from = None
        with open(log_path, "wb") as log:
            while True:
                now = time.monotonic() - start
                if now > timeout:
                    self.fail(f"still running after {timeout} s, see {log_path}")
                    process.kill()
                    break
                if self.idle_at and now >= self.idle_at:
                    if idle_from is None:
                        idle_from, self.idle_at = (now, cpu_of(process.pid)), now + 4
                    else:
                        self.note_idle(process.pid, idle_from, now)
                        self.idle_at = None
                if not select.select([master], [], [], 0.05)[0]:
                    if process.poll() is not None:
                        break
                    continue
                try:
                    data = os.read(master, 65536)
                except OSError:  # the other end is closed
                    break
                log.write(data)
                self.feed(data, time.monotonic() - start, cpu_of(process.pid))

    def note_idle(self, pid, before, now):
        memory, cpu = memory_of(pid, self.mem_mib << 20), cpu_of(pid)
        if memory and cpu is not None and before[1] is not None:
            self.records.append({"name": "idle", "rss_kib": memory[0], "extra_kib": memory[0] - memory[1],
                                 "idle_cpu_pct": 100 * (cpu - before[1]) / (now - before[0])})


def startup(argv, times):
    """Median (wall ms, CPU ms, peak RSS MiB) of a guest that powers off at its first instructions."""
    results = []
    for _ in range(times):
        start = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            return None
        results.append((1e3 * (time.monotonic() - start), 1e3 * (usage.ru_utime + usage.ru_stime),
                        usage.ru_maxrss / 1024))
    return tuple(sorted(column)[times // 2] for column in zip(*results))
