"""Answers that may not be shared: nobody waits for somebody else's, and one that may be shared is again."""

import concurrent.futures
import threading

import pytest

from support.bad_origin import Thing
from support.wait import wait_until

MIB = 1 << 20


class Crowd:
    """A script whose first request is answered when `clients` have come to the node, and whose others are answered
    when so many of them are at the origin at the same time."""

    def __init__(self, together, answer):
        self.first, self.waiting = threading.Event(), threading.Event()
        self.barrier, self.answer = threading.Barrier(together), answer

    def __call__(self, request, connection):
        if not self.first.is_set():
            self.first.set()
            assert self.waiting.wait(20)
        elif not self.waiting.is_set():
            pass  # asked by itself: not what is looked at
        else:
            try:
                self.barrier.wait(10)
            except threading.BrokenBarrierError:
                connection.head(500, "One After The Other", content_length=0)
                return
        self.answer(connection)


def all_at_once(node, path, clients, crowd=None):
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = [pool.submit(node.get, path) for _ in range(clients)]
        if crowd is not None:
            wait_until(lambda: crowd.first.is_set() and node.metric("larder_connections") >= clients)
            crowd.waiting.set()
        return [answer.result() for answer in answers]


@pytest.mark.parametrize("status, reason, fields", [(401, "Unauthorized", {"www_authenticate": 'Basic realm="a"'}),
                                                    (403, "Forbidden", {})])
def test_refusal_reaches_everybody_at_once(bad_node, bad_origin, status, reason, fields):
    path = f"/refused-{status}"
    crowd = Crowd(8, lambda connection: connection.head(status, reason, content_length=0, **fields))
    bad_origin.scripts[path] = crowd
    answers = all_at_once(bad_node, path, 25, crowd)  # the first, and three times eight
    assert [answer.status for answer in answers] == [status] * 25
    assert all(answer.headers.get("www-authenticate") == fields.get("www_authenticate") for answer in answers)


def test_origin_that_asks_for_fewer_requests_gets_no_more_of_them(bad_node, bad_origin):
    crowd = Crowd(1, lambda connection: connection.head(429, "Too Many Requests", content_length=0, retry_after=9))
    bad_origin.scripts["/too-many"] = crowd
    answers = all_at_once(bad_node, "/too-many", 8, crowd)
    assert [(answer.status, answer.headers["retry-after"]) for answer in answers] == [(503, "9")] * 8
    # Who is connected may still have to ask.
    assert len(bad_origin.of("/too-many")) < 4


def test_answer_that_may_not_be_stored_is_waited_for_by_nobody_else(bad_node, bad_origin):
    data = b"a" * 1000

    def answer(connection):
        connection.head(200, content_length=len(data), cache_control="no-store")
        connection.send(data)
    crowd = Crowd(8, answer)
    crowd.waiting.set()
    bad_origin.scripts["/personal"] = crowd
    assert bad_node.get("/personal").body == data
    assert "the last answer was not to be shared" in bad_node.cli("explain", "http://packages.test/personal").stdout
    for _ in range(2):
        answers = all_at_once(bad_node, "/personal", 8)
        assert [answer.status for answer in answers] == [200] * 8
        assert all(answer.body == data for answer in answers)


def test_answer_that_may_be_stored_again_is(bad_node, bad_origin):
    personal, shared = Thing(2 * MIB, cache_control="no-store"), Thing(2 * MIB)
    bad_origin.scripts["/changes-its-mind"] = personal
    for _ in range(2):
        assert bad_node.get("/changes-its-mind").body == personal.data
    bad_origin.scripts["/changes-its-mind"] = shared
    answers = [bad_node.get("/changes-its-mind") for _ in range(3)]
    assert all(answer.body == shared.data for answer in answers)
    assert [answer.is_hit for answer in answers] == [False, False, True]
    assert len(bad_origin.of("/changes-its-mind")) == 4


