"""What RFC 9111, 9110, 5861, 9211 and 9213 ask of a shared cache, where a whole node has to do it."""

import concurrent.futures
import email.utils
import json
import os
import threading
import time

import pytest

from support.larder import Node, origin_table
from support.scripted_origin import ScriptedOrigin
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


@pytest.fixture(scope="module")
def script():
    """What the origin answers: by target, a list whose last item repeats, of (status, fields, body) or functions."""
    return {}


@pytest.fixture(scope="module")
def rules_origin(script):
    def answer(seen):
        answers = script[seen.target]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return found(seen) if callable(found) else found

    origin = ScriptedOrigin(answer).start()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def rules_node(folder, rules_origin):
    node = Node(folder / "rules", origins=[
        origin_table(rules_origin, hosts=["packages.test"], methods=["*"], vary_ignore=["X-Ignored"])]).start()
    yield node
    node.stop()


def conditional(tag, fields, body):
    """304 for the tag, else 200 with it."""
    def answer(seen):
        if seen.headers.get("if-none-match") == tag:
            return 304, [*fields, ("ETag", tag)], b""
        return 200, [*fields, ("ETag", tag)], body
    return answer


def test_stale_while_revalidate_answers_at_once_and_asks_behind(rules_node, rules_origin, script):
    old = ("Cache-Control", "max-age=1, stale-while-revalidate=600")
    script["/swr"] = [(200, [old, ("ETag", '"1"')], b"old"), (200, [FRESH, ("ETag", '"2"')], b"new")]
    assert rules_node.get("/swr").body == b"old"
    wait_until(lambda: int(rules_node.get("/swr", "--head").headers["age"]) >= 1, what="stale")
    assert rules_node.get("/swr").body in (b"old", b"new")
    asked = rules_origin.wait_for("/swr", 2)
    assert asked[1].headers["if-none-match"] == '"1"'
    wait_until(lambda: rules_node.get("/swr").body == b"new", what="the new representation")
    assert len(rules_origin.requests("/swr")) == 2


def test_background_revalidation_by_304_makes_it_fresh_again(rules_node, rules_origin, script):
    script["/swr304"] = [(200, [("Cache-Control", "max-age=1, stale-while-revalidate=600"), ("ETag", '"1"')], b"x"),
                         conditional('"1"', [FRESH], b"x")]
    rules_node.get("/swr304")
    wait_until(lambda: rules_node.get("/swr304").headers.get("cache-control") == "max-age=3600", what="refreshed")
    answer = rules_node.get("/swr304")
    assert answer.is_hit and answer.body == b"x"
    assert len(rules_origin.requests("/swr304")) == 2


GONE = [(404, [], b"gone"), (410, [("Cache-Control", "no-store")], b"gone"),
        (200, [("Cache-Control", "private")], b"for one"), (401, [("WWW-Authenticate", "Basic")], b"who?")]


@pytest.mark.parametrize("gone", GONE, ids=lambda gone: str(gone[0]))
def test_what_the_origin_took_away_behind_a_stale_answer_is_not_given_again(rules_node, rules_origin, script, gone):
    target = f"/taken/{gone[0]}"
    script[target] = [(200, [("Cache-Control", "max-age=1, stale-while-revalidate=600"), ("ETag", '"1"')], b"old"), gone]
    assert rules_node.get(target).body == b"old"
    wait_until(lambda: rules_node.get(target).body == gone[2], what="the origin's word")
    assert rules_node.get(target, "-H", "Cache-Control: only-if-cached").status == 504


@pytest.mark.parametrize("gone", GONE, ids=lambda gone: str(gone[0]))
def test_what_the_origin_took_away_stands_in_for_nothing(rules_node, rules_origin, script, gone):
    target = f"/taken-away/{gone[0]}"
    script[target] = [(200, [("Cache-Control", "max-age=0"), ("ETag", '"1"')], b"old"), gone, (500, [], b"broken")]
    assert rules_node.get(target).body == b"old"
    assert rules_node.get(target).body == gone[2]
    assert rules_node.get(target, "-H", "Cache-Control: max-stale, only-if-cached").status == 504
    assert rules_node.get(target).body != b"old"


