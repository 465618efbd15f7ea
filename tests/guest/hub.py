"""A switch for networks of tests: machines connect to its UNIX socket (`--net stream,path=`), it learns who is where and
carries frames between them. What a port does not take in time it loses, as switches do."""

import os
import selectors
import socket
import struct
import threading

QUEUE = 4 << 20  # bytes that wait for a port


class Port:
    def __init__(self, sock):
        self.sock, self.came, self.waits = sock, bytearray(), bytearray()


class Hub:
    """.path: where to connect. .learned counts by address how often it changed its port."""

    def __init__(self, path):
        self.path = path
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(16)
        self.select = selectors.DefaultSelector()
        self.select.register(self.server, selectors.EVENT_READ)
        self.wake, self.ending = os.pipe()
        self.select.register(self.wake, selectors.EVENT_READ)
        self.ports, self.where, self.learned, self.lost = [], {}, {}, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.ending)
        self.thread.join()
        for port in list(self.ports):
            self.drop(port)
        self.server.close()
        self.select.close()
        os.close(self.wake)

    def drop(self, port):
        if port in self.ports:
            self.ports.remove(port)
            self.select.unregister(port.sock)
            port.sock.close()
            self.where = {mac: at for mac, at in self.where.items() if at is not port}

    def put(self, port, frame):
        if len(port.waits) + len(frame) > QUEUE:
            self.lost += 1
            return
        if not port.waits:
            self.select.modify(port.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, port)
        port.waits += struct.pack("!I", len(frame)) + frame

    def carry(self, port, frame):
        to, source = frame[:6], frame[6:12]
        if self.where.get(source) is not port:
            self.where[source] = port
            self.learned[source] = self.learned.get(source, 0) + 1
        known = None if to[0] & 1 else self.where.get(to)
        for other in [known] if known else self.ports:
            if other is not port:
                self.put(other, frame)

    def read(self, port):
        try:
            data = port.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(port)
            return
        port.came += data
        while len(port.came) >= 4:
            end = 4 + struct.unpack_from("!I", port.came)[0]
            if len(port.came) < end:
                break
            self.carry(port, bytes(port.came[4:end]))
            del port.came[:end]

    def write(self, port):
        try:
            del port.waits[:port.sock.send(port.waits)]
        except BlockingIOError:
            return
        except OSError:
            self.drop(port)
            return
        if not port.waits:
            self.select.modify(port.sock, selectors.EVENT_READ, port)

    def run(self):
        while True:
            for key, events in self.select.select():
                if key.fileobj == self.wake:
                    return
                if key.fileobj is self.server:
                    sock, _ = self.server.accept()
                    sock.setblocking(False)
                    self.ports.append(Port(sock))
                    self.select.register(sock, selectors.EVENT_READ, self.ports[-1])
                    continue
                if events & selectors.EVENT_WRITE and key.data in self.ports:
                    self.write(key.data)
                if events & selectors.EVENT_READ and key.data in self.ports:
                    self.read(key.data)
