"""Several ranges in one request for an object that is not all here: the slices that they need are fetched, and no others."""

import socket
import threading

import pytest

from support.bad_origin import Thing
from support.wait import wait_until

MIB = 1 << 20
SIZE = 64 * MIB


def ask(node, path, *ranges):
    return node.get(path, "--range", ",".join(ranges))


def wanted(thing, *ranges):
    size = len(thing.data)
    return [(f"bytes {first}-{last}/{size}", thing.data[first:last + 1]) for first, last in ranges]


def fetched(origin, path):
    """The slices that the origin was asked for."""
    return sorted(index for seen in origin.of(path) for index in range(seen.range[0] // MIB, seen.range[1] // MIB + 1))


def test_of_an_unknown_object_only_what_is_needed_is_fetched(bad_node, bad_origin):
    thing = bad_origin.scripts["/cold"] = Thing(SIZE)
    for is_hit in (False, True):
        def asked():
            return ask(bad_node, "/cold", f"{50 * MIB}-{50 * MIB + 1023}", f"{20 * MIB}-{20 * MIB + 1023}")
        # The rest of the slices is on its way when the first answer has ended.
        answer = wait_until(lambda: (found := asked()).is_hit and found) if is_hit else asked()
        assert answer.status == 206 and int(answer.headers["content-length"]) == len(answer.body)
        assert answer.parts == wanted(thing, (50 * MIB, 50 * MIB + 1023), (20 * MIB, 20 * MIB + 1023))
    assert answer.is_hit and "fwd=" not in answer.cache_status
    assert fetched(bad_origin, "/cold") == [20, 50]
    assert bad_origin.sent("/cold") < 3 * MIB


def test_the_end_is_found_first(bad_node, bad_origin):
    thing = bad_origin.scripts["/suffix"] = Thing(SIZE)
    answer = ask(bad_node, "/suffix", f"{9 * MIB}-{9 * MIB}", "-1000")
    assert answer.parts == wanted(thing, (9 * MIB, 9 * MIB), (SIZE - 1000, SIZE - 1))
    assert fetched(bad_origin, "/suffix") == [0, 9, 63]


def test_stored_parts_are_sent_and_missing_ones_fetched_all_at_once(bad_node, bad_origin):
    thing, asked, all_asked = Thing(SIZE), set(), threading.Event()
    bad_origin.scripts["/partly"] = thing
    assert ask(bad_node, "/partly", f"{10 * MIB}-{10 * MIB + 9}").status == 206

    def script(request, connection):
        asked.add(request.range[0] // MIB)
        if asked >= {5, 39, 60}:
            all_asked.set()
        assert all_asked.wait(10), "one after the other"
        thing.answer(request, connection)
    bad_origin.scripts["/partly"] = script
    places = [(10 * MIB + 5, 10 * MIB + 7), (40 * MIB - 2, 40 * MIB + 2), (5 * MIB, 5 * MIB), (60 * MIB, 60 * MIB + 1)]
    answer = ask(bad_node, "/partly", *(f"{first}-{last}" for first, last in places))
    assert answer.parts == wanted(thing, *places)
    assert "fwd=partial" in answer.cache_status
    assert fetched(bad_origin, "/partly") == [5, 10, 39, 40, 60]
    again = wait_until(lambda: (found := ask(bad_node, "/partly", *(f"{first}-{last}" for first, last in places))).is_hit
                       and found)
    assert again.parts == answer.parts
    assert fetched(bad_origin, "/partly") == [5, 10, 39, 40, 60]


def test_a_fetch_that_breaks_is_taken_over(bad_node, bad_origin):
    thing, broken = Thing(SIZE), []

    def script(request, connection):
        if request.range[0] // MIB == 30 and not broken:
            broken.append(request)
            connection.send(thing.begin(request, connection)[:1000])
            connection.reset()
        thing.answer(request, connection)
    bad_origin.scripts["/breaks"] = script
    answer = ask(bad_node, "/breaks", "0-9", f"{30 * MIB}-{31 * MIB - 1}")
    assert broken and answer.parts == wanted(thing, (0, 9), (30 * MIB, 31 * MIB - 1))


def test_ranges_beyond_the_end_are_left_out(bad_node, bad_origin):
    thing = bad_origin.scripts["/beyond-some"] = Thing(SIZE)
    answer = ask(bad_node, "/beyond-some", f"{2 * SIZE}-", "5-9")
    assert (answer.status, answer.headers["content-range"]) == (206, f"bytes 5-9/{SIZE}")
    assert answer.body == thing.data[5:10] and fetched(bad_origin, "/beyond-some") == [0]


@pytest.mark.parametrize("name, fields", [("silent", {}), ("frank", {"accept_ranges": "none"})])
def test_origin_without_ranges_is_asked_once_and_parts_are_cut_here_afterwards(bad_node, bad_origin, name, fields):
    thing = Thing(4 * MIB)

    def script(request, connection):
        connection.head(200, etag=thing.etag, content_length=len(thing.data), cache_control="max-age=3600", **fields)
        connection.send(thing.data)
    bad_origin.scripts[f"/{name}"] = script
    first = ask(bad_node, f"/{name}", f"{3 * MIB}-{3 * MIB}", "0-9")
    parts = wanted(thing, (3 * MIB, 3 * MIB), (0, 9))
    # All of it may be here before the answer begins.
    assert first.body == thing.data if first.status == 200 else first.parts == parts
    assert ask(bad_node, f"/{name}", f"{3 * MIB}-{3 * MIB}", "0-9").parts == parts
    assert len(bad_origin.of(f"/{name}")) == 1


def test_who_comes_while_an_origin_without_ranges_sends_everything_gets_the_whole(bad_node, bad_origin):
    thing, may_end = Thing(16 * MIB), threading.Event()

    def script(request, connection):
        connection.head(200, etag=thing.etag, content_length=len(thing.data), cache_control="max-age=3600")
        connection.send(thing.data[:2 * MIB])
        assert may_end.wait(20)
        connection.send(thing.data[2 * MIB:])
    bad_origin.scripts["/joined"] = script

    def ask_for(*lines):
        client = socket.create_connection((bad_node.address, bad_node.http_port), 30)
        client.sendall("\r\n".join(["GET /joined HTTP/1.1", "Host: packages.test", *lines, "Connection: close", "", ""]).encode())
        answer = client.makefile("rb")
        head = iter(answer.readline, b"\r\n")
        return answer, next(head).split()[1], list(head)
    first, status, _ = ask_for()
    assert status == b"200" and first.read(MIB) == thing.data[:MIB]
    joined, status, _ = ask_for(f"Range: bytes=0-9,{15 * MIB}-{15 * MIB + 9}")
    may_end.set()
    assert status == b"200" and joined.read() == thing.data
    assert first.read() == thing.data[MIB:]
    assert len(bad_origin.of("/joined")) == 1


def test_parts_of_a_long_object_without_a_validator_are_the_origins_to_send(bad_node, bad_origin):
    thing = bad_origin.scripts["/loose-parts"] = Thing(9 * MIB, etag=None)
    answer = ask(bad_node, "/loose-parts", "5-9", f"{8 * MIB}-{8 * MIB}")
    assert (answer.status, answer.body) == (200, thing.data)
    assert bad_origin.of("/loose-parts")[-1].field("Range") == f"bytes=5-9,{8 * MIB}-{8 * MIB}"


def test_more_ranges_than_are_answered_ask_for_the_whole(bad_node, bad_origin):
    thing = bad_origin.scripts["/many"] = Thing(17 * MIB)
    answer = ask(bad_node, "/many", *(f"{i * MIB}-{i * MIB}" for i in range(17)))
    assert (answer.status, answer.body) == (200, thing.data)
    sixteen = ask(bad_node, "/many", *(f"{i * MIB}-{i * MIB}" for i in range(16)))
    assert len(sixteen.parts) == 16
