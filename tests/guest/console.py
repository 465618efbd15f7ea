#!/usr/bin/env python3
"""Consoles and random numbers: the serial port under loads that lose nothing, a virtio console and its second port
with data both ways, virtio-rng."""

import contextlib
import hashlib
import pathlib
import random
import re
import socket
import threading

import debian
import vm
from tap import Tap

IN_BYTES, SEQ, PORT_BYTES = 1_000_000, 730_000, 2_000_000  # seq writes some 5 MB

SCRIPT = r"""
. /test/lib.sh
input() {
    stty raw -echo crtscts </dev/console # Linux keeps 640 KB for a reader that is late, then it drops
    echo "host: send"
    sleep 3 # a reader that is late
    head -c $IN_BYTES </dev/console | sha256sum
    stty sane </dev/console
}
output() {
    seq 1 $SEQ >/tmp/seq
    stty raw -echo </dev/console
    cat /tmp/seq
    stty sane </dev/console
    rm /tmp/seq
}
ports() {
    mkdir /dev/virtio-ports # what udev does
    for port in /sys/class/virtio-ports/*; do
        [ ! -s $port/name ] || ln -s /dev/${port##*/} "/dev/virtio-ports/$(cat $port/name)"
    done
    ls /dev | grep -E 'hvc[0-9]|vport'
    ls /dev/virtio-ports
}
shell_on_hvc() {
    setsid sh -c 'exec sh -i </dev/hvc1 >/dev/hvc1 2>&1' &
    setsid sh -c 'exec sh -i </dev/hvc0 >/dev/hvc0 2>&1'
    wait
}
raw_hvc() {
    exec 3<>/dev/hvc0
    stty raw -echo <&3 # lasts while it is open
    echo "host: hvc raw"
    head -c $PORT_BYTES <&3 | tee /tmp/hvc | sha256sum
    cat /tmp/hvc >&3
    head -c 1 <&3 | wc -c
}
echo_port() {
    exec 3<>/dev/virtio-ports/org.vireo.test
    echo "host: port open"
    head -c $PORT_BYTES <&3 | tee /tmp/got >&3
    sha256sum </tmp/got
    head -c 1 <&3 | wc -c
    echo "host: port end"
    cat <&3 | wc -c
}
rng() {
    cat /sys/class/misc/hw_random/rng_current
    head -c 65536 /dev/hwrng >/tmp/rng1
    head -c 65536 /dev/hwrng >/tmp/rng2
    cmp -s /tmp/rng1 /tmp/rng2 && echo same
    hexdump -v -e '1/1 "%u\n"' /tmp/rng1 | sort -n | uniq -c | sort -n | awk 'NR == 1 {low = $1} {n++; high = $1}
        END {print "values", n, "least", low, "most", high}'
    gzip -9 </tmp/rng1 | wc -c
}
section rng rng
section output output
section ports ports
section hvc shell_on_hvc
section raw raw_hvc
section port echo_port
section input input
"""

SLOW_RNG = """
. /test/lib.sh
section rng sh -c 'head -c 512 /dev/hwrng >/tmp/all; read a b </proc/uptime; head -c 3072 /dev/hwrng | wc -c; read c d </proc/uptime; echo $a $c'
"""

NO_RNG = """
. /test/lib.sh
section rng sh -c 'cat /sys/class/misc/hw_random/rng_current; ls /sys/bus/virtio/devices'
"""