def test_a_part_beyond_the_end_does_not_end_sharing(bad_node, bad_origin):
    thing = Thing(2 * MIB)

    def script(request, connection):
        if request.range is not None and request.range[0] >= len(thing.data):
            connection.head(416, "Range Not Satisfiable", content_length=0, content_range=f"bytes */{len(thing.data)}")
        else:
            thing.answer(request, connection)
    bad_origin.scripts["/beyond"] = script
    assert part_of(bad_node, "/beyond", 9 * MIB, 9 * MIB + 9).status == 416
    told = bad_node.cli("explain", "http://packages.test/beyond").stdout
    assert "the last answer was not to be shared" not in told
    assert part_of(bad_node, "/beyond", 0, 99).body == thing.data[:100]
    assert part_of(bad_node, "/beyond", 0, 99).is_hit


def test_one_bad_signature_does_not_end_sharing(bad_node, bad_origin):
    """Under a key without the signature a refusal says nothing of other clients' requests."""
    thing = Thing(2 * MIB)

    def script(request, connection):
        if request.query == "sig=bad":
            connection.head(403, "Forbidden", content_length=0)
        else:
            thing.answer(request, connection)
    bad_origin.scripts["/signed"] = script
    assert bad_node.get("/signed?sig=bad").status == 403
    assert bad_node.get("/signed?sig=1").body == thing.data
    assert bad_node.get("/signed?sig=2").is_hit


def part_of(node, path, first, last):
    return node.get(path, "--header", f"Range: bytes={first}-{last}")


def test_parts_of_a_short_object_without_a_validator_come_from_the_whole(bad_node, bad_origin):
    thing = bad_origin.scripts["/loose-short"] = Thing(3 * MIB, etag=None)
    for first in (5, MIB, 2 * MIB + 9):
        answer = part_of(bad_node, "/loose-short", first, first + 99)
        assert (answer.status, answer.body) == (206, thing.data[first:first + 100])
    assert answer.is_hit
    assert [request.range is None for request in bad_origin.of("/loose-short")] == [False, True]


def test_parts_of_a_long_object_without_a_validator_are_asked_for_once(bad_node, bad_origin):
    thing = bad_origin.scripts["/loose-long"] = Thing(9 * MIB, etag=None)
    asked = [(5, 104), (MIB, MIB + 99), (2 * MIB + 9, 3 * MIB)]
    for first, last in asked:
        answer = part_of(bad_node, "/loose-long", first, last)
        assert (answer.status, answer.body) == (206, thing.data[first:last + 1])
    # The first answer shows that what a fill asks for cannot be kept.
    assert [request.range for request in bad_origin.of("/loose-long")] == [(0, MIB - 1), *asked]
    assert bad_node.get("/loose-long").body == thing.data
    assert part_of(bad_node, "/loose-long", 5, 104).is_hit


def test_part_far_ahead_of_a_download_that_cannot_be_asked_for_in_parts_comes_at_once(bad_node, bad_origin):
    thing, go_on = Thing(40 * MIB, etag='W/"one"'), threading.Event()

    def script(request, connection):
        data = thing.begin(request, connection)
        connection.send(data[:MIB])
        if request.range is None:
            go_on.wait(30)
        connection.send(data[MIB:])
    bad_origin.scripts["/far"] = script
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = bad_node.metric("larder_origin_bytes_total") or 0
        whole = pool.submit(bad_node.get, "/far")
        wait_until(lambda: (bad_node.metric("larder_origin_bytes_total") or 0) > before, what="it has begun")
        part = bad_node.get("/far", "--range", f"{30 * MIB}-{30 * MIB + 99}")
        assert (part.status, part.body) == (206, thing.data[30 * MIB:30 * MIB + 100])
        assert not go_on.is_set()
        go_on.set()
        assert whole.result().body == thing.data


def test_first_client_with_a_cookie_does_not_part_those_without(bad_node, bad_origin):
    thing = Thing(2 * MIB, vary="Cookie")
    crowd = Crowd(1, lambda connection: None)

    def script(request, connection):
        crowd(request, connection)
        thing(request, connection)
    bad_origin.scripts["/cookie"] = script
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        known = pool.submit(bad_node.get, "/cookie", "--cookie", "who=alice")
        assert crowd.first.wait(20)
        others = [pool.submit(bad_node.get, "/cookie") for _ in range(8)]
        wait_until(lambda: bad_node.metric("larder_connections") >= 9)
        crowd.waiting.set()
        assert all(answer.result().body == thing.data for answer in [known, *others])
    asked = [request.field("Cookie") for request in bad_origin.of("/cookie")]
    assert asked.count("who=alice") == 1 and len(asked) <= 4, asked
