"""Bodies of requests, before an origin that leaves them unread and so takes them for further requests."""

import contextlib
import http.server
import select
import socket
import threading

import pytest

from support.larder import Node
from support.raw import exchange, split
from support.wait import wait_until

MIB = 1 << 20


class Careless(http.server.BaseHTTPRequestHandler):
    """Answers every request with its target, and never reads a body."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.server.seen.append((self.command, self.path))
        text = self.path.encode()
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def careless():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    server.daemon_threads, server.seen = True, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def node(folder, careless):
    node = Node(folder / "node", origins=[{
        "name": "careless", "hosts": ["packages.test"], "url": f"http://127.0.0.1:{careless.server_port}",
        "scheme": "http", "allow_addresses": ["127.0.0.1/32"], "methods": ["GET", "HEAD", "POST", "DELETE"]}]).start()
    yield node
    node.stop()


def request(method, path, body, framing="Content-Length: {}"):
    head = f"{method} {path} HTTP/1.1\r\nHost: packages.test\r\n{framing.format(len(body))}\r\n\r\n"
    return head.encode() + body


def smuggled(path):
    """Without its end, which the next request on that connection would be."""
    return f"GET {path} HTTP/1.1\r\nHost: packages.test\r\nX-Rest: ".encode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_method_without_a_body_is_refused_with_one(node, careless, method):
    path = f"/refused-{method}"
    body = smuggled(f"{path}/evil")
    for data in (request(method, path, body),
                 request(method, path, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked")):
        status, fields, text = split(exchange(node, data))
        assert (status, fields["Connection"]) == (400, "close")
        assert method == "HEAD" or b"no body" in text
    assert [each for each in careless.seen if path in each[1]] == []


def test_empty_body_is_none(node):
    data = request("GET", "/empty", b"") * 2
    answer = exchange(node, data + b"GET /empty HTTP/1.1\r\nHost: packages.test\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_body_that_an_origin_leaves_unread_is_nobodys_request(node, careless, method):
    for number in range(20):
        evil, victim = f"/{method}/evil{number}", f"/{method}/victim{number}"
        assert split(exchange(node, request(method, f"/{method}/fat{number}", smuggled(evil)), until="answer"))[0] == 200
        assert node.get(victim).body == victim.encode()
        assert node.get(victim).body == victim.encode()
    assert [each for each in careless.seen if "evil" in each[1]] == []
    assert [each for each in careless.seen if f"/{method}/fat" in each[1]] == [
        (method, f"/{method}/fat{number}") for number in range(20)]


def test_body_that_stalls_is_408(folder, careless):
    impatient = Node(folder / "impatient", name="impatient", write_timeout="1s", origins=[{
        "name": "careless", "hosts": ["packages.test"], "url": f"http://127.0.0.1:{careless.server_port}",
        "scheme": "http", "allow_addresses": ["127.0.0.1/32"], "methods": ["POST"]}]).start()
    try:
        status, fields, _ = split(exchange(impatient, request("POST", "/stalls", b"abc")[:-1]))
        assert (status, fields["Connection"]) == (408, "close")
        status, fields, _ = split(exchange(impatient, request("POST", "/broken", b"zz\r\n", "Transfer-Encoding: chunked")))
        assert (status, fields["Connection"]) == (400, "close")
    finally:
        impatient.stop()


def test_bodies_of_all_clients_have_a_limit(node):
    """Each stops just before its end, so that all that were taken are held: 64 MiB at most."""
    size = 8 * MIB
    with contextlib.ExitStack() as open_ones:
        connections = [open_ones.enter_context(socket.create_connection(("127.0.0.1", node.http_port), 20))
                       for _ in range(12)]
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(request("POST", "/held", b"a" * size)[:-1])

        def answered():
            return select.select(connections, [], [], 0)[0]
        wait_until(lambda: len(answered()) >= 4)
        statuses = set()
        for connection in answered():
            with contextlib.suppress(ConnectionError):
                statuses.add(connection.recv(1000).split(b"\r\n")[0])
        assert statuses == {b"HTTP/1.1 503 Service Unavailable"}
    # What they held is free again.
    wait_until(lambda: split(exchange(node, request("POST", "/again", b"a" * size), until="answer"))[0] == 200)
