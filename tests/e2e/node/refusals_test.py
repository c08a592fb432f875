"""What a node does not do: reach other hosts, be a way round a firewall, be confused about where a message ends."""

import socket

import pytest

from support.curl import curl
from support.larder import Node, origin_table
from support.ports import free_port


def exchange(node, data, seconds=10):
    """Everything a node answers to these bytes until it closes."""
    with socket.create_connection((node.address, node.http_port), seconds) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def statuses(answer):
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.mark.parametrize("host", ["evil.test", "packages.test.evil.test", "192.0.2.1:22", "169.254.169.254"])
def test_unknown_host_is_403(node, host):
    assert node.get("/x", host=host).status == 403
    assert curl(f"{node.http}/x", "-G", "--data-urlencode", f"cacheHostOrigin={host}").status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:22", "[::1]", "node1.larder.test"])
def test_own_name_is_no_origin(node, host):
    """Not even with another port: what is answered is the node's own, and there is nothing."""
    assert node.get("/x", host=host).status in (403, 404)
    assert curl(f"{node.http}/x", "-G", "--data-urlencode", f"cacheHostOrigin={host}").status == 403


def test_two_ways_at_once_is_400(node):
    answer = curl("http://packages.test/x?cacheHostOrigin=packages.test", "--proxy", node.http)
    assert answer.status == 400


def test_connect_is_refused(node, origin):
    answer = exchange(node, f"CONNECT packages.test:{origin.port} HTTP/1.1\r\nHost: packages.test\r\n"
                      "Connection: close\r\n\r\n".encode())
    assert statuses(answer) == [405] and b"\r\nAllow: GET, HEAD\r\n" in answer


def test_user_information_in_the_origin_is_refused(node):
    assert curl(f"{node.http}/x?cacheHostOrigin=user@packages.test").status in (400, 403)


def test_methods_that_were_not_allowed_are_refused(node, origin):
    before = len(origin.requests())
    for method in ("POST", "PUT", "DELETE"):
        assert node.get("/x", "--request", method, "--data", "body").status == 405
    assert len(origin.requests()) == before


SMUGGLING = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n",
    "signed length": b"Content-Length: +4\r\n",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "space before colon": b"Content-Length : 4\r\n",
    "folded field": b"X-Note: a\r\n b\r\n",
    "bare line feed": b"X-Note: a\nX-Other: b\r\n",
    "control character": b"X-Note: a\x01b\r\n",
    "two hosts": b"Host: evil.test\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_message_is_refused_and_the_connection_closed(node, name):
    answer = exchange(node, b"GET /ambiguous HTTP/1.1\r\nHost: packages.test\r\n" + SMUGGLING[name]
                      + b"\r\nGET /second HTTP/1.1\r\nHost: packages.test\r\n\r\n")
    assert statuses(answer) in ([400], [501]), answer


@pytest.mark.parametrize("line", [b"GET  /x HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /x HTTP/1.1 ", b"GET /\x7f HTTP/1.1",
                                  b"GET x HTTP/1.1", b"G@T /x HTTP/1.1", b"GET /x HTTP/9.9"])
def test_bad_request_line_is_refused(node, line):
    answer = exchange(node, line + b"\r\nHost: packages.test\r\n\r\n")
    assert statuses(answer)[0] in (400, 501, 505), answer


def test_too_long_a_head_is_refused(node):
    answer = exchange(node, b"GET /x HTTP/1.1\r\nHost: packages.test\r\n" + b"X-Note: " + b"a" * 40000 + b"\r\n\r\n")
    assert statuses(answer)[0] in (400, 431)
    answer = exchange(node, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: packages.test\r\n\r\n")
    assert statuses(answer)[0] in (400, 414)


def test_credentials_and_forwarding_fields_do_not_reach_the_origin(node, origin):
    origin.write("plain.bin", 100)
    node.get("/plain.bin", "-H", "DPoP: proof-of-nobody", "-H", "Cookie: a=b", "-H", "X-Forwarded-For: 1.2.3.4")
    line = [line for line in origin.headers_seen().splitlines() if line.startswith("/plain.bin|")][-1]
    assert "dpop=-|" in line and "cookie=-|" in line and "xff=-|" in line


def test_name_that_resolves_to_this_machine_is_not_reached(folder, origin):
    """An allowed host whose address is not: the answer is an error, and nothing was asked."""
    node = Node(folder / "rebinding", origins=[{"name": "inside", "hosts": ["localhost"], "scheme": "http"}]).start()
    try:
        before = len(origin.requests())
        assert node.get("/x", host="localhost").status in (502, 503)
        assert len(origin.requests()) == before
    finally:
        node.stop()


def test_wildcard_with_private_addresses_is_a_wrong_setting(folder):
    node = Node(folder / "wildcard", origins=[{"name": "a", "hosts": ["*.example.org"], "allow_addresses": ["10.0.0.0/8"]}])
    done = node.cli("node", "check", check=False)
    assert done.returncode != 0
    assert "allow_addresses" in done.stdout + done.stderr


def test_loop_is_refused(folder):
    """A node whose origin is itself."""
    port = free_port()
    node = Node(folder / "loop", http_port=port, origins=[
        {"name": "self", "hosts": ["self.test"], "url": f"http://127.0.0.1:{port}", "scheme": "http",
         "allow_addresses": ["127.0.0.0/8"]}]).start()
    try:
        # As its own Host the name stays allowed, so the request would go round for ever.
        assert node.get("/x", host="self.test", timeout=30).status in (403, 502, 508)
    finally:
        node.stop()


def test_unknown_setting_is_an_error_with_its_line(folder, origin):
    node = Node(folder / "typo", origins=[origin_table(origin)])
    node.config.write_text(node.config.read_text().replace("connection_names", "conection_names"))
    done = node.cli("node", "check", check=False)
    assert done.returncode == 1
    assert "conection_names" in done.stdout + done.stderr and "larder.toml:" in done.stdout + done.stderr
