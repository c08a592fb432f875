"""A client's side of one connection, read strictly: a head, then a body as it comes."""

import re
import socket
import ssl
import struct

MOST_HEAD = 64 << 10


class Broken(Exception):
    """The connection ended where an answer had not; what() says how much of it had come."""


class Malformed(Exception):
    """The node sent what is no HTTP."""


class Head:
    def __init__(self, data):
        lines = data.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0])
        if not found:
            raise Malformed(f"status line {lines[0][:100]!r}")
        self.status, self.fields = int(found[1]), {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Malformed(f"field line {line[:100]!r}")
            name = name.lower()
            if name in ("content-length", "content-range", "x-serial", "etag") and name in self.fields:
                raise Malformed(f"{name} twice")
            self.fields[name] = value.strip()

    def field(self, name, default=None):
        return self.fields.get(name, default)

    def number(self, name):
        value = self.field(name)
        if value is None:
            return None
        if not re.fullmatch(r"\d+", value):
            raise Malformed(f"{name}: {value[:100]!r}")
        return int(value)


class Connection:
    def __init__(self, address, port, seconds, tls=None, name=None, receive_buffer=None):
        self.used = False
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(seconds)
        try:
            self._socket.connect((address, port))
            if tls:
                self._socket = tls.wrap_socket(self._socket, server_hostname=name)
        except OSError:
            self._socket.close()
            raise
        self._data = b""

    def close(self, reset=False):
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send(self, data):
        self._socket.sendall(data)

    def wait_at_most(self, seconds):
        self._socket.settimeout(seconds)

    def has_ended(self):
        """Whether the node closed it while it was idle."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        self._socket.setblocking(False)
        try:
            return self._socket.recv(1) is not None
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def _receive(self, most=256 << 10):
        try:
            return self._socket.recv(most)
        except ssl.SSLEOFError:  # an end without close_notify
            return b""

    def head(self):
        while b"\r\n\r\n" not in self._data:
            piece = self._receive()
            if not piece:
                raise Broken("before the head" if not self._data else "in the head")
            self._data += piece
            if len(self._data) > MOST_HEAD and b"\r\n\r\n" not in self._data:
                raise Malformed("no end of the head")
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        return Head(head)

    def _read(self, most):
        if not self._data:
            self._data = self._receive()
            if not self._data:
                raise Broken("in the body")
        piece, self._data = self._data[:most], self._data[most:]
        return piece

    def _line(self):
        while b"\r\n" not in self._data:
            if len(self._data) > 1000:
                raise Malformed("no end of a chunk's line")
            piece = self._receive()
            if not piece:
                raise Broken("in the body")
            self._data += piece
        line, _, self._data = self._data.partition(b"\r\n")
        return line

    def body(self, head, most=256 << 10):
        """Its pieces; Broken when it is cut."""
        if head.field("transfer-encoding") == "chunked":
            if "content-length" in head.fields:
                raise Malformed("Content-Length beside Transfer-Encoding")
            yield from self._chunks(most)
            return
        left = head.number("content-length")
        if left is None:
            raise Malformed("neither a length nor chunks")
        while left:
            piece = self._read(min(left, most))
            left -= len(piece)
            yield piece

    def _chunks(self, most):
        while True:
            line = self._line()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", line):
                raise Malformed(f"chunk size {line[:50]!r}")
            left = int(line, 16)
            if left == 0:
                if self._line():
                    raise Malformed("trailers")
                return
            while left:
                piece = self._read(min(left, most))
                left -= len(piece)
                yield piece
            if self._line():
                raise Malformed("a chunk is longer than its size")
