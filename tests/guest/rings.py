#!/usr/bin/env python3
"""Packed rings and several queues under the stock kernel's own drivers: a file-system exerciser and raw writes on
disks, data through the network both ways, compared with what the host has; and the counters that tell of it."""

import hashlib
import http.server
import os
import pathlib
import socket
import tempfile
import threading

import debian
import vm
from tap import Tap

HERE = pathlib.Path(__file__).resolve().parent
PACKED, EVENT_IDX, INDIRECT = 34, 29, 28
UP, DOWN = 24 << 20, 8 << 20

SCRIPT = r"""
. /test/lib.sh
features() {
    for d in /sys/bus/virtio/devices/*; do
        echo "$(cat $d/device) $(cat $d/features)"
    done
    echo "queues $(ls /sys/block/vda/mq | wc -l) $(ls /sys/block/vdb/mq | wc -l)" \
        "$(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)"
}
exercise() {
    mkdir -p /m /twin
    mount -t ext4 /dev/vda /m && mount -t tmpfs twin /twin || return
    for seed in 1 2; do
        rm -rf /m/t /twin/*
        mkdir /m/t
        /test/share tree /m/t /twin $seed 1500 || return
    done
    /test/share data /m/data 7 1500 || return
    head -c 8M /dev/urandom >/m/big
    for i in $(seq 1 100); do echo "file $i" >/m/t/small.$i; done
    (cd /m && find . -type f | sort | xargs sha256sum)
    umount /m
}
# Both CPUs at once, in blocks of all sizes, around the page cache.
raw() {
    write() {
        i=0
        for bs in 4096 65536 512 1048576 16384 131072 4096 262144; do
            dd if=/test/pattern of=/dev/vdb bs=$bs count=$((1048576 / bs)) seek=$(((i * 2 + $1) * 1048576 / bs)) \
                oflag=direct status=none || return
            i=$((i + 1))
        done
    }
    write 0 & write 1 || return
    wait $! || return
    sync
    dd if=/dev/vdb bs=1M count=16 iflag=direct status=none | sha256sum
}
network() {
    netup start >/dev/null 2>&1
    head -c $UP /dev/urandom >/tmp/up
    sha256sum </tmp/up
    nc 10.0.2.2 $SINK </tmp/up
    wget -q -O - http://10.0.2.2:$WEB/ | sha256sum
}
section features features
section exercise exercise
section raw raw
section network network
echo host: counters
read -r answer </dev/console
"""


def exerciser(folder):
    out = pathlib.Path(folder) / "share.rv"
    debian.run("riscv64-linux-gnu-gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-static", "-o", out,
               HERE / "programs/share.c")
    return out.read_bytes()


class Sink(threading.Thread):
    """Takes one connection's bytes; .digest is their sum."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.digest, self.len = self.socket.getsockname()[1], hashlib.sha256(), 0

    def run(self):
        with self.socket, self.socket.accept()[0] as peer:
            while got := peer.recv(1 << 16):
                self.digest.update(got)
                self.len += len(got)


class Web(http.server.BaseHTTPRequestHandler):
    body = os.urandom(DOWN)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


def scripted(sink, web):
    return SCRIPT.replace("$UP", str(UP)).replace("$SINK", str(sink)).replace("$WEB", str(web))


tap = Tap()
with tempfile.TemporaryDirectory(prefix="vireo-rings.") as tmp:
    tmp = pathlib.Path(tmp)
    pattern = os.urandom(1 << 20)
    data, raw = debian.sparse(tmp, "data.img", 128 << 20), debian.sparse(tmp, "raw.img", 32 << 20)
    debian.run("mkfs.ext4", "-q", data)
    sink = Sink()
    sink.start()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    name = f"rings-{os.getpid()}"
    machine = debian.small_machine(tmp, scripted(sink.port, web.server_address[1]),
                                   {"share": exerciser(tmp), "pattern": pattern},
                                   modules="virtio_mmio,virtio_blk,virtio_net,ext4")
    args = ["-c", "2", "--name", name, "--disk", f"{data},packed=on,queues=2",
            "--disk", f"{raw},packed=on,queues=4,in_order=on,size_max=65536", "--net",
            "user,packed=on,queues=2,rss=on,hash=on"]
    with tap.test("a guest works on packed rings and several queues"):
        with vm.Vm(*machine, *args, deadline_s=240) as guest:
            guest.expect("host: counters\n")
            seen = vm.counters(name)
            guest.send("\n")
            done = debian.Done(guest)
        assert done.code == 0, (done.code, done.errors, done.text[-2000:])
        for word in ("Oops", "WARNING:", "BUG:", "rcu: INFO", "I/O error"):
            assert word not in done.text, done.text[-3000:]

    with tap.test("the drivers use them: disks and network card"):
        lines = done.check("features").splitlines()
        for line in lines[:-1]:
            device, features = line.split()
            if device in ("0x0001", "0x0002"):
                assert {PACKED, EVENT_IDX, INDIRECT} <= vm.bits(features), line
        assert [line.split()[0] for line in lines].count("0x0002") == 2, lines
        assert lines[-1] == "queues 2 2 2", lines

    with tap.test("a file-system exerciser finds nothing, and the host finds its files"):
        text = done.check("exercise")
        sums = dict(reversed(line.split("  ./")) for line in text.splitlines() if "  ./" in line)
        assert len(sums) > 100, text
        debian.fsck(data)
        for path in ("big", "data", "t/small.1", "t/small.100"):
            got = hashlib.sha256(debian.debugfs(data, f"cat /{path}")).hexdigest()
            assert got == sums[path], f"{path} differs on the host"

    with tap.test("what two CPUs write around the page cache is on the host"):
        digest = done.check("raw").split()[0]
        assert raw.read_bytes()[:16 << 20] == pattern * 16
        assert digest == hashlib.sha256(pattern * 16).hexdigest()

    with tap.test("what goes through the network is what was sent"):
        up, _, down, _ = done.check("network").split()
        sink.join(20)
        assert (sink.len, sink.digest.hexdigest()) == (UP, up)
        assert down == hashlib.sha256(Web.body).hexdigest()

    with tap.test("queues count what they did, and that data was not copied"):
        def total(device, what, queues):
            return sum(seen["queue", f"{device}.{i}", what] for i in queues)
        disk, card = "disk0", "net0"
        assert total(disk, "chains", range(2)) > 1000 and total(disk, "kicks", range(2)) > 0
        assert total("disk1", "bytes", range(4)) > 32 << 20
        for device, queues in ((disk, range(2)), ("disk1", range(4))):
            # Headers, and nothing of the data.
            assert total(device, "copied_bytes", queues) <= 21 * total(device, "chains", queues), seen
            assert total(device, "errors", queues) == 0
        assert 0 < seen["queue", f"{disk}.0", "latency_p50_ns"] <= seen["queue", f"{disk}.0", "latency_p99_ns"]
        large = seen["device", card, "tx_large"]
        # How many is the guest's TCP's business: it makes bursts as large as pacing and acknowledgements let it.
        assert large > 0 and seen["device", card, "tx_bytes"] > UP, large
        assert total(card, "copied_bytes", (1, 3)) <= 20 * total(card, "chains", (1, 3))
        print(f"# {large} large packets, {seen['device', card, 'tx_frames']} frames for {UP >> 20} MiB; disk p50 "
              f"{seen['queue', disk + '.0', 'latency_p50_ns'] // 1000} us, p99 "
              f"{seen['queue', disk + '.0', 'latency_p99_ns'] // 1000} us", flush=True)

tap.finish()
