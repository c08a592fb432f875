"""HEAD: answered from a stored GET, and what the answer to one that is forwarded tells of it."""

import pytest
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


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


@pytest.mark.parametrize("how", [500, 503, 408, 425, 429, "cut"])
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
