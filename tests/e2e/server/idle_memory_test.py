"""A fleet's idle connections are many: each costs a node no more than 2 KiB of its own memory."""

import pathlib
import re
import socket
import statistics

BATCH = 500
REQUEST = b"GET /idle.bin HTTP/1.1\r\nHost: packages.test\r\n\r\n"


def anonymous_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1]) * 1024


def connected(node, count):
    """Connections that have each had one answer."""
    connections = []
    for _ in range(count):
        connection = socket.create_connection((node.address, node.http_port), 10)
        connection.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"idle bytes"):
            answer += connection.recv(4096)
        connections.append(connection)
    return connections


def test_idle_connection_costs_at_most_2_kib(node, origin):
    origin.write("idle.bin", b"idle bytes")
    assert node.get("/idle.bin").status == 200
    node.wait_until_stored()
    held = connected(node, 100)  # what only the first ones bring into memory
    grown = []
    for _ in range(5):
        before = anonymous_bytes(node.program.pid)
        held += connected(node, BATCH)
        grown.append(anonymous_bytes(node.program.pid) - before)
    for connection in held:
        connection.close()
    # Threads that serve no connection come into memory in leaps of their own: the median leaves them out.
    assert statistics.median(grown) <= BATCH * 2048
