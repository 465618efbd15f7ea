#!/usr/bin/env python3
"""The user-mode network of a real guest: DHCP, names, the host's servers, the guest's own through forwarded
ports, many connections at a time, and what must not be reachable."""

import concurrent.futures
import contextlib
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import threading

import debian
import vm
from tap import Skip, Tap

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
BODY = os.urandom(10 * MIB)
MANY = 50
NAME, ADDRESS = "a.name.vireo.test", "192.0.2.77"
INSIDE = "in-namespaces"

SCRIPT = r"""
. /test/lib.sh
export PYTHONDONTWRITEBYTECODE=1
dhcp() {
    ip link set lo up
    ip link set $1 up
    busybox udhcpc -i $1 -n -q -t 20 -T 1 -s /test/netup
    ip -c=never -4 addr show dev $1
    cat /sys/class/net/$1/address
}
routes() {
    ip -c=never route
    cat /etc/resolv.conf
}
download() {
    curl -sS --noproxy '*' http://10.0.2.2:$HTTP/file >/tmp/got || return 1
    sha256sum </tmp/got
    busybox wget -q -O - http://10.0.2.2:$HTTP/file | sha256sum
}
upload() {
    sha256sum </tmp/got
    curl -sS --noproxy '*' -X POST --data-binary @/tmp/got http://10.0.2.2:$HTTP/up
}
pings() {
    ping -c 3 -W 10 -s 1000 10.0.2.2
}
restricted() { # the second card's network leads nowhere
    ! curl -sS --noproxy '*' --connect-timeout 3 --interface eth1 http://10.9.0.2:$HTTP/file -o /tmp/leak || return 1
    [ ! -s /tmp/leak ]
}
section dhcp dhcp eth0
section routes routes
section download download
section upload upload
rm -f /tmp/got
section pings pings
section parallel python3 /test/peer.py parallel $ECHO $MANY 30000
section datagrams python3 /test/peer.py datagrams $UDP
section refused python3 /test/peer.py refused $CLOSED
section dhcp1 dhcp eth1
section restricted restricted
section serve python3 /test/peer.py serve 7 7
"""

NAMES = r"""
. /test/lib.sh
section dhcp /sbin/netup start
section found nslookup $NAME
section missing nslookup missing.vireo.test
"""


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_POST(self):
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"host got {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while got := self.request.recv(65536):
            self.request.sendall(got)


class EchoUdp(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(server):
    """Runs @server on a thread; gives its port."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(port, data):
    """What comes back from a forwarded port, until the guest has said all."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        sender.start()
        got = bytearray()
        while part := s.recv(65536):
            got += part
        sender.join()
        return bytes(got)


def ask(port, data):
    """The answer to a datagram sent to a forwarded port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(5)
        for _ in range(6):
            s.send(data)
            with contextlib.suppress(TimeoutError):
                return s.recv(65536)
        raise AssertionError("no answer through the forwarded UDP port")


def name_server(sock):
    """Knows one name."""
    while True:
        query, sender = sock.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[end - 4:end - 2])[0]
        known = ".".join(labels).lower() == NAME
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(ADDRESS)
        count = int(known and kind == 1)
        sock.sendto(query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, count, 0, 0) + query[12:end] +
                    answer * count, sender)


def with_names(folder, command):
    """Runs @command where resolv.conf names a name server of ours: in namespaces, which not every host permits."""
    conf = pathlib.Path(folder) / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    setup = f"mount --bind {conf} /etc/resolv.conf && ip link set lo up"
    for need in ("unshare", "ip", "mount"):
        if not shutil.which(need):
            raise Skip(f"the host has no {need}")
    done = subprocess.run(["unshare", "-rmn", "sh", "-c", setup], stderr=subprocess.PIPE)
    if done.returncode:
        raise Skip(f"no namespaces here: {done.stderr.decode().strip()}")
    again = f'{setup} && exec "$@"'
    return debian.run("unshare", "-rmn", "sh", "-c", again, "sh", sys.executable, __file__, INSIDE, *command,
                      timeout=240).decode(errors="replace").replace("\r", "")


def inside(command):
    """In the namespaces: name server and @command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 53))
        threading.Thread(target=name_server, args=[sock], daemon=True).start()
        sys.exit(subprocess.run(command, stdin=subprocess.DEVNULL, timeout=220).returncode)


