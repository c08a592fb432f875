"""Cache-Status (RFC 9211) of a node behind other caches: theirs are kept, its own stands last."""

import types

import pytest

from support.larder import Node, origin_table
from support.scripted_origin import ScriptedOrigin
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")
SAID = ("Cache-Status", 'Shield; hit; ttl=1100; key="/file?sig=secret", "Edge, Inc"; fwd=stale; fwd-status=304')
KEPT = 'Shield; hit; ttl=1100, "Edge, Inc"; fwd=stale; fwd-status=304, '


@pytest.fixture(scope="module")
def script():
    return {}


@pytest.fixture(scope="module")
def chain(folder, script):
    """An origin, a node that asks it, and a node that asks the first."""
    origin = ScriptedOrigin(lambda seen: script[seen.target](seen)).start()
    first = Node(folder / "first", name="first", origins=[origin_table(origin)]).start()
    place = types.SimpleNamespace(url=first.http, address=first.address)
    second = Node(folder / "second", name="second", names=["node2.larder.test"], origins=[origin_table(place)]).start()
    yield first, second
    second.stop()
    first.stop()
    origin.stop()


@pytest.fixture(scope="module")
def node(chain):
    return chain[0]


def always(*fields, body=b"body"):
    return lambda seen: (200, list(fields), body)


def test_stored_answer_keeps_what_caches_before_it_said(node, script):
    script["/stored"] = always(FRESH, SAID, body=b"x" * 1000)
    assert node.get("/stored").cache_status.startswith(KEPT + "larder; fwd=uri-miss; ")
    hit = wait_until(lambda: (found := node.get("/stored")).is_hit and found, what="a hit")
    assert hit.cache_status.startswith(KEPT + "larder; hit; ttl=")
    assert hit.raw_headers.lower().count("cache-status:") == 1
    part = node.get("/stored", "--range", "1-2")
    assert part.status == 206 and part.cache_status.startswith(KEPT + "larder; hit; ttl=")
    parts = node.get("/stored", "--range", "0-0,900-901")
    assert b"--" in parts.body and parts.cache_status.startswith(KEPT + "larder; hit")


def test_answer_that_is_passed_on_keeps_it_too(node, script):
    script["/passed"] = always(SAID, ("Cache-Control", "no-store"))
    for _ in range(2):
        assert node.get("/passed").cache_status.startswith(KEPT + "larder; fwd=")


def test_several_lines_are_one_list(node, script):
    script["/lines"] = always(FRESH, ("Cache-Status", "a; hit"), ("Cache-Status", "b;fwd=miss ,c"))
    assert node.get("/lines").cache_status.startswith("a; hit, b; fwd=miss, c, larder; fwd=uri-miss")


@pytest.mark.parametrize("name, lines", [
    ("comma", ["a; hit,"]), ("words", ["a hit"]), ("inner-list", ["(a b); hit"]), ("second-line", ["a; hit", "?"]),
    ("one-too-long", ['a; detail="' + "x" * 1024 + '"']), ("together-too-long", ["a; detail=twenty-characters"] * 60)])
def test_what_is_no_list_or_too_long_is_dropped(node, script, name, lines):
    fields = [("Cache-Status", line) for line in lines]
    script[f"/{name}"] = always(FRESH, *fields)
    script[f"/{name}/passed"] = always(*fields, ("Cache-Control", "no-store"))
    for path in (f"/{name}", f"/{name}", f"/{name}/passed"):
        assert node.get(path).cache_status.startswith("larder; "), path


def test_what_was_said_to_the_node_alone_is_dropped(node, script):
    script["/hop"] = always(FRESH, ("Cache-Status", "a; hit"), ("Connection", "cache-status"))
    assert node.get("/hop").cache_status.startswith("larder; fwd=uri-miss")


def test_confirmation_replaces_what_was_said(node, script):
    def answer(seen):
        if "if-none-match" in seen.headers:
            return 304, [("ETag", '"1"'), ("Cache-Control", "max-age=0"), ("Cache-Status", "Shield; fwd=stale")], b""
        return 200, [("ETag", '"1"'), ("Cache-Control", "max-age=0"), ("Cache-Status", "Shield; fwd=uri-miss")], b"body"
    script["/confirmed"] = answer
    assert node.get("/confirmed").cache_status.startswith("Shield; fwd=uri-miss, larder; fwd=uri-miss")
    again = wait_until(lambda: (found := node.get("/confirmed")).cache_status.startswith("Shield; fwd=stale") and found)
    assert "larder; fwd=stale; fwd-status=304" in again.cache_status


def test_nodes_in_a_chain_each_say_their_part(chain, script):
    first, second = chain
    script["/chain"] = always(FRESH, ("Cache-Status", "Origin; hit"))
    assert second.get("/chain").cache_status.startswith("Origin; hit, larder; fwd=uri-miss")
    hit = wait_until(lambda: (found := second.get("/chain")).is_hit and found, what="a hit")
    origin, nearer, own = hit.cache_status.split(", ")
    assert origin == "Origin; hit" and "fwd=uri-miss" in nearer and own.startswith("larder; hit; ttl=")


def test_prefetch_goes_by_what_its_own_node_says(node, script):
    script["/private"] = always(("Cache-Control", "private"), ("Cache-Status", "Shield; hit; stored"))
    done = node.cli("cache", "prefetch", "http://packages.test/private", check=False)
    assert done.returncode == 1 and "not stored: private" in done.stderr, done
