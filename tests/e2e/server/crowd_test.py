"""Many clients that are slow, silent or greedy, and one that is served as if they were not there.

LARDER_CROWD=1 runs the numbers that the product is made for: 1,000 slow readers, 10,000 half-open connections."""

import concurrent.futures
import contextlib
import os
import selectors
import socket
import ssl
import threading
import time

import pytest

from support.larder import Node, origin_table
from support.wait import wait_until

FULL = os.environ.get("LARDER_CROWD") == "1"


@pytest.fixture()
def crowded(tmp_path, origin, request):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], **getattr(request, "param", {})).start()
    yield node
    node.stop()


def connect(node, source="127.0.0.1", buffer=None, port=None):
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.bind((source, 0))
    connection.connect((node.address, port or node.http_port))
    return connection


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: packages.test\r\n\r\n".encode()


def served_meanwhile(node, path, body):
    began = time.monotonic()
    assert node.get(path).body == body
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("crowded", [{"header_timeout": "10s"}], indirect=True)
def test_half_open_connections_are_closed_and_others_served(crowded, origin):
    node = crowded
    count = 10_000 if FULL else 1_000
    body = origin.write("small.bin", 1000)
    crowd = [connect(node) for _ in range(count)]
    try:
        for number, connection in enumerate(crowd):
            if number % 2:
                connection.sendall(b"GET /fresh/small.bin HTTP/1.1\r\nHost: pack")
        wait_until(lambda: node.metric("larder_connections") >= count)
        served_meanwhile(node, "/fresh/small.bin", body)
        halves = crowd[1::2]
        wait_until(lambda: node.metric("larder_client_timeouts_total") >= len(halves))
        for connection in halves:
            connection.settimeout(20)
            assert connection.recv(100) == b""
        served_meanwhile(node, "/fresh/small.bin", body)
    finally:
        for connection in crowd:
            connection.close()
    wait_until(lambda: node.metric("larder_connections") <= 2)


@pytest.mark.parametrize("crowded", [{"write_timeout": "3s"}], indirect=True)
def test_stuck_readers_are_cut_slow_ones_are_not(crowded, origin):
    node = crowded
    count = 1_000 if FULL else 150
    body, small = origin.write("large.bin", 12 << 20), origin.write("small.bin", 1000)
    assert node.get("/fresh/large.bin").body == body
    stuck = [connect(node, buffer=4096) for _ in range(count)]
    slow = [connect(node, buffer=4096) for _ in range(20)]
    ended = threading.Event()
    broken = []

    def read_slowly():
        selector = selectors.DefaultSelector()
        for connection in slow:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        while not ended.wait(0.05):
            for key, _ in selector.select(0):
                try:
                    if not key.fileobj.recv(2000):
                        raise ConnectionResetError
                except ConnectionResetError as error:
                    broken.append(error)
                    selector.unregister(key.fileobj)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    try:
        for connection in stuck + slow:
            connection.sendall(get("/fresh/large.bin"))
        served_meanwhile(node, "/fresh/small.bin", small)
        wait_until(lambda: node.metric("larder_client_timeouts_total") >= count)
        served_meanwhile(node, "/fresh/small.bin", small)
        assert not broken
        assert node.metric("larder_connections") >= len(slow)
    finally:
        ended.set()
        reader.join()
        for connection in stuck + slow:
            connection.close()


@pytest.mark.parametrize("crowded", [{"write_timeout": "2s"}], indirect=True)
def test_readers_over_tls_are_judged_by_what_they_take(crowded, origin, authority):
    """What is sealed and waits for the socket is no more taken than what the kernel holds."""
    node = crowded
    body = origin.write("large.bin", 12 << 20)
    assert node.get("/fresh/large.bin").body == body
    node.serve_https(authority, dns=["node1.larder.test"], addresses=["127.0.0.1"])
    trust = ssl.create_default_context(cafile=authority.root)

    def open_tls():
        return trust.wrap_socket(connect(node, buffer=4096, port=node.https_port), server_hostname="node1.larder.test")

    def read_slowly(connection):
        received = 0
        while received < 600_000:
            piece = connection.recv(2000)
            if not piece:
                break
            received += len(piece)
            time.sleep(0.02)  # the client's pace
        connection.close()  # who keeps it and does not read is stuck as well
        return received

    stuck, slow = [open_tls() for _ in range(5)], [open_tls() for _ in range(10)]
    try:
        for connection in stuck + slow:
            connection.settimeout(20)
            connection.sendall(get("/fresh/large.bin"))
        with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
            received = list(pool.map(read_slowly, slow))
        assert min(received) >= 600_000
        wait_until(lambda: node.metric("larder_client_timeouts_total") >= len(stuck))
        assert node.metric("larder_client_timeouts_total") == len(stuck)
    finally:
        for connection in stuck + slow:
            connection.close()


