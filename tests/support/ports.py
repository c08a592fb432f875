"""Free TCP ports, chosen below the kernel's range for outgoing connections, so that none is taken
between choosing and binding by somebody's client. Processes that share a run (pytest-xdist) choose from shares of
their own: a port that is free because its program is being restarted belongs to somebody all the same."""

import os
import random
import socket

_share = 22000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
_first = 10000 + _share * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_last = _first + _share - 1
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


def free_ports(count, offsets=None):
    """`count` free ports in a row, or those of them at `offsets`; returns the first."""
    for _ in range(200):
        first = free_port()
        row = [first + offset for offset in offsets or range(count)]
        if first + count - 1 <= _last and all(_is_free(port) for port in row if port != first):
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
