"""Redirects of origins: passed to the client, or followed inside the allow list where a table says so."""

import json

import pytest

from support.curl import curl
from support.larder import Node, origin_table
from support.network import PUBLIC, PUBLIC2
from support.origin import Origin
from support.scripted_origin import ScriptedOrigin


@pytest.fixture(scope="module")
def origins(folder, net):
    """a.test follows nothing; b.test and c.test are followed; d.test is not allowed; e.test leads inside."""
    net.left.set_hosts({"a.test": PUBLIC, "b.test": PUBLIC, "c.test": PUBLIC2, "d.test": PUBLIC2, "e.test": "127.0.0.1"})
    first = Origin(folder / "first", address=PUBLIC, namespace=net.right, port=80, extra="""
        absolute_redirect off;
        location /relative { return 301 /file?x=1; }
        location /other { return 302 http://c.test/file; }
        location /temporary { return 307 http://c.test/file; }
        location /permanent { return 308 http://c.test/file; }
        location /see { return 303 http://c.test/file; }
        location /lasting { add_header Cache-Control max-age=3600; return 302 http://c.test/file; }
        location /outside { return 302 http://d.test/file; }
        location /inside { return 302 http://e.test/file; }
        location /port { return 302 http://c.test:8080/file; }
        location /signed { return 302 http://d.test/file?sig=secret; }
        location /literal { return 302 http://169.254.169.254/latest; }
        location /then-outside { return 302 http://c.test/outside; }
        location /circle { return 302 http://c.test/circle; }
        location /self { return 302 /self; }
        location ~ ^/hop([0-8])$ { set $n $1; return 302 http://c.test/hop/$n; }
        """).start()
    second = Origin(folder / "second", address=PUBLIC2, namespace=net.right, port=80, extra="""
        absolute_redirect off;
        location /outside { return 302 http://d.test/file; }
        location /circle { return 302 http://b.test/circle; }
        location /hop/0 { return 302 /file; }
        location /hop/1 { return 302 /hop/0; }
        location /hop/2 { return 302 /hop/1; }
        location /hop/3 { return 302 /hop/2; }
        location /hop/4 { return 302 /hop/3; }
        location /hop/5 { return 302 /hop/4; }
        """).start()
    first.write("file", b"first" * 100)
    second.write("file", b"second" * 500_000)
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture(scope="module")
def node(folder, net, origins):
    node = Node(folder / "node", address=net.left_address, namespace=net.left, origins=[
        {"name": "passes", "hosts": ["a.test"], "scheme": "http"},
        {"name": "follows", "hosts": ["b.test", "c.test"], "scheme": "http", "follow_redirects": True},
        {"name": "inside", "hosts": ["e.test"], "scheme": "http"}]).start()
    yield node
    node.stop()


@pytest.fixture
def get(node, net):
    return lambda path, *options, host="b.test": node.get(path, *options, host=host, namespace=net.left)


def test_redirects_are_passed_by_default(get, origins):
    answer = get("/other", host="a.test")
    assert (answer.status, answer.headers["location"]) == (302, "http://c.test/file")
    assert get("/relative", host="a.test").headers["location"] == "/file?x=1"


def test_relative_redirect_keeps_the_name_of_the_origin_for_clients_that_gave_it(node, net, origins):
    """Else the client would ask the node for a path of its own, get 404, and stay away."""
    for _ in range(2):
        answer = curl(f"{node.http}/relative?cacheHostOrigin=a.test", namespace=net.left)
        assert answer.headers["location"] == "/file?x=1&cacheHostOrigin=a.test"
    followed = curl(f"{node.http}/relative?cacheHostOrigin=a.test", "--location", namespace=net.left)
    assert followed.body == b"first" * 100


@pytest.mark.parametrize("path, is_fresh", [
    ("/other", False), ("/temporary", False), ("/see", False), ("/permanent", True), ("/lasting", True)])
