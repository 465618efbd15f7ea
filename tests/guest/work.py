"""What a guest does while it is saved, moved or copied: sums of sums, of memory and of a disk that is written all the
time. What it comes to depends on nothing else. For snapshot.py, migrate_kill.py and tests/stress/snapshots.py."""

import random
import re

# work TURNS [COMMAND]: the command is run in each turn. All of it has to fit into a kernel's command line.
WORK = re.sub(r"^ +", "", r"""
work() {
    echo begin >/tmp/sum
    i=0
    while [ $i -lt $1 ]; do
        dd if=/dev/vda of=/tmp/in bs=64k skip=$((i % 100)) count=4 iflag=direct 2>/dev/null || echo read failed
        cat /tmp/in /tmp/sum | sha256sum >/tmp/next
        mv /tmp/next /tmp/sum
        cat /tmp/sum /tmp/sum /tmp/in | head -c 262144 >/tmp/out
        dd if=/tmp/out of=/dev/vda bs=64k seek=$((i % 100 + 2)) count=4 oflag=direct conv=notrunc 2>/dev/null || echo write failed
        $2
        i=$((i + 1))
        echo turn $i
    done
    echo "sum $(cut -c1-64 /tmp/sum)"
}
""", flags=re.M)
DISK_THERE = "[ -b /dev/vda ]"


def facts(text):
    """What the guest came to, whatever else its console says: a sum, and what went wrong."""
    return re.findall(r"^(?:sum [0-9a-f]{64}|.* failed|no answer)$", text, re.M)


def new_disk(path, seed=7):
    path.write_bytes(random.Random(seed).randbytes(8 << 20))
    return path