class Line:
    """The host's end of a console that is a unix socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(180)
        self.sock.connect(str(path))
        self.got = b""

    def expect(self, what):
        while what not in self.got:
            part = self.sock.recv(65536)
            assert part, f"the console ended after {self.got[-500:]!r}"
            self.got += part
        before, _, self.got = self.got.partition(what)
        return before

    def exchange(self, data, length):
        """Sends @data while it receives @length bytes."""
        sender = threading.Thread(target=self.sock.sendall, args=[data])
        sender.start()
        while len(self.got) < length:
            part = self.sock.recv(65536)
            assert part, f"the console ended after {len(self.got)} bytes"
            self.got += part
        sender.join()
        got, self.got = self.got[:length], self.got[length:]
        return got


def first_difference(got, want):
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"{len(got)} of {len(want)} bytes; at {at}: {got[at:at + 40]!r}, not {want[at:at + 40]!r}"


tap = Tap()
with contextlib.ExitStack() as stack:
    tmp = pathlib.Path(stack.enter_context(debian.scratch()))
    sizes = f"IN_BYTES={IN_BYTES}\nSEQ={SEQ}\nPORT_BYTES={PORT_BYTES}\n"
    hvc, port, second = tmp / "hvc", tmp / "port", tmp / "second"
    rng = random.Random(2)
    data = rng.randbytes(PORT_BYTES)
    args = [*debian.small_machine(tmp, sizes + SCRIPT), "--virtio-console", f"unix:{hvc}", "--virtio-console",
            f"unix:{port},name=org.vireo.test", "--virtio-console", f"unix:{second}", "-c", 2]
    guest = stack.enter_context(vm.Vm(*args))

    with tap.test("5 MB to the serial port"):
        start = guest.expect("=== output\n")
        end = guest.expect("=== output: exit 0 at ", start) - len("=== output: exit 0 at ")
        got, want = guest.text[start:end], "".join(f"{i}\n" for i in range(1, SEQ + 1))
        assert got == want, first_difference(got, want)

    console, line, other = Line(hvc), Line(port), Line(second)  # a guest's read ends at once while nobody is at the host end of a port
    with tap.test("a shell on hvc0, and one on hvc1"):
        guest.expect("=== hvc\n")
        other.sock.sendall(b"\n")
        other.expect(b"# ")
        other.sock.sendall(b"tty; echo $((6 * 9))-answers; exit\n")
        other.expect(b"/dev/hvc1\r\n")
        other.expect(b"54-answers\r\n")
        console.sock.sendall(b"\n")
        console.expect(b"# ")
        console.sock.sendall(b"tty; echo $((6 * 7))-answers\n")
        console.expect(b"/dev/hvc0\r\n")
        console.expect(b"42-answers\r\n")
        console.sock.sendall(b"seq 1 20000; exit\n")
        text = console.expect(b"\r\n20000\r\n")
        assert text.split(b"\r\n")[-3:] == [b"19997", b"19998", b"19999"], text[-100:]

    with tap.test("2 MB into hvc0 and back"):
        guest.expect("host: hvc raw\n")
        console.got = b""
        got = console.exchange(data, PORT_BYTES)
        assert got == data, first_difference(got, data)
        console.sock.sendall(b"x")
        guest.expect(hashlib.sha256(data).hexdigest())

    with tap.test("2 MB into the named port and back"):
        guest.expect("host: port open\n")
        got = line.exchange(data, PORT_BYTES)
        assert got == data, first_difference(got, data)
        line.sock.sendall(b"x")
        at = guest.expect("host: port end\n")

    with tap.test("the guest sees that the host end of a port went away"):
        line.sock.sendall(b"12345")
        line.sock.close()
        guest.expect("\n5\n=== port: exit 0 ", at - 1)

    with tap.test("1 MB into the serial port, with no byte lost"):
        guest.expect("host: send\n")
        data = rng.randbytes(IN_BYTES)
        guest.process.stdin.write(data)
        guest.process.stdin.flush()
        guest.expect("=== input: exit 0 ")
        assert hashlib.sha256(data).hexdigest() in guest.text, guest.text[-500:]

    done = debian.Done(guest)
    with tap.test("the guest ends well"):
        assert done.code == 0 and "vireo.run: exit 0" in done.text, (done.code, done.text[-2000:], done.errors)

    with tap.test("the console's ports have their names"):
        want = r"^hvc0\n(.*\n)*vport\dp0\nvport\dp1\nvport\dp2\norg.vireo.test\n$"
        assert re.search(want, done.check("ports")), done.check("ports")

    with tap.test("virtio-rng feeds /dev/hwrng with what looks random"):
        lines = done.check("rng").split("\n")
        assert lines[0].startswith("virtio_rng") and "same" not in lines, lines
        _, values, _, least, _, most = lines[1].split()
        assert int(values) == 256 and int(least) > 150 and int(most) < 370, lines  # 256 expected, 16 the deviation
        assert int(lines[2]) >= 65536, lines

    with tap.test("virtio-rng with a rate gives no more than that"):
        last = debian.boot(*debian.small_machine(tmp, SLOW_RNG), "--rng", "rate=1K", "--net", "none", stdin=False)
        count, times = last.check("rng").splitlines()
        begin, end = map(float, times.split())
        assert int(count) == 3072 and 1.5 < end - begin < 20, (count, times)  # a second's worth may be there already

    with tap.test("without virtio-rng there is none"):
        last = debian.boot(*debian.small_machine(tmp, NO_RNG), "--rng", "off", "--net", "none", stdin=False)
        assert last.check("rng") == "none\n", last.check("rng")

tap.finish()
