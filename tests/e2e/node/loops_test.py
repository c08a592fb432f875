"""Requests that come back to a node, and what nodes tell each other by Via to notice that."""

import threading

import pytest
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.ports import free_port
from support.wait import wait_until


def behind(folder, name, port, **settings):
    """A node whose origin is what listens on that port of this machine."""
    return Node(folder / name, name=name, origins=[{"name": "up", "hosts": ["packages.test"], "scheme": "http",
                                                    "url": f"http://127.0.0.1:{port}",
                                                    "allow_addresses": ["127.0.0.0/8"]}], **settings)


@pytest.fixture
def circle(tmp_path):
    """Two nodes that are each other's origin."""
    ports = free_port(), free_port()
    nodes = [behind(tmp_path, f"node{i + 1}", ports[1 - i], http_port=ports[i]).start() for i in range(2)]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.mark.parametrize("options", [(), ("--range", "0-99"), ("--head",), ("-H", "Authorization: Basic eDp5")])
def test_two_nodes_that_ask_each_other_are_a_loop(circle, options):
    first, second = circle
    answer = first.get("/x", *options)
    assert answer.status == 502 and 'detail="loop"' in answer.cache_status
    # There, and back.
    wait_until(lambda: first.metric("larder_requests_total") >= 2)
    assert (first.metric("larder_requests_total"), second.metric("larder_requests_total")) == (2, 1)


def test_two_nodes_that_ask_each_other_at_the_same_time_are_a_loop(tmp_path):
    """The other one gives what its own request, of another client, gets from here."""
    name = "1.1 larder-00000000000000ff"

    def answer(request, connection):
        way = [name] if request.method == "GET" else [request.field("Via"), name]
        got = node.get("/shared", "-H", "Via: " + ", ".join(way), *(["--head"] if request.method == "HEAD" else []))
        connection.head(got.status, "Bad Gateway", content_length=0, cache_status=got.cache_status)

    with MisbehavingOrigin() as other:
        other.scripts["/shared"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(other)]).start()
        got = node.get("/shared")
        node.stop()
    assert got.status == 502 and 'detail="loop"' in got.cache_status


def test_a_slow_origin_is_no_loop(tmp_path):
    checked = threading.Event()

    def answer(request, connection):
        if request.method == "HEAD":
            checked.set()
        checked.wait(60)
        connection.head(200, content_length=5, cache_control="max-age=60", etag='"a"')
        if request.method == "GET":
            connection.send(b"right")

    with MisbehavingOrigin() as origin:
        origin.scripts["/slow"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        got = {}
        leads = threading.Thread(target=lambda: got.update(leads=node.get("/slow")))
        leads.start()
        wait_until(lambda: origin.of("/slow"))
        got["joins"] = node.get("/slow", "-H", "Via: 1.1 larder-00000000000000ff")
        leads.join(60)
        node.stop()
        assert [request.method for request in origin.of("/slow")] == ["GET", "HEAD"]
    assert got["leads"].body == got["joins"].body == b"right"


def test_a_chain_of_nodes_is_none(tmp_path, origin):
    data = origin.write("chain.bin", 3 << 20)
    second = Node(tmp_path / "second", name="second", origins=[origin_table(origin)]).start()
    first = behind(tmp_path, "first", second.http_port).start()
    try:
        for path, options in (("/chain.bin", ()), ("/chain.bin?2", ("-H", "Authorization: Basic eDp5"))):
            answer = first.get(path, "-H", "Via: 1.0 desk7 (of Anna)", *options)
            assert answer.status == 200 and answer.body == data
            via = origin.fields_of(path).rpartition("via=")[2].split(", ")
            assert via[0] == "1.0 proxy" and len({name for name in via[1:] if name.startswith("1.1 larder-")}) == 2, via
        # A client that names a node itself is refused there, and nobody else.
        assert first.get("/chain.bin", "-H", f"Via: {via[1]}", "-H", "Cache-Control: no-cache").status == 502
        assert first.get("/other.bin", "-H", f"Via: {via[2]}").status == 502
        assert first.get("/chain.bin", "-H", "Cache-Control: no-cache").body == data
    finally:
        first.stop()
        second.stop()


def test_who_waited_for_a_request_that_had_looped_asks_again(tmp_path):
    forged, joined = "1.1 larder-00000000000000ff", threading.Event()

    def answer(request, connection):
        if forged in request.field("Via"):
            joined.wait(60)
            connection.head(502, "Bad Gateway", content_length=0, cache_status='larder; fwd=miss; detail="loop"')
        else:
            connection.answer(b"right", cache_control="max-age=60", etag='"a"')

    with MisbehavingOrigin() as origin:
        origin.scripts["/shared"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        got = {}
        leads = threading.Thread(target=lambda: got.update(leads=node.get("/shared", "-H", f"Via: {forged}")))
        leads.start()
        wait_until(lambda: origin.of("/shared"))
        others = [threading.Thread(target=lambda i=i: got.update({i: node.get("/shared")})) for i in range(3)]
        for other in others:
            other.start()
        wait_until(lambda: node.metric("larder_connections") >= 5)
        joined.set()
        for thread in (leads, *others):
            thread.join(60)
        node.stop()
    assert got["leads"].status == 502
    assert [got[i].body for i in range(3)] == [b"right"] * 3
