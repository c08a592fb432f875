"""What metrics and the access log tell of requests is true, so that alerts fire for what is wrong and for nothing else."""

import contextlib
import json
import socket
import ssl

import pytest

from support import raw
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.wait import wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def node(folder, origin):
    node = Node(folder / "node", origins=[origin_table(origin)], names=["node1.larder.test", "127.0.0.1"],
                access_log_json=True).start()
    yield node
    node.stop()


def log_lines(node, url_ending, count=1):
    """Of the access log, which is written after a second."""
    def found():
        text = (node.state / "log/access.log").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        lines = [line for line in lines if line["url"].endswith(url_ending)]
        # Each loop writes its own by itself.
        return sorted(lines, key=lambda line: line["time"]) if len(lines) >= count else None

    return wait_until(found, what=f"{count} lines of {url_ending}")


@contextlib.contextmanager
def growth(node, *names):
    """How much each of these metrics grows."""
    before = {name: node.metric(name) or 0 for name in names}
    yield lambda: {name: (node.metric(name) or 0) - before[name] for name in names}


ENDINGS = ("larder_client_left_total", "larder_cut_total", "larder_errors_total", "larder_origin_errors_total")


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: packages.test\r\n\r\n".encode()


def leave(connection, path, after):
    """Asks for it and closes after so many bytes."""
    connection.sendall(get(path))
    received = 0
    while received < after:
        piece = connection.recv(65536)
        assert piece
        received += len(piece)
    connection.close()
    return received


def stored(node, origin, name, size):
    body = origin.write(name, size)
    assert node.get(f"/fresh/{name}").body == body
    node.wait_until_stored()
    return body


def test_clients_that_leave_are_no_errors_of_the_origin_and_no_cuts(node, origin):
    stored(node, origin, "paused.bin", 20 * MIB)
    with growth(node, *ENDINGS) as grown:
        for _ in range(5):
            leave(socket.create_connection((node.address, node.http_port)), "/fresh/paused.bin", 10_000)
        wait_until(lambda: grown()["larder_client_left_total"] + grown()["larder_cut_total"] == 5, what="five ends")
        assert grown() == dict(zip(ENDINGS, (5, 0, 0, 0), strict=True))
    assert [line["cache"] for line in log_lines(node, "/paused.bin", 6)] == ["miss"] + ["left"] * 5


def test_so_are_those_that_leave_over_https(node, origin, authority):
    node.serve_https(authority, dns=["node1.larder.test"], addresses=["127.0.0.1"])
    stored(node, origin, "paused-tls.bin", 20 * MIB)
    context = ssl.create_default_context(cafile=authority.root)
    with growth(node, *ENDINGS) as grown:
        plain = socket.create_connection((node.address, node.https_port))
        leave(context.wrap_socket(plain, server_hostname="127.0.0.1"), "/fresh/paused-tls.bin", 10_000)
        wait_until(lambda: grown()["larder_client_left_total"] + grown()["larder_cut_total"] == 1, what="one end")
        assert grown() == dict(zip(ENDINGS, (1, 0, 0, 0), strict=True))


def test_an_origin_that_breaks_off_is_a_cut_and_its_error(tmp_path):
    def breaks_off(request, connection):
        connection.head(200, content_length=3 * MIB, cache_control="no-store")
        connection.send(b"x" * MIB)
        connection.close()

    with MisbehavingOrigin() as origin:
        origin.scripts["/broken.bin"] = breaks_off
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        try:
            node.get("/broken.bin")
            wait_until(lambda: node.metric("larder_cut_total") == 1, what="the cut")
            assert [node.metric(name) for name in ENDINGS] == [0, 1, 0, 1]
        finally:
            node.stop()


def test_a_client_that_reads_too_slowly_has_left(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], write_timeout="1s").start()
    try:
        stored(node, origin, "unread.bin", 20 * MIB)
        with socket.create_connection((node.address, node.http_port)) as silent:
            silent.sendall(get("/fresh/unread.bin"))
            wait_until(lambda: node.metric("larder_client_left_total") == 1, what="the end")
        assert [node.metric(name) for name in ENDINGS] == [1, 0, 0, 0]
    finally:
        node.stop()


SOURCES = ("larder_hit_bytes_total", "larder_miss_bytes_total")


def test_bytes_that_are_fetched_for_a_request_are_no_hits_when_they_are_stored_before_they_are_sent(node, origin):
    body = origin.write("half.bin", 8 * MIB)
    assert node.get("/fresh/half.bin", "-r", f"0-{2 * MIB - 1}").body == body[:2 * MIB]
    node.wait_until_stored()
    assert node.get("/fresh/half.bin", "-r", f"0-{4 * MIB - 1}").body == body[:4 * MIB]
    node.wait_until_stored()
    with growth(node, *SOURCES) as grown:
        # Slower than the origin: most of what comes is on the drive before its turn.
        assert node.get("/fresh/half.bin", "--limit-rate", "4M").body == body
        wait_until(lambda: sum(grown().values()) >= 8 * MIB, what="all bytes")
        assert grown() == dict(zip(SOURCES, (4 * MIB, 4 * MIB), strict=True))
    lines = log_lines(node, "/half.bin", 3)
    assert [(line["from_store"], line["from_origin"]) for line in lines] == [
        (0, 2 * MIB), (2 * MIB, 2 * MIB), (4 * MIB, 4 * MIB)]