def test_refusal_of_a_signature_takes_nothing_away(tmp_path, rules_origin, script):
    node = Node(tmp_path / "signed", origins=[
        origin_table(rules_origin, hosts=["packages.test"], public=True, ignore_query=["sig"])]).start()
    old = [("Cache-Control", "max-age=0"), ("ETag", '"1"')]
    script["/signed?sig=1"] = [(200, old, b"old")]
    script["/signed?sig=2"] = [(403, [], b"no")]
    try:
        assert node.get("/signed?sig=1").body == b"old"
        assert node.get("/signed?sig=2").status == 403
        script["/signed?sig=1"] = [conditional('"1"', old[:1], b"new")]
        assert node.get("/signed?sig=1").body == b"old"
    finally:
        node.stop()


def test_background_revalidation_keeps_all_of_a_new_answer_that_cannot_be_completed_later(rules_node, rules_origin, script):
    old, new = os.urandom(24 << 20), os.urandom(24 << 20)
    script["/whole"] = [(200, [("Cache-Control", "max-age=1, stale-while-revalidate=600")], old), (200, [FRESH], new)]
    assert rules_node.get("/whole").body == old
    wait_until(lambda: int(rules_node.get("/whole", "--head").headers["age"]) >= 1, what="stale")
    assert rules_node.get("/whole", "--range", "0-9").status == 206
    rules_origin.wait_for("/whole", 2)
    rules_node.wait_until_stored()
    answer = rules_node.get("/whole")
    assert answer.body == new and answer.is_hit
    assert len(rules_origin.requests("/whole")) == 2


def test_variants_of_one_url_are_kept_beside_each_other(rules_node, rules_origin, script):
    script["/vary"] = [lambda seen: (200, [FRESH, ("Vary", "Foo, X-Ignored")], seen.headers.get("foo", "-").encode())]
    for round_number in range(2):
        for value in range(8):
            answer = rules_node.get("/vary", "-H", f"Foo: {value}", "-H", f"X-Ignored: {round_number}{value}")
            assert answer.body == str(value).encode()
            assert answer.is_hit == (round_number == 1), answer
    assert len(rules_origin.requests("/vary")) == 8
    assert "fwd=vary-miss" in rules_node.get("/vary", "-H", "Foo: other").cache_status


def stored_of(node, path):
    listed = json.loads(node.cli("cache", "list", "--json").stdout)["objects"]
    return len([item for item in listed if item["url"] == "http://packages.test" + path])


def test_purge_of_a_url_takes_its_variants_along(rules_node, rules_origin, script):
    script["/purged"] = [lambda seen: (200, [FRESH, ("Vary", "Foo")], seen.headers["foo"].encode())]
    for value in (1, 2, 3):
        rules_node.get("/purged", "-H", f"Foo: {value}")
    assert stored_of(rules_node, "/purged") == 3
    done = rules_node.cli("cache", "purge", "--json", "http://packages.test/purged")
    assert json.loads(done.stdout)["objects"] == 3
    assert stored_of(rules_node, "/purged") == 0
    assert not any(rules_node.get("/purged", "-H", f"Foo: {value}").is_hit for value in (1, 2, 3))


def test_pin_of_a_url_pins_its_variants(rules_node, script):
    script["/pinned"] = [lambda seen: (200, [FRESH, ("Vary", "Foo")], seen.headers["foo"].encode())]
    for value in (1, 2):
        rules_node.get("/pinned", "-H", f"Foo: {value}")
    rules_node.cli("cache", "pin", "http://packages.test/pinned")
    rules_node.get("/pinned", "-H", "Foo: 3")

    def pinned():
        listed = json.loads(rules_node.cli("cache", "list", "--json").stdout)["objects"]
        return [item["pinned"] for item in listed if item["url"].endswith("/pinned")]

    wait_until(lambda: pinned() == [True] * 3, what="all variants pinned")
    rules_node.cli("cache", "unpin", "http://packages.test/pinned")
    wait_until(lambda: pinned() == [False] * 3, what="none pinned")


