"""An origin that misbehaves on purpose: a test says, request by request, which bytes it sends."""

import re
import socket
import struct
import threading

from support.ports import free_port


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.path, _, self.query = self.target.partition("?")
        self.fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if ":" in line]

    def field(self, name):
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        return found[-1] if found else None

    @property
    def range(self):
        """(first, last) of a Range, last None when open; None without one."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.field("Range") or "")
        return (int(found[1]), int(found[2]) if found[2] else None) if found else None


class Connection:
    """What a script does with a request; counts what it sends."""

    def __init__(self, client, stopping):
        self._client, self._stopping = client, stopping
        self.sent = 0

    def send(self, data):
        self._client.sendall(data)
        self.sent += len(data)

    def head(self, status, reason="OK", **fields):
        """A head; `content_length=3` becomes Content-Length: 3."""
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in fields.items() if value is not None]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def answer(self, body, **fields):
        """A whole 200."""
        self.head(200, content_length=len(body), **fields)
        self.send(body)

    def reset(self):
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    def close(self):
        raise ConnectionAbortedError

    def hold(self):
        """Sends nothing more until the test is over."""
        self._stopping.wait()
        raise ConnectionAbortedError


class MisbehavingOrigin:
    """`scripts[path] = function(request, connection)`; a script that returns keeps the connection."""

    def __init__(self, address="127.0.0.1"):
        self.address, self.port = address, free_port()
        self.scripts, self.requests = {}, []
        self.lock = threading.Lock()
        self.active = self.most_active = 0
        self._stopping = threading.Event()
        self._listener = socket.create_server((address, self.port), backlog=512)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def of(self, path):
        """The requests for that path so far."""
        with self.lock:
            return [request for request in self.requests if request.path == path]

    def sent(self, path):
        """Bytes sent for that path, heads included."""
        return sum(request.sent() for request in self.of(path))

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection, received = Connection(client, self._stopping), b""
        with client:
            try:
                while True:
                    while b"\r\n\r\n" not in received:
                        part = client.recv(65536)
                        if not part:
                            return
                        received += part
                    head, _, received = received.partition(b"\r\n\r\n")
                    request = Request(head)
                    before = connection.sent
                    request.sent = lambda before=before: connection.sent - before
                    with self.lock:
                        self.requests.append(request)
                        self.active += 1
                        self.most_active = max(self.most_active, self.active)
                    try:
                        self.scripts[request.path](request, connection)
                    finally:
                        sent = connection.sent - before
                        request.sent = lambda sent=sent: sent
                        with self.lock:
                            self.active -= 1
            except (OSError, KeyError):
                return