def test_each_gap_of_an_object_is_counted_by_itself(node, origin):
    body = origin.write("gaps.bin", 10 * MIB)
    for first in (1, 4, 5, 8):
        node.get("/fresh/gaps.bin", "-r", f"{first * MIB}-{(first + 1) * MIB - 1}")
        node.wait_until_stored()
    listed = json.loads(node.cli("cache", "list", "--prefix", "http://packages.test/fresh/gaps.bin", "--json").stdout)
    here = listed["objects"][0]["stored"] // MIB
    assert 4 <= here < 10
    before = len(log_lines(node, "/gaps.bin", 4))
    assert node.get("/fresh/gaps.bin").body == body
    last = log_lines(node, "/gaps.bin", before + 1)[-1]
    assert (last["from_store"], last["from_origin"]) == (here * MIB, (10 - here) * MIB)


@pytest.mark.parametrize("path, name, source", [("/fresh", "left-hit.bin", 0), ("/fresh", "left-miss.bin", 1),
                                                ("/never", "left-pass.bin", 1)])
def test_what_was_sent_to_a_client_that_left_is_counted_for_its_source(node, origin, path, name, source):
    if source == 0:
        stored(node, origin, name, 40 * MIB)
    else:
        origin.write(name, 40 * MIB)
    before = 1 - source
    leave(socket.create_connection((node.address, node.http_port)), f"{path}/{name}", 11_000_000)
    line = log_lines(node, f"/{name}", before + 1)[-1]
    assert line["cache"] == "left"
    counted = (line["from_store"], line["from_origin"])
    assert counted[1 - source] == 0
    assert 0 < line["bytes"] - counted[source] < 1000, "all but the head"


def test_what_a_cap_refuses_is_no_error(tmp_path, origin):
    origin.write("capped.bin", 3 * MIB)
    node = Node(tmp_path / "node", origins=[origin_table(origin, upstream_rate=["0"])], access_log_json=True).start()
    try:
        explained = json.loads(node.cli("explain", "http://packages.test/fresh/capped.bin", "--json").stdout)
        assert explained["decision"]["reason"] == "upstream-rate"
        assert explained["decision"]["kind"] == "miss"
        for path in ("/fresh/capped.bin", "/never/capped.bin"):
            answer = node.get(path)
            assert answer.status == 503
            assert "upstream-rate" in answer.headers["cache-status"]
        assert node.get("/fresh/capped.bin", "--head").status == 503, "asked for this client alone"
        wait_until(lambda: node.metric("larder_requests_total") >= 3, what="three requests")
        assert [node.metric(name) for name in ENDINGS] == [0, 0, 0, 0]
        assert node.metric("larder_refusals_by_status_total") == 3
        lines = log_lines(node, "/capped.bin", 3)
        assert {(line["status"], line["cache"], line["reason"]) for line in lines} == {(503, "refused", "upstream-rate")}
        node.config.write_text(node.config.read_text().replace('upstream_rate = ["0"]', 'upstream_rate = ["50MB"]'))
        node.cli("node", "reload")
        explained = json.loads(node.cli("explain", "http://packages.test/fresh/capped.bin", "--json").stdout)
        assert explained["decision"]["reason"] != "upstream-rate"
        assert node.get("/fresh/capped.bin", "-r", "0-9").status == 206
        node.wait_until_stored()
        node.config.write_text(node.config.read_text().replace('upstream_rate = ["50MB"]', 'upstream_rate = ["0"]'))
        node.cli("node", "reload")
        explained = json.loads(node.cli("explain", "http://packages.test/fresh/capped.bin", "--json").stdout)
        assert "upstream_rate admits no" in explained["steps"][-1]["text"], "of the missing slices"
    finally:
        node.stop()


MALFORMED = {
    b"garbage with \x1b[31m and \"quotes\"\r\n\r\n": (400, "unknown-form-of-request-target"),
    b"GET /\r\n\r\n": (400, "malformed-request-target"),
    b"GET / HTTP/1.1\r\n\r\n": (400, "no-Host-field"),
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: packages.test\r\n\r\n": (414, "request-target-too-long"),
    b"GET / HTTP/1.1\r\nHost: packages.test\r\n" + b"A: b\r\n" * 1000 + b"\r\n": (431, "too-many-fields"),
    b"GET / HTTP/2.0\r\nHost: packages.test\r\n\r\n": (505, "only-HTTP/1.0-and-HTTP/1.1-are-spoken-here"),
}


@pytest.mark.parametrize("as_json", [True, False])
def test_requests_that_cannot_be_read_have_a_line_without_a_word_of_theirs(tmp_path, origin, as_json):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], access_log_json=as_json).start()
    log = node.state / "log/access.log"
    try:
        sent = [len(raw.exchange(node, request)) for request in MALFORMED]
        wait_until(lambda: log.exists() and log.read_text().count("\n") == len(MALFORMED), what="a line for each")
        wait_until(lambda: node.metric("larder_requests_total") == len(MALFORMED), what="each counted")
        text = log.read_text()
        assert "garbage" not in text and "quotes" not in text and "xxx" not in text
        if as_json:
            lines = [json.loads(line) for line in text.splitlines()]
            lines = [(line["client"], line["method"], line["url"], line["status"], line["bytes"], line["cache"],
                      line["reason"], line["id"]) for line in lines]
        else:
            lines = [line.split(" ") for line in text.splitlines()]
            assert all(len(line) == 10 for line in lines)
            lines = [(line[1], line[2], line[3], int(line[4]), int(line[5]), *line[7:]) for line in lines]
        expected = [("127.0.0.1", "-", "http://-", status, size, "refused", reason, "-")
                    for size, (status, reason) in zip(sent, MALFORMED.values(), strict=True)]
        assert sorted(lines) == sorted(expected)
    finally:
        node.stop()