def test_more_variants_than_places_are_still_right(rules_node, script):
    script["/many"] = [lambda seen: (200, [FRESH, ("Vary", "Foo")], seen.headers["foo"].encode())]
    for value in [*range(40), *range(40)]:
        assert rules_node.get("/many", "-H", f"Foo: {value}").body == str(value).encode()


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
    assert stored_of(rules_node, "/thing") == 2
    assert rules_node.get("/thing", "-X", "PUT", "--data", "good").status == 204
    assert stored_of(rules_node, "/thing") == 0
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


@pytest.mark.parametrize("directive, status", [("must-revalidate", 504), ("proxy-revalidate", 504), ("no-cache", 504),
                                               ("stale-if-error=600", 200)])
def test_what_must_be_validated_is_a_gateway_timeout_without_its_origin(tmp_path, directive, status):
    fields = [("Cache-Control", f"max-age=1, {directive}"), ("ETag", '"1"'), ("Connection", "close")]
    origin = ScriptedOrigin(lambda seen: (200, fields, b"x")).start()
    node = Node(tmp_path / "node", origins=[origin_table(origin, methods=["*"])]).start()
    try:
        assert node.get("/kept").status == 200
        origin.stop()
        wait_until(lambda: not node.get("/kept").is_hit, what="stale")
        assert node.get("/kept").status == status
        assert node.get("/never").status == 502
    finally:
        node.stop()


def test_what_finds_no_connection_to_its_origin_is_refused_before_clients_give_up(tmp_path):
    goes_on = threading.Event()

    def answer(seen):
        goes_on.wait(60)
        return 200, [FRESH], b"late"

    origin = ScriptedOrigin(answer).start()
    node = Node(tmp_path / "node", origins=[origin_table(origin)], max_connections_per_origin=8).start()
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            held = [pool.submit(node.get, f"/held/{number}") for number in range(8)]
            wait_until(lambda: len(origin.seen) == 8, what="every connection taken")
            assert node.get("/one-more").status == 503
            goes_on.set()
            assert [each.result(30).status for each in held] == [200] * 8
        assert node.get("/one-more").status == 200
    finally:
        goes_on.set()
        node.stop()
        origin.stop()


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


def test_head_is_answered_from_a_stored_get_and_renews_a_stale_one(rules_node, rules_origin, script):
    script["/head"] = [(200, [("Cache-Control", "max-age=1"), ("ETag", '"1"'), ("X-A", "1")], b"body"),
                       (200, [FRESH, ("ETag", '"1"'), ("X-A", "2"), ("Content-Length", "4")], b"")]
    rules_node.get("/head")
    wait_until(lambda: rules_node.get("/head", "--head").headers["x-a"] == "2", what="HEAD goes to the origin")
    answer = rules_node.get("/head")
    assert answer.is_hit and answer.body == b"body" and answer.headers["x-a"] == "2"
    assert [seen.method for seen in rules_origin.requests("/head")] == ["GET", "HEAD"]


def test_head_that_tells_of_another_representation_ends_the_stored_one(rules_node, rules_origin, script):
    script["/head2"] = [(200, [("Cache-Control", "max-age=1"), ("ETag", '"1"')], b"body"),
                        (200, [FRESH, ("ETag", '"2"'), ("Content-Length", "7")], b""),
                        (200, [FRESH, ("ETag", '"2"')], b"another")]
    rules_node.get("/head2")
    wait_until(lambda: rules_node.get("/head2", "--head").headers["etag"] == '"2"', what="HEAD goes to the origin")
    assert rules_node.get("/head2").body == b"another"


def test_head_of_one_client_renews_nothing_for_the_others(rules_node, rules_origin, script):
    def answer(seen):
        fields = [("Cache-Control", "max-age=0"), ("ETag", '"1"')]
        if seen.method == "HEAD":
            own = [("Set-Cookie", "s=alice")] if "cookie" in seen.headers else []
            return 200, [*fields, *own, ("X-User", seen.headers.get("cookie", "nobody")), ("Content-Length", "4")], b""
        return (304 if "if-none-match" in seen.headers else 200), fields, b"" if "if-none-match" in seen.headers else b"body"
    script["/head3"] = [answer]
    rules_node.get("/head3")
    own = rules_node.get("/head3", "--head", "-H", "Cookie: alice")
    assert own.headers["x-user"] == "alice" and own.headers["set-cookie"] == "s=alice"
    other = rules_node.get("/head3")
    assert other.body == b"body" and "x-user" not in other.headers and "set-cookie" not in other.headers
    rules_node.get("/head3", "--head")
    other = rules_node.get("/head3")
    assert other.headers["x-user"] == "nobody" and "set-cookie" not in other.headers


