"""What unsafe requests and purges take away, also of what is on its way meanwhile."""

import concurrent.futures
import threading

import pytest

FRESH = ("Cache-Control", "max-age=3600")


def test_unsafe_request_that_succeeds_invalidates_every_variant_and_what_it_names(rules_node, rules_origin, script):
    def read(seen):
        return 200, [FRESH, ("Vary", "Foo")], seen.headers.get("foo", "-").encode()

    def change(seen):
        if seen.method == "GET":
            return read(seen)
        return 204 if seen.body == b"good" else 500, [("Location", "/made"), ("Content-Location", "/named")], b""

    script["/thing"], script["/made"], script["/named"] = [change], [read], [read]

    def hits():
        answers = [rules_node.get("/thing", "-H", "Foo: 1"), rules_node.get("/thing", "-H", "Foo: 2"),
                   rules_node.get("/made"), rules_node.get("/named")]
        return [answer.is_hit for answer in answers]

    hits()
    assert hits() == [True] * 4
    assert rules_node.get("/thing", "-X", "PUT", "--data", "bad").status == 500
    assert hits() == [True] * 4
    assert rules_node.stored_of("/thing") == 2
    assert rules_node.get("/thing", "-X", "PUT", "--data", "good").status == 204
    assert rules_node.stored_of("/thing") == 0
    assert hits() == [False] * 4
    assert hits() == [True] * 4


def test_answer_that_was_asked_for_before_a_change_is_not_kept_after_it(rules_node, rules_origin, script):
    changed = threading.Event()

    def answer(seen):
        if seen.method == "PUT":
            return 204, [], b""
        if len(rules_origin.requests("/race")) == 1:
            assert changed.wait(10)
            return 200, [FRESH], b"before"
        return 200, [FRESH], b"after"

    script["/race"] = [answer]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(rules_node.get, "/race")
        rules_origin.wait_for("/race", 1)
        assert rules_node.get("/race", "-X", "PUT", "--data", "x").status == 204
        changed.set()
        assert slow.result(15).body == b"before"
    assert rules_node.get("/race").body == b"after"


# How the origin answers, as another way to the store each: with a length, without one, to a request that is not shared.
ON_ITS_WAY = {"filled": ([], []), "streamed": ([], [("Transfer-Encoding", "chunked")]),
              "passed": (["-H", "Authorization: Basic eDp5"], [("Cache-Control", "public, max-age=3600")])}


@pytest.mark.parametrize("way", ON_ITS_WAY)
@pytest.mark.parametrize("purge", ["{url}", "--prefix {folder}", "--origin packages"])
def test_answer_that_was_asked_for_before_a_purge_is_not_kept_after_it(rules_node, rules_origin, script, way, purge):
    options, fields = ON_ITS_WAY[way]
    path = f"/purged-{way}/{purge.strip('-{}').partition(' ')[0]}"
    purged = threading.Event()

    def answer(seen):
        is_first = len(rules_origin.requests(path)) == 1
        assert not is_first or purged.wait(10)
        body = b"before" if is_first else b"after"
        if ("Transfer-Encoding", "chunked") in fields:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        return 200, [FRESH, *fields], body

    script[path] = [answer]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(rules_node.get, path, *options)
        rules_origin.wait_for(path, 1)
        text = purge.format(url=f"http://packages.test{path}", folder=f"http://packages.test/purged-{way}/")
        rules_node.cli("cache", "purge", *text.split())
        purged.set()
        assert slow.result(15).body == b"before"
    assert rules_node.get(path).body == b"after"
    assert rules_node.get(path).is_hit


def test_post_that_names_its_own_target_answers_a_later_get(rules_node, rules_origin, script):
    script["/form"] = [(200, [FRESH, ("Content-Location", "/form")], b"made")]
    assert rules_node.get("/form", "--data", "a=b").body == b"made"
    assert rules_node.get("/form").is_hit
    assert len(rules_origin.requests("/form")) == 1