def test_redirect_to_an_allowed_host_is_followed(get, origins, path, is_fresh):
    before = len(origins[1].requests("/file"))
    answer = get(path)
    assert (answer.status, answer.body) == (200, b"second" * 500_000), answer
    before = len(origins[1].saw("/file", before + 1))
    again = get(path)
    assert again.is_hit == is_fresh and again.body == answer.body
    assert get(path, "-H", "Range: bytes=6-11").body == b"second"
    # A redirect that says nothing of how long it lasts is asked about, its target only confirmed.
    assert [seen["status"] for seen in origins[1].requests("/file")[before:]] == ([] if is_fresh else [304, 304])


@pytest.fixture
def moving(tmp_path):
    """get(target) through a node that follows redirects of an origin, which answers by `script`."""
    script = {}
    origin = ScriptedOrigin(lambda seen: script[seen.target]).start()
    node = Node(tmp_path / "moving", origins=[origin_table(origin, follow_redirects=True)]).start()
    yield script, node, origin
    node.stop()
    origin.stop()


@pytest.mark.parametrize("control, is_stored", [
    ("no-store, private", False), ("private, max-age=600", False), (None, True), ("no-store", True), ("no-cache", True), ("max-age=0", True)])
def test_redirect_that_may_not_be_reused_is_asked_for_again(moving, control, is_stored):
    script, node, origin = moving
    year = ("Cache-Control", "public, max-age=31536000")
    said = [("Cache-Control", control)] if control else []
    script["/file-1"] = (200, [year, ("ETag", '"1"')], b"one")
    script["/file-2"] = (200, [year, ("ETag", '"2"')], b"two")
    script["/latest"] = (302, [("Location", "/file-1"), ("Set-Cookie", "who=alice"), *said], b"")
    first = node.get("/latest")
    assert first.body == b"one" and "set-cookie" not in first.headers
    assert "31536000" not in first.headers["cache-control"], "nor may a cache behind the node keep it"
    assert ("stored" in first.cache_status) == is_stored
    script["/latest"] = (302, [("Location", "/file-2"), *said], b"")
    assert node.get("/latest").body == b"two"
    assert [seen.headers.get("if-none-match") for seen in origin.requests("/latest")] == [None, '"1"' if is_stored else None]
    assert node.get("/file-1").body == b"one" and node.get("/file-1").is_hit, "under its own address it lasts"


def test_answer_lasts_no_longer_than_the_redirect_to_it(moving):
    script, node, origin = moving
    script["/file"] = (200, [("Cache-Control", "max-age=31536000"), ("Age", "500")], b"one")
    script["/hop"] = (302, [("Location", "/file"), ("Cache-Control", "max-age=600"), ("Vary", "X-Place")], b"")
    script["/latest"] = (301, [("Location", "/hop")], b"")
    assert node.get("/latest").body == b"one"
    again = node.get("/latest")
    assert again.is_hit and 500 < int(again.cache_status.partition("ttl=")[2].partition(";")[0]) <= 600
    assert not node.get("/latest", "-H", "X-Place: there").is_hit


def test_parts_are_fetched_by_the_same_way(get, origins):
    before = len(origins[1].requests("/file"))
    answer = get("/other?part", "-H", "Range: bytes=2000004-2000009")
    assert (answer.status, answer.body) == (206, b"second")
    assert get("/other?part").body == b"second" * 500_000
    origins[1].saw("/file", before + 2)


@pytest.mark.parametrize("path, location", [
    ("/outside", "http://d.test/file"), ("/port", "http://c.test:8080/file"),
    ("/literal", "http://169.254.169.254/latest"), ("/then-outside", "http://d.test/file")])
def test_redirect_that_leaves_the_allow_list_is_the_clients_to_follow(get, path, location):
    answer = get(path)
    assert (answer.status, answer.headers["location"]) == (302, location)


def test_hop_to_an_address_that_is_not_allowed_is_refused(get):
    assert get("/inside").status == 502