def test_confirmation_brings_no_cookie_and_takes_back_what_is_not_for_all(rules_node, script):
    old = [("Cache-Control", "max-age=0"), ("ETag", '"1"')]
    script["/confirmed"] = [
        (200, [*old, ("X-User", "alice")], b"body"),
        (304, [("ETag", '"1"'), ("Set-Cookie", "session=alice")], b""),
        (304, [("ETag", '"1"')], b""),
        (304, [("Cache-Control", 'max-age=0, private="X-User"'), ("ETag", '"1"')], b""),
        (304, [("ETag", '"1"')], b"")]
    answers = [rules_node.get("/confirmed") for _ in range(5)]
    assert all(answer.status == 200 and "set-cookie" not in answer.headers for answer in answers)
    assert [answer.headers.get("x-user") for answer in answers] == ["alice", "alice", "alice", None, None]


@pytest.mark.parametrize("asked, status", [
    ('If-Match: "x"', 412), ('If-None-Match: "1"', 304), ("Range: bytes=0-1", 206), ("Accept-Encoding: gzip", 200),
    ("Cookie: u=alice", 200), ("X-Signature: bad", 403), ("X-Signature: none", 404)])
def test_head_that_asks_for_something_else_changes_nothing_stored(rules_node, rules_origin, script, asked, status):
    target = "/head-of-another/" + asked.replace(" ", "").replace('"', "")

    def answer(seen):
        if seen.method == "GET":
            return 200, [FRESH, ("ETag", '"1"')], b"body"
        fields = [FRESH, ("ETag", '"another"' if status == 200 else '"1"')]
        return status, fields + [("Content-Range", "bytes 0-1/4"), ("Content-Length", "2")] * (status == 206), b""
    script[target] = [answer]
    rules_node.get(target)
    told = rules_node.get(target, "--head", "-H", "Cache-Control: no-cache", "-H", asked)
    assert told.status == status
    answer = rules_node.get(target)
    assert answer.is_hit and answer.body == b"body" and answer.headers["etag"] == '"1"'


@pytest.mark.parametrize("how", [500, 503, "cut"])
def test_stale_answer_stands_in_for_a_head_too(rules_node, rules_origin, script, how):
    def failing(seen):
        if how == "cut":
            raise ConnectionError("as asked")
        return how, [], b""
    target = f"/head-of-failing/{how}"
    script[target] = [(200, [("Cache-Control", "max-age=1, stale-if-error=600"), ("ETag", '"1"')], b"body"), failing]
    rules_node.get(target)
    told = wait_until(lambda: (lambda got: "fwd=stale" in got.cache_status and got)(rules_node.get(target, "--head")),
                      what="HEAD goes to the origin")
    assert told.status == 200 and told.headers["etag"] == '"1"' and told.headers["content-length"] == "4"
    assert rules_node.get(target).body == b"body"


@pytest.mark.parametrize("status", [204, 302, 307, 404, 410, 500, 503])
def test_any_final_status_with_explicit_freshness_is_kept(rules_node, rules_origin, script, status):
    target = f"/status/{status}"
    script[target] = [(status, [FRESH, ("Location", "/elsewhere")], b"" if status == 204 else b"text")]
    first, second = rules_node.get(target), rules_node.get(target)
    assert first.status == second.status == status
    assert first.body == second.body
    assert second.is_hit and len(rules_origin.requests(target)) == 1
    assert ("content-length" in second.headers) == (status != 204)


@pytest.mark.parametrize("status", [408, 425, 429])
def test_passing_trouble_is_503_and_never_kept(rules_node, rules_origin, script, status):
    target = f"/trouble/{status}"
    script[target] = [(status, [FRESH], b"wait"), (200, [FRESH], b"good")]
    assert rules_node.get(target).status == 503
    assert rules_node.get(target).body == b"good"


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("fields, passed_on", [
    ([("Retry-After", "7")], "7"),
    ([("Retry-After", "604800")], "86400"),
    ([("Date", DATE), ("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")], "60"),  # by the origin's own clock
    ([("Date", DATE), ("Retry-After", DATE)], "0"),
    ([("Retry-After", "soon")], None),
    ([("Retry-After", "7"), ("Retry-After", "9")], None),
    ([], None)])