@pytest.mark.parametrize("crowded", [{"max_connections_per_client": 20}], indirect=True)
def test_one_client_cannot_take_all_connections(crowded, origin):
    node = crowded
    body = origin.write("small.bin", 1000)
    greedy = [connect(node, source="127.0.0.9") for _ in range(60)]
    try:
        wait_until(lambda: node.metric("larder_connections_refused_total") >= 40)
        served_meanwhile(node, "/fresh/small.bin", body)
        assert node.metric("larder_connections") <= 30
    finally:
        for connection in greedy:
            connection.close()


@contextlib.contextmanager
def greedy(node, sources, path):
    """Connections from those addresses that ask for what has no end soon and read as fast as it comes; yields the bytes that
    each has got so far."""
    ended = threading.Event()
    connections = [connect(node, source=source) for source in sources]
    received = [0] * len(connections)

    def read(number):
        connections[number].settimeout(20)
        connections[number].sendall(get(path))
        while not ended.is_set():
            received[number] += len(connections[number].recv(1 << 16))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(len(connections))]
    for reader in readers:
        reader.start()
    try:
        wait_until(lambda: all(received))
        yield received
    finally:
        ended.set()
        for reader in readers:
            reader.join()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("crowded", [{"total_rate_limit": "16MB"}], indirect=True)
def test_clients_share_a_limit_whatever_connections_they_open(crowded, origin):
    node = crowded
    size = 24 << 20
    origin.write("endless.bin", 256 << 20)
    body = origin.write("shared.bin", size)
    assert node.get("/fresh/shared.bin").body == body
    with greedy(node, ["127.0.0.9"] * 8, "/fresh/endless.bin") as received:
        before = sum(received)
        with connect(node, source="127.0.0.10") as modest:
            modest.settimeout(30)
            modest.sendall(get("/fresh/shared.bin"))
            left = size
            while left > 0:
                left -= len(modest.recv(1 << 16))
        # Eight connections of one client got about what the one of the other got, not eight times.
        assert sum(received) - before < 3 * size


@pytest.mark.parametrize("crowded", [{"total_rate_limit": "1MB"}], indirect=True)
def test_nobody_waits_long_when_many_share_a_limit(crowded, origin):
    """180 clients get 5,800 bytes a second each, and none is kept waiting as long as Delivery Optimization puts up with."""
    node = crowded
    origin.write("endless.bin", 64 << 20)
    body = origin.write("some.bin", 70_000)
    assert node.get("/fresh/some.bin").body == body
    crowd = [connect(node, source=f"127.0.{number // 250}.{number % 250 + 20}") for number in range(177)]
    selector = selectors.DefaultSelector()
    for connection in crowd:
        connection.sendall(get("/fresh/endless.bin"))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    waiting, ended = set(crowd), threading.Event()

    def read():
        while not ended.is_set():
            for key, _ in selector.select(0.1):
                if not key.fileobj.recv(1 << 16):
                    selector.unregister(key.fileobj)
                waiting.discard(key.fileobj)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until(lambda: not waiting, 30)

        # The client itself gives up after 20 s of this.
        def download(number):
            return node.get("/fresh/some.bin", "--interface", f"127.0.9.{number}",
                            "--speed-limit", 4000, "--speed-time", 5)

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(download, (1, 2, 3)))
        assert [answer.exit_code for answer in answers] == [0, 0, 0], answers
        assert all(answer.body == body for answer in answers)
    finally:
        ended.set()
        reader.join()
        for connection in crowd:
            connection.close()


@pytest.mark.parametrize("crowded", [{"total_rate_limit": "4MB"}], indirect=True)
def test_small_answers_are_not_starved_behind_large_ones(crowded, origin):
    node = crowded
    origin.write("endless.bin", 256 << 20)
    small = origin.write("small.bin", 4096)
    assert node.get("/fresh/small.bin").body == small
    with greedy(node, [f"127.0.0.{number}" for number in range(20, 28)], "/fresh/endless.bin") as received:
        before = sum(received)
        count = 200
        with connect(node, source="127.0.0.10") as modest:
            modest.settimeout(30)
            stream = modest.makefile("rb")
            for _ in range(count):
                modest.sendall(get("/fresh/small.bin"))
                while stream.readline() not in (b"\r\n", b""):
                    pass
                assert stream.read(len(small)) == small
        # It got at least a third of what each of the others did.
        assert (sum(received) - before) / len(received) < 3 * count * len(small)


@pytest.mark.parametrize("crowded", [{"max_connections": 20}], indirect=True)
def test_idle_connections_make_room_for_new_ones(crowded, origin):
    node = crowded
    body = origin.write("small.bin", 1000)
    assert node.get("/fresh/small.bin").body == body

    def ask(connection):
        connection.settimeout(20)
        connection.sendall(get("/fresh/small.bin"))
        received = b""
        while not received.endswith(body):
            piece = connection.recv(1 << 16)
            assert piece, "closed"
            received += piece

    crowd = []
    try:
        for _ in range(60):
            crowd.append(connect(node))
            ask(crowd[-1])
        assert node.metric("larder_connections_refused_total") == 0
        assert node.metric("larder_connections_ended_for_others_total") >= 40
        wait_until(lambda: node.metric("larder_connections") <= 21)
    finally:
        for connection in crowd:
            connection.close()
