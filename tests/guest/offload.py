#!/usr/bin/env python3
"""Datagrams that Debian's stock kernel leaves to the card to cut (UDP_SEGMENT, HOST_USO) and to sum (CSUM), on a host end
that takes plain frames (`--net stream`): each frame is parsed here, down to its checksums. Linux has to be told to use
HOST_USO (ethtool -K eth0 tx-udp-segmentation on); else it cuts them itself."""

import os
import pathlib
import socket
import struct
import tempfile

import debian
import vm
from tap import Tap

HERE = pathlib.Path(__file__).resolve().parent
HOST_USO, CSUM, PORT = 56, 0, 4000
# Bytes of a datagram (0: an ordinary one) and in all: exact, with a rest, as many as there may be, tiny, as large as can be.
CASES = [(0, 1), (0, 1000), (1000, 3000), (1452, 4000), (512, 128 * 512 - 100), (100, 12800), (1, 10), (1400, 65000)]
TARGETS = {4: "10.7.0.255", 6: "ff02::1%eth0"}

SCRIPT = r"""
. /test/lib.sh
features() { for d in /sys/bus/virtio/devices/*; do echo "$(cat $d/device) $(cat $d/features)"; done; }
net() {
    echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
    ip addr add 10.7.0.2/24 broadcast 10.7.0.255 dev eth0
    ip link set eth0 up
    /test/segments eth0 tx-udp-segmentation || return
    until ip -6 addr show dev eth0 | grep -q 'inet6 fe80'; do usleep 20000; done
}
section features features
section net net
section send sh -ec '@SEND@'
echo "host: sent"
read -r answer </dev/console
"""


def sent(total):
    """What programs/segments.c sends."""
    return bytes((i * 7 + i // 251) & 0xff for i in range(total))


def add(data):
    """The Internet checksum's sum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def datagram(frame):
    """(version, identification, port, payload) of @frame, with every length and sum right; None: it has none for us."""
    kind, ip = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if kind == 0x0800 and ip[9] == 17:
        version, head = 4, (ip[0] & 15) * 4
        assert struct.unpack("!H", ip[2:4])[0] == len(ip), "IPv4: total length"
        assert add(ip[:head]) == 0xffff, "IPv4: header checksum"
        assert struct.unpack("!H", ip[6:8])[0] & 0x3fff == 0, "a fragment"
        addresses, ident = ip[12:20], struct.unpack("!H", ip[4:6])[0]
    elif kind == 0x86dd and ip[6] == 17:
        version, head, addresses, ident = 6, 40, ip[8:40], None
        assert struct.unpack("!H", ip[4:6])[0] == len(ip) - 40, "IPv6: payload length"
    else:
        return None
    udp = ip[head:]
    _, port, length, check = struct.unpack("!4H", udp[:8])
    if not PORT <= port < PORT + len(CASES):
        return None
    assert length == len(udp), "UDP: length"
    assert check != 0 and add(addresses + struct.pack("!HH", 17, length) + udp) == 0xffff, "UDP: checksum"
    return version, ident, port, udp[8:]


def frames(sock, count):
    """The next @count datagrams from the stream."""
    got, data = [], b""
    while len(got) < count:
        part = sock.recv(1 << 18)
        assert part, "the machine hung up"
        data += part
        while len(data) >= 4 and len(data) >= 4 + (length := struct.unpack("!I", data[:4])[0]):
            if (one := datagram(data[4:4 + length])) is not None:
                got.append(one)
            data = data[4 + length:]
    return got


def pieces(size, total):
    return [total] if size == 0 else [size] * (total // size) + [total % size] * (total % size > 0)


tap = Tap()
with tempfile.TemporaryDirectory(prefix="vireo-offload.") as tmp:
    program = pathlib.Path(tmp) / "segments"
    debian.run("riscv64-linux-gnu-gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-static", "-o", program,
               HERE / "programs/segments.c")
    send = "; ".join(f"/test/segments {to} {PORT + i} {size} {total}" for to in TARGETS.values()
                     for i, (size, total) in enumerate(CASES))
    machine = debian.small_machine(tmp, SCRIPT.replace("@SEND@", send), {"segments": program.read_bytes()},
                                   modules="virtio_net")
    name = f"offload-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp}/switch")
        server.listen(1)
        server.settimeout(120)
        with vm.Vm(*machine, "--name", name, "--rng", "off", "--net", f"stream,path={tmp}/switch") as guest:
            sock, _ = server.accept()
            sock.settimeout(120)
            want = [(version, PORT + i, length) for version in TARGETS for i, case in enumerate(CASES)
                    for length in pieces(*case)]
            with sock, tap.test("every datagram arrives as a frame that is right in itself, in order"):
                got = frames(sock, len(want))
                assert [(version, port, len(body)) for version, _, port, body in got] == want
            with tap.test("together they say what was sent"):
                for version in TARGETS:
                    for i, (size, total) in enumerate(CASES):
                        body = b"".join(one[3] for one in got if one[0] == version and one[2] == PORT + i)
                        assert body == sent(total), (version, size, total)
            with tap.test("IPv4 datagrams of one packet are numbered one after the other"):
                for i in range(len(CASES)):
                    numbers = [one[1] for one in got if one[0] == 4 and one[2] == PORT + i]
                    assert numbers == [(numbers[0] + k) & 0xffff for k in range(len(numbers))], numbers
            guest.expect("host: sent\n")
            seen = vm.counters(name)
            guest.send("\n")
            done = debian.Done(guest)
    with tap.test("it was the card that cut and summed them, not the guest"):
        done.check("net")
        card = next(line.split()[1] for line in done.check("features").splitlines() if line.startswith("0x0001 "))
        assert {HOST_USO, CSUM} <= vm.bits(card), card
        assert done.check("send").count("sent ") == len(TARGETS) * len(CASES), done.check("send")
        large = [case for case in CASES if case[0]]
        assert seen["device", "net0", "tx_large"] == len(TARGETS) * len(large), seen["device", "net0", "tx_large"]
        assert seen["device", "net0", "tx_segments"] == len(TARGETS) * sum(len(pieces(*case)) for case in large)
        assert seen["device", "net0", "tx_bad"] == 0 and seen["device", "net0", "tx_summed"] >= len(TARGETS)
    with tap.test("the guest ends well"):
        assert done.code == 0 and "vireo.run: exit 0" in done.text, (done.code, done.text[-2000:], done.errors)
tap.finish()