def test_wait_that_the_origin_asks_for_is_passed_on(rules_node, script, fields, passed_on):
    script["/wait"] = [(429, [*fields, ("Set-Cookie", "a=b"), ("X-Other", "1")], b"wait")]
    answer = rules_node.get("/wait")
    assert (answer.status, answer.headers.get("retry-after")) == (503, passed_on)
    assert not answer.headers.keys() & {"set-cookie", "x-other"}


@pytest.mark.parametrize("status", [203, 204])
def test_kept_status_that_is_no_file_is_never_one_for_a_delivery_optimization_client(rules_node, script, status):
    target = f"/no-file/{status}"
    script[target] = [(status, [FRESH], b"" if status == 204 else b"text")]
    assert rules_node.get(target).status == rules_node.get(target).status == status
    assert rules_node.get(target, "--user-agent", "Microsoft-Delivery-Optimization-Lite/10.0.0.1").status == 502


def test_date_is_the_origins_and_age_counts(rules_node, script):
    then = email.utils.formatdate(time.time() - 100, usegmt=True)
    script["/date"] = [(200, [FRESH, ("Date", then)], b"x")]
    rules_node.get("/date")
    answer = rules_node.get("/date")
    assert answer.is_hit and answer.headers["date"] == then and int(answer.headers["age"]) >= 100


def test_date_and_age_that_cannot_be_read_are_not_passed_on(rules_node, script):
    script["/odd-times"] = [(200, [("Cache-Control", "no-store"), ("Date", "nonsense"), ("Age", "-5")], b"x"),
                            (200, [("Cache-Control", "no-store"), ("Date", "Sun, 01 Nov 2026 00:00:00 GMT"), ("Age", "7")], b"x")]
    odd = rules_node.get("/odd-times").headers
    assert email.utils.parsedate_to_datetime(odd["date"]) and "age" not in odd
    right = rules_node.get("/odd-times").headers
    assert (right["date"], right["age"]) == ("Sun, 01 Nov 2026 00:00:00 GMT", "7")


def test_condition_for_the_origin_is_judged_by_the_origin(rules_node, rules_origin, script):
    script["/if"] = [(200, [FRESH, ("ETag", '"1"')], b"x"), (412, [], b"")]
    rules_node.get("/if")
    assert rules_node.get("/if", "-H", 'If-Match: "0", "1"').is_hit
    refused = rules_node.get("/if", "-H", 'If-Match: "2"')
    assert refused.status == 412 and "fwd=request" in refused.cache_status
    assert rules_origin.requests("/if")[1].headers["if-match"] == '"2"'
    only = ("-H", "Cache-Control: only-if-cached")
    assert rules_node.get("/if", "-H", 'If-Match: "1"', *only).is_hit
    assert rules_node.get("/if", "-H", 'If-Match: "2"', *only).status == 504
    assert len(rules_origin.requests("/if")) == 2


@pytest.mark.parametrize("kind", ["no-store", "private", "chunked"])
@pytest.mark.parametrize("condition", ['If-Match: "1"', "If-Unmodified-Since: Thu, 01 Oct 2026 00:00:00 GMT"])
def test_condition_for_the_origin_is_judged_by_it_also_where_nothing_is_stored_yet(rules_node, rules_origin, script, kind,
                                                                                   condition):
    """A resume that must not mix two versions gets no byte of the new one."""
    def answer(seen):
        if "if-match" in seen.headers or "if-unmodified-since" in seen.headers:
            return 412, [], b""
        fields = [("ETag", '"2"'), ("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")]
        if kind == "chunked":
            return 200, [*fields, FRESH, ("Transfer-Encoding", "chunked")], b"5\r\nafter\r\n0\r\n\r\n"
        return 200, [*fields, ("Cache-Control", kind)], b"after"
    for way, more in [("whole", []), ("part", ["-H", "Range: bytes=2-"])]:
        target = f"/if-first/{kind}/{condition.split(':')[0]}/{way}"
        script[target] = [answer]
        for _ in range(2):
            assert rules_node.get(target, "-H", condition, *more).status == 412
        assert rules_node.get(target).body == b"after"


