"""Several answers to one URL (Vary)."""

import json

import pytest
from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


def test_variants_of_one_url_are_kept_beside_each_other(rules_node, rules_origin, script):
    script["/vary"] = [lambda seen: (200, [FRESH, ("Vary", "Foo, X-Ignored")], seen.headers.get("foo", "-").encode())]
    for round_number in range(2):
        for value in range(8):
            answer = rules_node.get("/vary", "-H", f"Foo: {value}", "-H", f"X-Ignored: {round_number}{value}")
            assert answer.body == str(value).encode()
            assert answer.is_hit == (round_number == 1), answer
    assert len(rules_origin.requests("/vary")) == 8
    assert "fwd=vary-miss" in rules_node.get("/vary", "-H", "Foo: other").cache_status


def test_purge_of_a_url_takes_its_variants_along(rules_node, rules_origin, script):
    script["/purged"] = [lambda seen: (200, [FRESH, ("Vary", "Foo")], seen.headers["foo"].encode())]
    for value in (1, 2, 3):
        rules_node.get("/purged", "-H", f"Foo: {value}")
    assert rules_node.stored_of("/purged") == 3
    done = rules_node.cli("cache", "purge", "--json", "http://packages.test/purged")
    assert json.loads(done.stdout)["objects"] == 3
    assert rules_node.stored_of("/purged") == 0
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
