"""The two ends of a connection over which nothing may be lost, doubled or changed: `stream.py echo PORT` gives back what
comes, block by block, and checks it; `stream.py send HOST PORT STATE` sends blocks of all sizes and checks what comes back,
and keeps in STATE what it has done so far, until a file STATE.end is there."""

import os
import random
import socket
import struct
import sys
import time
import zlib

HEAD = struct.Struct("!QII")  # number, length, CRC-32
AHEAD = 8  # blocks that are on their way
STALLED_S = 60


def take(sock, count):
    data = bytearray()
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, "the other side has hung up"
        data += more
    return bytes(data)


def block(sock, number):
    """Block @number, which has to be the next one, and whole."""
    head = take(sock, HEAD.size)
    got, length, crc = HEAD.unpack(head)
    assert got == number, f"block {got} where {number} was due"
    data = take(sock, length)
    assert zlib.crc32(data) == crc, f"block {number} is damaged"
    return head + data


def echo(port):
    with socket.create_server(("", port)) as server:
        sock, _ = server.accept()
    sock.settimeout(STALLED_S)
    number = total = 0
    while (data := block(sock, number))[HEAD.size:]:  # an empty one is the last
        sock.sendall(data)
        number += 1
        total += len(data)
    sock.sendall(data)
    print(f"echoed {number} blocks, {total} bytes", flush=True)


def send(host, port, state):
    rng = random.Random(1)
    stuff = rng.randbytes(1 << 18)
    sock = socket.create_connection((host, port), timeout=STALLED_S)
    sent, back, total, worst, last = [], 0, 0, 0.0, time.monotonic()
    number = 0
    while True:
        end = os.path.exists(state + ".end")
        while len(sent) < AHEAD and not end:
            at, length = rng.randrange(1 << 17), rng.choice((1, 100, 1448, 9000, rng.randrange(1, 1 << 16)))
            data = stuff[at:at + length]
            sent.append(data)
            sock.sendall(HEAD.pack(number, len(data), zlib.crc32(data)) + data)
            number += 1
        if not sent:
            break
        came = block(sock, back)
        assert came[HEAD.size:] == sent.pop(0), f"block {back} came back changed"
        now = time.monotonic()
        worst, last = max(worst, now - last), now
        back += 1
        total += len(came)
        with open(state + ".new", "w") as f:
            f.write(f"{back} {total} {worst * 1000:.0f}\n")
        os.replace(state + ".new", state)
        time.sleep(0.002)  # others want the processor, too
    sock.sendall(HEAD.pack(number, 0, 0))
    assert block(sock, number)[HEAD.size:] == b""
    print(f"sent {number} blocks", flush=True)


if sys.argv[1] == "echo":
    echo(int(sys.argv[2]))
else:
    send(sys.argv[2], int(sys.argv[3]), sys.argv[4])