def test_who_is_known_to_the_origin_gets_its_answer_to_him(rules_node, rules_origin, script):
    def answer(seen):
        if "cookie" not in seen.headers:
            return 302, [("Location", "/login"), ("Cache-Control", "no-store")], b""
        return 200, [FRESH, ("Vary", "*")], b"page of " + seen.headers["cookie"].encode()
    script["/account"] = [answer]
    for _ in range(2):
        assert rules_node.get("/account", "-H", "Cookie: u=alice").body == b"page of u=alice"
    assert rules_node.get("/account").status == 302


def test_authorization_is_shared_only_where_the_origin_says_so(rules_node, rules_origin, script):
    script["/mine"] = [(200, [FRESH], b"mine")]
    script["/ours"] = [(200, [("Cache-Control", "public, max-age=3600")], b"ours")]
    for target in ("/mine", "/ours"):
        rules_node.get(target, "-H", "Authorization: Basic eDp5")
        assert rules_origin.requests(target)[0].headers["authorization"] == "Basic eDp5"
    assert not rules_node.get("/mine").is_hit
    assert rules_node.get("/ours").is_hit


@pytest.mark.parametrize("control", ["public, max-age=600", "max-age=600, must-revalidate"])
@pytest.mark.parametrize("name, values", [("Authorization", ("Bearer a", "Bearer b")), ("Cookie", ("u=a", "u=b"))])
def test_what_varies_by_who_asks_is_shared_among_those_who_do_not_say(rules_node, rules_origin, script, name, values, control):
    target = f"/who/{name}/{control.replace(' ', '')}"
    script[target] = [lambda seen: (200, [("Cache-Control", control), ("Vary", name)],
                                    f"for {seen.headers.get(name.lower())}".encode())]
    for value in (values[0], values[1], values[0]):
        answer = rules_node.get(target, "-H", f"{name}: {value}")
        assert answer.body == f"for {value}".encode() and not answer.is_hit
    wait_until(lambda: rules_node.get(target).is_hit, what="the answer for all")
    assert rules_node.get(target).body == b"for None"
    answer = rules_node.get(target, "-H", f"{name}: {values[1]}")
    assert answer.body == f"for {values[1]}".encode() and not answer.is_hit
    assert rules_node.get(target).is_hit


def test_post_that_names_its_own_target_answers_a_later_get(rules_node, rules_origin, script):
    script["/form"] = [(200, [FRESH, ("Content-Location", "/form")], b"made")]
    assert rules_node.get("/form", "--data", "a=b").body == b"made"
    assert rules_node.get("/form").is_hit
    assert len(rules_origin.requests("/form")) == 1


def test_targeted_directives_win_where_they_are_a_dictionary(rules_node, script):
    never = ("Cache-Control", "no-store")
    script["/cdn"] = [(200, [never, ("CDN-Cache-Control", "max-age=600")], b"x")]
    script["/cdn-bad"] = [(200, [never, ("CDN-Cache-Control", "max-age=600, &&")], b"x")]
    for target, hit in (("/cdn", True), ("/cdn-bad", False)):
        rules_node.get(target)
        assert rules_node.get(target).is_hit == hit


def test_fields_named_by_directives_or_connection_are_not_kept(rules_node, script):
    script["/fields"] = [(200, [("Cache-Control", 'max-age=600, no-cache="X-Once", private="X-Mine"'),
                                ("Connection", "X-Hop"), ("X-Once", "1"), ("X-Mine", "1"), ("X-Hop", "1"),
                                ("X-Kept", "1")], b"x")]
    rules_node.get("/fields")
    answer = rules_node.get("/fields")
    assert answer.is_hit and answer.headers["x-kept"] == "1"
    assert not {"x-once", "x-mine", "x-hop"} & set(answer.headers)


@pytest.mark.parametrize("frame, body", [([], b"body"), ([("Transfer-Encoding", "chunked")], b"4\r\nbody\r\n0\r\n\r\n")],
                         ids=["length", "chunked"])
