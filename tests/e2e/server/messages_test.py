"""Messages of HTTP/1.1 from end to end: pipelining, HEAD, interim responses, bodies that are forwarded."""

import http.server
import re
import socket
import threading

import pytest

from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.raw import exchange


def request(path, *fields, method="GET", host="packages.test", version="1.1", body=b""):
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_pipelined_requests_are_answered_in_order(node, origin):
    names = [f"pipelined-{number}.bin" for number in range(30)]
    bodies = [origin.write(name, 100 + 50_000 * (number % 3)) for number, name in enumerate(names)]
    for name in names[::2]:
        node.get(f"/fresh/{name}")  # every other one is a hit
    data = b"".join(request(f"/fresh/{name}", *(["Connection: close"] if name == names[-1] else []))
                    for name in names)
    answer = exchange(node, data)
    for body in bodies:
        head, _, answer = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert answer[:len(body)] == body
        answer = answer[len(body):]
    assert answer == b""


def test_pipelined_heads_misses_and_errors_keep_their_places(node, origin):
    body = origin.write("mixed.bin", 1000)
    answer = exchange(node, request("/fresh/mixed.bin", method="HEAD") + request("/fresh/mixed.bin")
                      + request("/none-such") + request("/x", host="evil.test")
                      + request("/fresh/mixed.bin", method="HEAD") + request("/fresh/mixed.bin", "Connection: close"))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    assert statuses == [200, 200, 404, 403, 200, 200]
    assert answer.count(body) == 2 and answer.endswith(body)


def fields_of(answer):
    changing = ("Date", "Age", "X-Request-Id", "Cache-Status")
    return [line for line in answer.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:] if not line.startswith(changing)]


def test_head_tells_what_get_would(node, origin):
    origin.write("told.bin", 70_000)
    close = "Connection: close"
    got = exchange(node, request("/fresh/told.bin", close))
    told = exchange(node, request("/fresh/told.bin", close, method="HEAD"))
    assert fields_of(told) == fields_of(got)
    assert told.endswith(b"\r\n\r\n")


@pytest.fixture(scope="module")
def script():
    with MisbehavingOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def scripted(folder, script):
    node = Node(folder / "scripted", origins=[origin_table(script, methods=["*"])]).start()
    yield node
    node.stop()


def with_hints(count, **fields):
    def answer(_request, connection):
        for number in range(count):
            connection.head(103, "Early Hints", link=f"</{number}>; rel=preload", connection="x-hop", x_hop="a")
        connection.head(200, content_length=4, **fields)
        connection.send(b"body")
    return answer


@pytest.mark.parametrize("path, cache_control", [("/hint-shared", "max-age=60"), ("/hint-private", "no-store")])
def test_interim_responses_pass(scripted, script, path, cache_control):
    script.scripts[path] = with_hints(2, cache_control=cache_control)
    answer = exchange(scripted, request(path, "Connection: close"))
    first, second, final, body = answer.split(b"\r\n\r\n")
    assert first == b"HTTP/1.1 103 Early Hints\r\nLink: </0>; rel=preload"
    assert second == b"HTTP/1.1 103 Early Hints\r\nLink: </1>; rel=preload"
    assert final.startswith(b"HTTP/1.1 200 ") and b"Link" not in final and body == b"body"
    again = exchange(scripted, request(path, "Connection: close"))
    assert again.count(b" 103 ") == (2 if cache_control == "no-store" else 0)


def test_no_interim_response_is_lost_to_an_answer_that_comes_at_once(scripted, script):
    script.scripts["/hint-fast"] = with_hints(2, cache_control="no-store")
    answers = [exchange(scripted, request("/hint-fast", "Connection: close")) for _ in range(1000)]
    assert all(answer.count(b" 103 ") == 2 for answer in answers)


def test_client_of_http_1_0_gets_no_interim_response(scripted, script):
    script.scripts["/hint-old"] = with_hints(1, cache_control="no-store")
    assert b" 103 " not in exchange(scripted, request("/hint-old", version="1.0"))


def test_endless_interim_responses_are_an_error(scripted, script):
    script.scripts["/hint-endless"] = with_hints(50, cache_control="no-store")
    answer = exchange(scripted, request("/hint-endless", "Connection: close"))
    assert b"HTTP/1.1 502 " in answer and answer.count(b" 103 ") <= 8


def test_change_of_protocol_is_an_error(scripted, script):
    def switch(_request, connection):
        connection.head(101, "Switching Protocols", upgrade="h2c", connection="upgrade")
        connection.hold()
    script.scripts["/switch"] = switch
    answer = exchange(scripted, request("/switch", "Connection: upgrade, close", "Upgrade: h2c"))
    assert answer.startswith(b"HTTP/1.1 502 ")


def test_options_stops_where_it_must(scripted, script):
    script.scripts["/options"] = with_hints(0)
    last = exchange(scripted, request("/options", "Max-Forwards: 0", "Connection: close", method="OPTIONS"))
    assert last.startswith(b"HTTP/1.1 200 ") and b"\r\nAllow: GET, HEAD, POST, " in last
    everything = exchange(scripted, request("*", "Connection: close", method="OPTIONS"))
    assert everything.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in everything
    assert script.of("/options") == []
    exchange(scripted, request("/options", "Max-Forwards: 3", "Connection: close", method="OPTIONS"))
    assert script.of("/options")[0].field("Max-Forwards") == "2"


class Taker(http.server.BaseHTTPRequestHandler):
    """Takes bodies and tells their framing and bytes."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = f"{self.headers.get('Transfer-Encoding')} {self.headers.get('Expect')} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def forwarding(folder):
    """A node that forwards POST to an origin that echoes."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    node = Node(folder / "forwarding", origins=[{
        "name": "taker", "hosts": ["packages.test"], "url": f"http://127.0.0.1:{server.server_port}", "scheme": "http",
        "allow_addresses": ["127.0.0.1/32"], "methods": ["GET", "HEAD", "POST"]}]).start()
    yield node
    node.stop()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("framing, sent", [("Content-Length: 9", b"some body"),
                                           ("Transfer-Encoding: chunked", b"4;a=b\r\nsome\r\n5\r\n body\r\n0\r\nX: y\r\n\r\n")])
def test_body_is_forwarded_after_the_client_was_told_to_continue(forwarding, framing, sent):
    with socket.create_connection(("127.0.0.1", forwarding.http_port), 20) as connection:
        connection.sendall(request("/take", framing, "Expect: 100-continue", method="POST"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(sent + request("/take", "Content-Length: 1", "Connection: close", method="POST", body=b"2"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"\r\n\r\nNone None some body" in answer and answer.endswith(b"\r\n\r\nNone None 2")


@pytest.mark.parametrize("fields, status", [
    (("Expect: 100-continue", "Content-Length: 9", "Host: evil.test"), 403),
    (("Expect: 100-continue", "Content-Length: 9000000000", "Host: packages.test"), 413)])
def test_refused_body_is_not_asked_for(forwarding, fields, status):
    data = "\r\n".join(["POST /take HTTP/1.1", *fields, "", ""]).encode()
    answer = exchange(forwarding, data)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"100 Continue" not in answer