def main():
    tap = Tap()
    files = {"netup": (vm.ROOT / "tools/guest/netup").read_bytes(), "peer.py": (HERE / "programs/peer.py").read_bytes()}
    forward, forward_udp, hidden = free_port(), free_port(socket.SOCK_DGRAM), free_port()
    with contextlib.ExitStack() as stack:
        tmp = stack.enter_context(debian.scratch())
        ports = {
            "HTTP": stack.enter_context(serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files))),
            "ECHO": stack.enter_context(serving(TcpServer(("127.0.0.1", 0), Echo))),
            "UDP": stack.enter_context(serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), EchoUdp))),
            "CLOSED": free_port(),
            "MANY": MANY,
        }
        script = "".join(f"{key}={value}\n" for key, value in ports.items()) + SCRIPT
        disk = debian.copy(tmp)
        nets = ["--net", f"user,mac=52:54:00:76:69:72,hostfwd=tcp:127.0.0.1:{forward}-:7,"
                         f"hostfwd=udp:127.0.0.1:{forward_udp}-:7",
                "--io-threads", "3",  # each card's network on one of its own
                "--net", f"user,iothread=1,restrict,net=10.9.0.0/24,hostfwd=tcp:127.0.0.1:{hidden}-:7"]

        with vm.Vm(*debian.machine(tmp, script, files), "--disk", disk, *nets) as guest:
            with tap.test("a guest with two cards starts its servers"):
                guest.expect("serving\n")

            with tap.test("a forwarded port reaches the guest: 2 MB there and back"):
                data = BODY[:2 * MIB]
                assert call(forward, data) == data

            with tap.test(f"{MANY} connections at a time into the guest"):
                with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
                    parts = [BODY[i * 20000:(i + 1) * 20000] for i in range(MANY)]
                    assert list(pool.map(call, [forward] * MANY, parts)) == parts

            with tap.test("a forwarded UDP port"):
                for length in (1, 100, 1400):
                    assert ask(forward_udp, BODY[:length]) == BODY[:length], length

            with tap.test("a forwarded port of a restricted network"):
                assert call(hidden, BODY[:5000]) == BODY[:5000]

            with tap.test("it powers off when told to"):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(b"quit", ("127.0.0.1", forward_udp))
                done = debian.Done(guest)
                done.healthy()
                assert f"connections {MANY + 2}\n" in done.check("serve"), done.check("serve")

        digest = hashlib.sha256(BODY).hexdigest()
        with tap.test("DHCP gives address, route and name server"):
            output = done.check("dhcp")
            assert "inet 10.0.2.15/24" in output and "52:54:00:76:69:72" in output, output
            output = done.check("routes")
            assert "default via 10.0.2.2 dev eth0" in output and "nameserver 10.0.2.3" in output, output

        with tap.test("10 MB from the host's HTTP server, byte for byte, with curl and wget"):
            assert done.check("download") == f"{digest}  -\n" * 2, done.check("download")

        with tap.test("10 MB to the host's HTTP server"):
            assert done.check("upload").endswith(f"host got {len(BODY)} {digest}\n"), done.check("upload")

        with tap.test("the gateway answers pings"):
            assert "3 packets transmitted, 3 received" in done.check("pings")

        with tap.test(f"{MANY} connections at a time out of the guest"):
            assert done.check("parallel") == f"right {MANY}\n", done.check("parallel")

        with tap.test("datagrams of 1 to 8000 bytes"):
            assert done.check("datagrams").startswith("right 119 "), done.check("datagrams")

        with tap.test("a closed port of the host is closed"):
            assert done.check("refused") in ("refused\n", "closed\n"), done.check("refused")

        with tap.test("a second network of its own, which leads nowhere when restricted"):
            assert "inet 10.9.0.15/24" in done.check("dhcp1")
            done.check("restricted")

        with tap.test("names are resolved by the host's name server"):
            machine = debian.small_machine(tmp, NAMES.replace("$NAME", NAME))
            text = with_names(tmp, [vm.VIREO, "run", "--net", "user", *machine])
            found = debian.sections(text)
            assert found.keys() == {"dhcp", "found", "missing"}, text[-2000:]
            assert found["found"][0] == 0 and ADDRESS in found["found"][1], found
            assert found["missing"][0] != 0 and "NXDOMAIN" in found["missing"][1], found
    tap.finish()


if sys.argv[1:2] == [INSIDE]:
    inside(sys.argv[2:])
else:
    main()