def test_fields_for_one_client_go_to_the_one_whose_request_brought_them(rules_node, rules_origin, script, frame, body):
    target = f"/login/{len(frame)}"
    comes = threading.Event()

    def answer(_):
        assert comes.wait(20)
        return 200, [("Cache-Control", 'max-age=600, private="Set-Cookie", no-cache="X-User"'), ("Set-Cookie", "s=1"),
                     ("X-User", "alice"), *frame], body

    script[target] = [answer]
    with concurrent.futures.ThreadPoolExecutor() as threads:
        asked = [threads.submit(rules_node.get, target) for _ in range(4)]
        rules_origin.wait_for(target, 1)
        comes.set()
        answers = [one.result() for one in asked]
    wait_until(lambda: rules_node.get(target).is_hit, what="stored")
    answers.append(rules_node.get(target))
    assert all(one.body == b"body" for one in answers) and len(rules_origin.requests(target)) == 1
    theirs = [(one.headers.get("set-cookie"), one.headers.get("x-user")) for one in answers]
    assert theirs.count(("s=1", "alice")) == 1 and theirs.count((None, None)) == 4


def test_stale_answer_stands_in_for_a_failing_origin_unless_forbidden(rules_node, script):
    for target, control, status in (("/sie", "max-age=0, stale-if-error=600", 200),
                                    ("/strict", "max-age=0, must-revalidate", 503)):
        script[target] = [(200, [("Cache-Control", control), ("ETag", '"1"')], b"x"), (503, [], b"no")]
        rules_node.get(target)
        assert rules_node.get(target).status == status


def test_stale_answer_that_stands_in_says_that_nothing_was_stored(rules_node, script):
    script["/stands-in"] = [(200, [("Cache-Control", "max-age=0, stale-if-error=600"), ("ETag", '"1"')], b"old"),
                            (500, [], b"broken")]
    rules_node.get("/stands-in")
    answer = rules_node.get("/stands-in")
    assert answer.body == b"old" and "fwd=stale; fwd-status=500" in answer.cache_status
    assert "stored" not in answer.cache_status


def test_error_with_a_lifetime_does_not_replace_what_stands_in_for_errors(rules_node, script):
    good = [("Cache-Control", "max-age=0, stale-if-error=600"), ("ETag", '"1"')]
    script["/outlasts"] = [(200, good, b"good"), (503, [("Cache-Control", "max-age=60")], b"broken"),
                           conditional('"1"', good, b"another")]
    for _ in range(3):
        answer = rules_node.get("/outlasts")
        assert (answer.status, answer.body) == (200, b"good")
    assert "fwd-status=304" in answer.cache_status


@pytest.mark.parametrize("control", ["max-age=60", "no-store"])
def test_answer_has_one_request_id_and_that_is_the_nodes(rules_node, script, control):
    target = f"/request-id/{control}"
    script[target] = [(200, [("Cache-Control", control), ("X-Request-Id", "origins")], b"x")]
    first, second = (rules_node.get(target) for _ in range(2))
    for answer in (first, second):
        assert answer.raw_headers.lower().count("\nx-request-id:") == 1
    assert "origins" != first.headers["x-request-id"] != second.headers["x-request-id"] != "origins"


def test_fills_tell_the_origin_what_was_asked_but_not_by_whom(rules_node, rules_origin, script):
    script["/told"] = [(200, [FRESH], b"x")]
    rules_node.get("/told", "-H", "X-Choice: a", "-H", "Cookie: c", "-H", "Accept-Encoding: gzip",
                   "-H", "X-Forwarded-Host: evil.test", "-H", "If-None-Match: *")
    seen = rules_origin.requests("/told")[0].headers
    assert seen["x-choice"] == "a"
    assert not {"cookie", "accept-encoding", "x-forwarded-host", "if-none-match"} & set(seen)


