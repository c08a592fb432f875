"""A TCP relay that keeps what its clients send: the raw bytes that reach a server."""

import contextlib
import socket
import threading


class Tap:
    """`with Tap(target) as tap:` and clients connect to tap.port. `tap.sent` has the bytes of each connection in the
    order in which they were opened; it may be read while connections are open."""

    def __init__(self, target, address="127.0.0.1"):
        self.target, self.sent = target, []
        self._listener = socket.create_server((address, 0), backlog=256)
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self.target)
                kept = bytearray()
                self.sent.append(kept)
                for source, sink, record in ((near, far, kept), (far, near, None)):
                    threading.Thread(target=_pump, args=(source, sink, record), daemon=True).start()


def _pump(source, sink, record):
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            if record is not None:
                record += piece
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
