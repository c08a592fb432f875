"""What RFC 9111, 9110, 9211 and 9213 ask of a shared cache, where a whole node has to do it. What is stale, variants, changes
and HEAD have files of their own."""

import concurrent.futures
import email.utils
import threading
import time

import pytest
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


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