def test_several_ranges_of_stored_bytes_come_in_parts(rules_node, rules_origin, script):
    data = bytes(i * 7 % 251 for i in range(3 << 20))
    script["/parts"] = [(200, [FRESH, ("Content-Type", "text/x")], data)]
    ranges = ["-r", "1000000-1100000,0-9,-5"]
    first = rules_node.get("/parts", *ranges)
    assert first.body == data and first.status == 200, "without a validator nothing is put together: the whole"
    wait_until(lambda: rules_node.get("/parts", *ranges).status == 206, what="every part is stored")
    answer = rules_node.get("/parts", *ranges)
    assert int(answer.headers["content-length"]) == len(answer.body)
    size = len(data)
    assert answer.body.count(b"Content-Type: text/x\r\n") == 3
    assert answer.parts == [(f"bytes 1000000-1100000/{size}", data[1000000:1100001]),
                            (f"bytes 0-9/{size}", data[:10]), (f"bytes {size - 5}-{size - 1}/{size}", data[-5:])]
    joined = rules_node.get("/parts", "-r", "0-9,5-20,30-40")
    assert joined.headers["content-range"] == f"bytes 0-40/{size}" and joined.body == data[:41]
    assert rules_node.get("/parts", "-r", f"{size}-,{size + 5}-").status == 416
    assert rules_node.get("/parts", "-r", ",".join(f"{i * 1000}-{i * 1000}" for i in range(17))).status == 200
    assert len(rules_origin.requests("/parts")) == 1


def steps(node, *arguments):
    printed = node.cli("explain", *arguments).stdout
    return dict(line.split(": ", 1) for line in printed.splitlines())


def test_explain_says_what_would_be_done_and_why(rules_node, rules_origin, script):
    url = "http://packages.test/why"
    script["/why"] = [(200, [FRESH, ("ETag", '"1"'), ("Vary", "Foo")], b"0123456789")]
    before = steps(rules_node, url)
    assert before["stored"] == "nothing" and "because of: not stored" in before["decision"]
    rules_node.get("/why", "-H", "Foo: 1")
    rules_node.wait_until_stored()
    fresh = steps(rules_node, url, "--header", "Foo: 1", "--header", "Range: bytes=2-4")
    assert fresh["target"] == "the origin is packages.test, named by Host"
    assert "[[origin]] packages" in fresh["origin"] and rules_origin.url in fresh["origin"]
    assert fresh["key"].startswith("http packages.test /why")
    assert "a 200 of 10 bytes, 1 of 1 slices here" in fresh["stored"] and "varies by foo" in fresh["stored"]
    assert fresh["freshness"].startswith("lifetime 3600 s by max-age, age ")
    assert fresh["decision"] == "answered from the cache, because it is fresh"
    assert fresh["answer"].startswith("206, 3 bytes from 2 on")
    parts = json.loads(rules_node.cli("explain", url, "--header", "Foo: 1", "--header", "Range: bytes=0-1,500-600,-3",
                                      "--json").stdout)
    assert parts["answer"] == {"status": 206, "first": 0, "length": 10}, "parts so near to each other are one"
    assert "no-cache of the request" in steps(rules_node, url, "--header", "Foo: 1", "--header",
                                              "Cache-Control: no-cache")["decision"]
    assert "chosen by other request fields" in steps(rules_node, url)["variant"]
    rules_node.get("/why")
    assert "another variant" in steps(rules_node, url)["variant"]
    assert "refused with 403" in steps(rules_node, "http://unknown.test/")["decision"]
    assert "forwarded for this client alone" in steps(rules_node, url, "--method", "PUT")["decision"]
    facts = json.loads(rules_node.cli("explain", url, "--header", "Foo: 1", "--json").stdout)
    assert facts["decision"] == {"kind": "serve", "reason": "fresh"}
    assert facts["freshness"]["lifetime"] == 3600 and facts["stored"]["slices_stored"] == 1
    assert len(rules_origin.requests("/why")) == 2, "explaining asks no origin"


def test_explain_refuses_what_is_no_request(rules_node):
    for arguments in (["ftp://packages.test/"], ["http://packages.test/ x"], ["http://packages.test/", "--method", "A B"],
                      ["http://packages.test/", "--header", "A: b\r\nC: d"], ["http://packages.test/", "--header", "A"]):
        done = rules_node.cli("explain", *arguments, check=False)
        assert done.returncode == 1 and "cannot explain" in done.stderr, arguments