@pytest.mark.parametrize("path", ["/circle", "/self"])
def test_circles_end(get, origins, path):
    before = len(origins[0].requests())
    assert get(path).status == 502
    assert len(origins[0].requests()) - before <= 6


def test_explain_says_whether_redirects_are_followed(node, net):
    for host, followed in (("a.test", False), ("b.test", True)):
        told = node.cli("explain", f"http://{host}/other").stdout
        assert ("its redirects are followed" in told) == followed, told


def explained(node, url):
    """The steps that people read about redirects, and what programs get."""
    shown = node.cli("explain", url).stdout.splitlines()
    return ([line.removeprefix("redirect: ") for line in shown if line.startswith("redirect: ")],
            json.loads(node.cli("explain", url, "--json").stdout)["redirects"])


def test_explain_tells_the_chain_and_each_decision(node, get):
    assert explained(node, "http://b.test/hop2?sig=1") == ([], None), "nobody has asked yet"
    assert get("/hop2?sig=secret").status == 200
    shown, told = explained(node, "http://b.test/hop2?sig=secret")
    assert shown == [f"302 to http://c.test/{place}: followed, because the host is allowed"
                     for place in ("hop/2", "hop/1", "hop/0", "file")]
    assert told["failure"] is None and [hop["followed"] for hop in told["hops"]] == [True] * 4
    assert told["hops"][0] == {"status": 302, "to": "http://c.test/hop/2", "followed": True, "reason": "the host is allowed"}
    assert told["at"].startswith("20")


@pytest.mark.parametrize("path, last", [
    ("/then-outside", "302 to http://d.test/file: the client's to follow, because no [[origin]] table and no profile lists "
                      "the host"),
    ("/port", "302 to http://c.test:8080/file: the client's to follow, because the port is not the scheme's"),
    ("/self", "refused behind that: the origin redirects in a circle"),
    ("/hop5", "refused behind that: the origin redirects too often")])
def test_explain_says_where_the_chain_ends_and_why(node, get, path, last):
    get(path)
    shown, told = explained(node, f"http://b.test{path}")
    assert shown[-1] == last
    refused = last.startswith("refused")
    assert (told["failure"] is not None) == refused and told["hops"][-1]["followed"] == refused


def test_explain_says_that_a_hop_leads_to_a_forbidden_address(node, get):
    assert get("/inside?why").status == 502
    shown, told = explained(node, "http://b.test/inside?why")
    assert shown[0] == "302 to http://e.test/file: followed, because the host is allowed"
    assert shown[1] == f"refused behind that: {told['failure']}" and "127.0.0.1" in told["failure"]


def test_explain_tells_no_secret_of_a_signed_address(node, get, origins):
    assert get("/signed").status == 302
    shown, _ = explained(node, "http://b.test/signed")
    assert shown == ["302 to http://d.test/file?...: the client's to follow, because no [[origin]] table and no profile "
                     "lists the host"]


def test_explain_forgets_a_redirect_that_is_no_more(tmp_path):
    answers = [(302, [("Location", "/elsewhere"), ("Cache-Control", "no-store")], b""),
               (200, [("Cache-Control", "no-store")], b"there"), (200, [("Cache-Control", "no-store")], b"here")]
    origin = ScriptedOrigin(lambda seen: answers.pop(0)).start()
    node = Node(tmp_path / "moved", origins=[origin_table(origin, follow_redirects=True)]).start()
    try:
        assert node.get("/moved").body == b"there"
        shown, _ = explained(node, "http://packages.test/moved")
        assert shown == ["302 to http://packages.test/elsewhere: followed, because the host is allowed"]
        assert node.get("/moved").body == b"here"
        assert explained(node, "http://packages.test/moved") == ([], None)
    finally:
        node.stop()
        origin.stop()


def test_five_hops_are_followed_and_not_six(get):
    assert get("/hop3").status == 200
    assert get("/hop4").status == 502


