"""Free TCP ports, chosen below the kernel's range for outgoing connections, so that none is taken
between choosing and binding by somebody's client."""

import random
import socket

_first, _last = 10000, 32000
_taken = set()


def free_port():
    for _ in range(2000):
        port = random.randint(_first, _last)
        if port in _taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise RuntimeError("no free port found")


def free_ports(count):
    """`count` free ports in a row; returns the first."""
    for _ in range(200):
        first = free_port()
        row = range(first, first + count)
        if all(_is_free(port) for port in row[1:]):
            _taken.update(row)
            return first
    raise RuntimeError(f"no {count} free ports in a row found")


def _is_free(port):
    if port in _taken:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
