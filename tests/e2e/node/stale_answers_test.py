"""What is stale, and what may still be done with it (RFC 9111 section 4.2.4, RFC 5861): served, confirmed, taken back."""

import concurrent.futures
import os
import threading

import pytest
from support.faketime import FakeTime
from support.larder import Node, origin_table
from support.scripted_origin import ScriptedOrigin, conditional
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


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


def test_origin_that_is_gone_is_stood_in_for_a_day(tmp_path):
    fields = [("Cache-Control", "max-age=1"), ("ETag", '"1"'), ("Connection", "close")]
    origin = ScriptedOrigin(lambda seen: (200, fields, b"x")).start()
    clock = FakeTime(tmp_path)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], environment=clock.environment).start()
    try:
        assert node.get("/kept").status == 200
        origin.stop()
        clock.advance(23 / 24)
        answer = node.get("/kept")
        assert (answer.status, answer.body) == (200, b"x")
        assert "fwd=stale" in answer.cache_status and int(answer.headers["age"]) >= 23 * 3600
        wait_until(lambda: "stale-origin-unreachable" in (node.state / "log/access.log").read_text())
        assert node.get("/kept", "--head").status == 200
        clock.advance(2 / 24)
        assert node.get("/kept").status == 502
        assert node.get("/kept", "--head").status == 502
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


@pytest.mark.parametrize("trouble", [500, 503, 408, 425, 429])
def test_stale_answer_stands_in_for_a_failing_origin_unless_forbidden(rules_node, script, trouble):
    told = 503 if trouble < 500 else trouble  # no client is told a 4xx that passes
    for name, control, status in (("/sie", "max-age=0, stale-if-error=600", 200), ("/plain", "max-age=0", 200),
                                  ("/strict", "max-age=0, must-revalidate", told), ("/asked", "no-cache", told)):
        target = f"{name}/{trouble}"
        script[target] = [(200, [("Cache-Control", control), ("ETag", '"1"')], b"x"), (trouble, [], b"no")]
        rules_node.get(target)
        answer = rules_node.get(target)
        assert (answer.status, answer.body == b"x") == (status, status == 200), (target, answer)
        if status == 200:
            assert f"fwd=stale; fwd-status={trouble}" in answer.cache_status


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
