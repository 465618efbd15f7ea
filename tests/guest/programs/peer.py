"""The guest's end of the network test: `peer.py PART ARGUMENT...`; says what it found, and fails if it is wrong."""
import hashlib
import os
import selectors
import socket
import sys

HOST = "10.0.2.2"


def pattern(seed, length):
    """Bytes that name themselves: what is lost, doubled or out of place shows."""
    block = hashlib.sha256(b"%d" % seed).digest()
    return (block * (length // 32 + 1))[:length]


def parallel(port, count, length):
    """@count connections at a time to the host's echo server, each with bytes of its own."""
    sel = selectors.DefaultSelector()
    todo = {}
    for i in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((HOST, port))
        todo[s] = [pattern(i, length), 0, b""]
        sel.register(s, selectors.EVENT_WRITE | selectors.EVENT_READ)
    right = 0
    while todo:
        events = sel.select(60)
        assert events, f"{len(todo)} connections stand still"
        for key, mask in events:
            s, state = key.fileobj, todo[key.fileobj]
            if mask & selectors.EVENT_WRITE:
                state[1] += s.send(state[0][state[1]:state[1] + 4096])
                if state[1] == length:
                    s.shutdown(socket.SHUT_WR)
                    sel.modify(s, selectors.EVENT_READ)
            if mask & selectors.EVENT_READ:
                got = s.recv(65536)
                state[2] += got
                if not got:
                    right += state[2] == state[0]
                    sel.unregister(s)
                    s.close()
                    del todo[s]
    print("right", right)


def datagrams(port):
    """Datagrams of all sizes, also such as need several packets, are answered by the host's echo server."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    right = lost = 0
    for i, length in enumerate([*range(1, 1473, 13), 1472, 1473, 2000, 4000, 8000]):
        data = pattern(i, length)
        for _ in range(4):
            s.sendto(data, (HOST, port))
            try:
                got, sender = s.recvfrom(65536)
            except TimeoutError:
                lost += 1
                continue
            assert got == data and sender == (HOST, port), (length, len(got), sender)
            right += 1
            break
        else:
            sys.exit(f"no answer to {length} bytes")
    print("right", right, "repeated", lost)


def refused(port):
    """Nobody listens there on the host: the connection fails at once."""
    s = socket.socket()
    s.settimeout(20)
    try:
        s.connect((HOST, port))
        # User-mode networks may accept first; then the end comes at once.
        print("closed" if s.recv(1) == b"" else "open")
    except (ConnectionRefusedError, ConnectionResetError):
        print("refused")


def serve(tcp_port, udp_port):
    """Echoes to connections and datagrams from the host until one says quit."""
    sel = selectors.DefaultSelector()
    listener = socket.create_server(("0.0.0.0", tcp_port), backlog=128)
    listener.setblocking(False)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", udp_port))
    sel.register(listener, selectors.EVENT_READ)
    sel.register(udp, selectors.EVENT_READ)
    waiting = {}
    connections = 0
    print("serving", flush=True)
    while True:
        for key, mask in sel.select():
            s = key.fileobj
            if s is listener:
                one, _ = s.accept()
                one.setblocking(False)
                waiting[one] = [b"", False]
                sel.register(one, selectors.EVENT_READ)
                connections += 1
            elif s is udp:
                data, sender = s.recvfrom(65536)
                if data == b"quit":
                    print("connections", connections)
                    return
                s.sendto(data, sender)
            else:
                state = waiting[s]
                if mask & selectors.EVENT_READ:
                    got = s.recv(65536)
                    state[0] += got
                    state[1] = state[1] or not got
                if mask & selectors.EVENT_WRITE:
                    state[0] = state[0][s.send(state[0]):]
                if state[1] and not state[0]:
                    sel.unregister(s)
                    s.close()
                    del waiting[s]
                else:
                    want = 0 if state[1] or len(state[0]) > 1 << 20 else selectors.EVENT_READ
                    sel.modify(s, want | (selectors.EVENT_WRITE if state[0] else 0) or selectors.EVENT_READ)


os.chdir("/tmp")
globals()[sys.argv[1]](*map(int, sys.argv[2:]))
