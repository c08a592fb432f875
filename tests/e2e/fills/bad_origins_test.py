"""Origins that die, stall, lie, change and talk nonsense: the client gets right bytes or a broken transfer, never
wrong bytes, and never a 4xx of the node's own."""

import concurrent.futures
import os
import re
import threading
from email.utils import formatdate

import pytest

from support.bad_origin import Thing
from support.wait import wait_until

MIB = 1 << 20


def first_only(special, usual):
    """A script that treats the first request specially."""
    used = threading.Event()

    def script(request, connection):
        if used.is_set():
            return usual(request, connection)
        used.set()
        return special(request, connection)
    return script


def cut_after(thing, count):
    def script(request, connection):
        connection.send(thing.begin(request, connection)[:count])
        connection.reset()
    return script


def is_whole(answer, data, status=200):
    """Compared here: pytest would spend minutes on showing how megabytes differ."""
    return (answer.exit_code, answer.status, len(answer.body)) == (0, status, len(data)) and answer.body == data


def is_broken(answer, data):
    """A transfer that the client knows to be incomplete, with right bytes so far; or an error of the node's."""
    if answer.status == 502:
        return answer.exit_code == 0
    return answer.exit_code == 18 and answer.body == data[:len(answer.body)]


def test_origin_that_dies_is_asked_for_the_rest_only(bad_node, bad_origin):
    thing = Thing(6 * MIB)

    def dies(request, connection):
        connection.send(thing.begin(request, connection)[:2 * MIB + 300_000])
        connection.close()
    bad_origin.scripts["/dies"] = first_only(dies, thing)
    answer = bad_node.get("/dies")
    assert is_whole(answer, thing.data)
    later = bad_origin.of("/dies")[1:]
    assert later, "the rest was not asked for"
    assert all(request.field("If-Range") == '"one"' for request in later)
    assert min(request.range[0] for request in later) > 2 * MIB, "a partly received slice was thrown away"
    assert bad_origin.sent("/dies") <= 6 * MIB * 1.02
    assert bad_node.get("/dies").is_hit


def test_origin_that_dies_again_and_again_is_given_up(bad_node, bad_origin):
    thing = Thing(3 * MIB)
    bad_origin.scripts["/dying"] = first_only(cut_after(thing, MIB + 5), cut_after(thing, 0))
    answer = bad_node.get("/dying")
    assert is_broken(answer, thing.data)
    assert len(bad_origin.of("/dying")) < 10


def test_hiccup_of_the_origin_is_waited_out(bad_node, bad_origin):
    """All fetches break at once, and for a moment each new one does."""
    thing, refused = Thing(24 * MIB), []

    def script(request, connection):
        data = thing.begin(request, connection)
        if request.range and len(refused) < 6:
            refused.append(request)
            connection.reset()
        connection.send(data if request.range else data[:MIB + 5])
        if not request.range:
            connection.reset()
    bad_origin.scripts["/hiccup"] = script
    answer = bad_node.get("/hiccup")
    assert is_whole(answer, thing.data)
    assert len(refused) == 6


def test_origin_that_stalls_is_taken_over(bad_node, bad_origin):
    thing = Thing(4 * MIB)

    def stalls(request, connection):
        connection.send(thing.begin(request, connection)[:MIB + 70_000])
        connection.hold()
    bad_origin.scripts["/stalls"] = first_only(stalls, thing)
    answer = bad_node.get("/stalls", "--max-time", "15")
    assert is_whole(answer, thing.data)


def test_origin_that_sends_less_than_it_promised_without_validator(bad_node, bad_origin):
    thing = Thing(3 * MIB, etag=None)
    bad_origin.scripts["/short"] = cut_after(thing, 2 * MIB - 7)
    answer = bad_node.get("/short")
    assert is_broken(answer, thing.data)
    bad_origin.scripts["/short"] = thing
    answer = bad_node.get("/short")
    assert is_whole(answer, thing.data), "what was cut is no object"


def test_origin_that_sends_more_than_it_promised(bad_node, bad_origin):
    thing = Thing(2 * MIB)

    def too_much(request, connection):
        connection.send(thing.begin(request, connection) + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
    bad_origin.scripts["/long"] = too_much
    bad_origin.scripts["/next"] = Thing(1000)
    assert is_whole(bad_node.get("/long"), thing.data)
    assert is_whole(bad_node.get("/next"), bad_origin.scripts["/next"].data), "bytes of another answer"
    assert is_whole(bad_node.get("/long"), thing.data)


def test_object_that_changes_while_it_is_fetched_is_never_mixed(bad_node, bad_origin):
    old, new = Thing(4 * MIB), Thing(4 * MIB, etag='"two"')

    def ignores_if_range(request, connection):
        first, last = request.range or (0, len(new.data) - 1)
        connection.head(206 if request.range else 200, etag=new.etag, content_length=last - first + 1,
                        content_range=f"bytes {first}-{last}/{len(new.data)}" if request.range else None,
                        cache_control="max-age=60")
        connection.send(new.data[first:last + 1])
    bad_origin.scripts["/changes"] = first_only(cut_after(old, MIB + 9), ignores_if_range)
    answer = bad_node.get("/changes")
    assert is_broken(answer, old.data)
    assert is_whole(bad_node.get("/changes"), new.data)
    assert bad_node.metric("larder_origin_changes_total") >= 1


def test_weak_validator_does_not_join_answers(bad_node, bad_origin):
    thing = Thing(3 * MIB, etag='W/"one"')
    bad_origin.scripts["/weak"] = first_only(cut_after(thing, MIB + 9), thing)
    answer = bad_node.get("/weak")
    assert is_broken(answer, thing.data)
    answer = bad_node.get("/weak")
    assert is_whole(answer, thing.data)
    assert not any(request.range for request in bad_origin.of("/weak"))


def test_origin_that_ignores_ranges_serves_a_range(bad_node, bad_origin):
    thing = Thing(3 * MIB)

    def whole(request, connection):
        connection.head(200, etag=thing.etag, content_length=len(thing.data), cache_control="max-age=60")
        connection.send(thing.data)
    bad_origin.scripts["/whole"] = whole
    answer = bad_node.get("/whole", "--header", f"Range: bytes={2 * MIB + 5}-{2 * MIB + 104}")
    assert is_whole(answer, thing.data[2 * MIB + 5:2 * MIB + 105], 206)
    assert answer.headers["content-range"] == f"bytes {2 * MIB + 5}-{2 * MIB + 104}/{3 * MIB}"


def test_agent_is_promised_no_range_before_its_first_byte(bad_node, bad_origin):
    """The bytes before it may take longer than such a client waits for the first one."""
    data = bytes(range(256)) * (12 * MIB // 1024)
    breaks_off = threading.Event()

    def whole(request, connection):
        connection.head(200, content_length=len(data), cache_control="no-store")
        connection.send(data[:2 * MIB] if breaks_off.is_set() else data)
        if breaks_off.is_set():
            connection.close()
    bad_origin.scripts["/passed-whole"] = whole
    agent = ("--user-agent", "Microsoft-Delivery-Optimization-Lite/10.0.0.1",
             "--header", f"Range: bytes={5 * MIB // 2 + 5}-{5 * MIB // 2 + 1000}")
    for _ in range(2):
        answer = bad_node.get("/passed-whole", *agent)
        assert is_whole(answer, data[5 * MIB // 2 + 5:5 * MIB // 2 + 1001], 206)
    breaks_off.set()
    answer = bad_node.get("/passed-whole", *agent)
    assert (answer.exit_code, answer.status) == (0, 502)


@pytest.mark.parametrize("wanted, first", [("2097152-", 2 * MIB), ("-100", 3 * MIB - 100)])
def test_end_of_an_object_whose_parts_cannot_be_joined_comes_from_the_whole(bad_node, bad_origin, wanted, first):
    """Without a validator a part of it could not be kept."""
    thing = bad_origin.scripts[f"/loose{first}"] = Thing(3 * MIB, etag=None)
    for _ in range(2):
        answer = bad_node.get(f"/loose{first}", "--header", f"Range: bytes={wanted}")
        assert is_whole(answer, thing.data[first:], 206)
    assert answer.is_hit
    assert [request.range is None for request in bad_origin.of(f"/loose{first}")] == [False, True]


def test_origin_that_ignores_ranges_and_dies_is_asked_for_everything_once_more(bad_node, bad_origin):
    thing = Thing(4 * MIB)

    def whole(request, connection):
        connection.head(200, etag=thing.etag, content_length=len(thing.data), cache_control="max-age=60")
        connection.send(thing.data)
    bad_origin.scripts["/again"] = first_only(cut_after(thing, 2 * MIB + 9), whole)
    answer = bad_node.get("/again")
    assert is_whole(answer, thing.data)


def test_wrong_content_range_is_not_believed(bad_node, bad_origin):
    thing = Thing(3 * MIB)

    def shifted(request, connection):
        first, last = request.range
        connection.head(206, etag=thing.etag, content_length=last - first + 1, cache_control="max-age=60",
                        content_range=f"bytes {first - 1}-{last - 1}/{len(thing.data)}")
        connection.send(thing.data[first - 1:last])
    bad_origin.scripts["/shifted"] = first_only(cut_after(thing, MIB + 9), shifted)
    answer = bad_node.get("/shifted")
    assert is_broken(answer, thing.data)


def test_range_of_an_answer_that_is_passed_on_has_its_own_content_range_alone(bad_node, bad_origin):
    def ignores_ranges(request, connection):
        connection.head(200, content_length=100, content_range="bytes 0-99/100", cache_control="no-store")
        connection.send(bytes(range(100)))
    bad_origin.scripts["/ignores"] = ignores_ranges
    for wanted, status, body, text in (("10-19", 206, bytes(range(10, 20)), "bytes 10-19/100"),
                                       ("100-", 416, b"", "bytes */100")):
        answer = bad_node.get("/ignores", "--range", wanted)
        assert (answer.status, answer.body) == (status, body)
        assert re.findall(r"(?im)^content-range: ([^\r\n]*)", answer.raw_headers) == [text]


def test_digest_of_one_message_goes_with_no_other(bad_node, bad_origin):
    """Content-Digest and Content-MD5 are of the bytes that were sent, not of the whole that they belong to."""
    def told(answer):
        return {answer.headers.get("content-digest"), answer.headers.get("content-md5")}
    thing = bad_origin.scripts["/stored"] = Thing(5000, content_digest="whole", content_md5="whole")
    bad_node.get("/stored")
    bad_node.wait_until_stored()
    whole, part = bad_node.get("/stored"), bad_node.get("/stored", "--range", "0-9")
    parts = bad_node.get("/stored", "--range", "0-9,4000-4009")
    assert whole.is_hit and told(whole) == {"whole"}
    assert part.is_hit and part.body == thing.data[:10] and told(part) == {None}
    assert len(parts.parts) == 2 and told(parts) == {None}

    opened = Thing(3 * MIB)

    def tells_of_parts(request, connection):
        opened.fields["content_md5"] = "part" if request.range else "whole"
        opened.answer(request, connection)
    bad_origin.scripts["/opened"] = tells_of_parts
    part, whole = bad_node.get("/opened", "--range", "100-199"), bad_node.get("/opened")
    assert part.body == opened.data[100:200] and told(part) == {None}
    assert whole.body == opened.data and told(whole) == {None}

    bad_origin.scripts["/passed"] = lambda request, connection: connection.answer(
        thing.data, content_md5="whole", cache_control="no-store")
    whole, part = bad_node.get("/passed"), bad_node.get("/passed", "--range", "0-9")
    assert whole.headers["content-md5"] == "whole"
    assert (part.status, part.body) == (206, thing.data[:10]) and told(part) == {None}


def test_garbage_is_a_bad_gateway(bad_node, bad_origin):
    garbage = (b"\x16\x03\x01garbage\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
               b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
               b"HTTP/1.1 206 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
    for number, text in enumerate(garbage):
        def script(request, connection, text=text):
            connection.send(text)
            connection.close()
        bad_origin.scripts[f"/garbage{number}"] = script
        assert bad_node.get(f"/garbage{number}").status == 502, text[:60]


def test_redirects_in_a_circle_end_at_the_client(bad_node, bad_origin):
    def circle(request, connection):
        connection.head(302, "Found", location="http://packages.test/circle", content_length=0)
    bad_origin.scripts["/circle"] = circle
    answer = bad_node.get("/circle")
    assert (answer.status, answer.headers["location"]) == (302, "http://packages.test/circle")
    assert len(bad_origin.of("/circle")) == 1


def test_clients_that_leave_do_not_end_what_others_wait_for(bad_node, bad_origin):
    thing = Thing(5 * MIB)
    begun, go_on = threading.Event(), threading.Event()

    def slow(request, connection):
        data = thing.begin(request, connection)
        connection.send(data[:MIB // 2])
        begun.set()
        go_on.wait(10)
        connection.send(data[MIB // 2:])
    bad_origin.scripts["/left"] = slow
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        leaving = pool.submit(bad_node.get, "/left", "--max-time", "1")
        assert begun.wait(10)
        staying = [pool.submit(bad_node.get, "/left") for _ in range(2)]
        assert leaving.result().exit_code == 28
        go_on.set()
        assert all(is_whole(each.result(), thing.data) for each in staying)
    assert len(bad_origin.of("/left")) == 1


def test_fill_that_nobody_waits_for_ends(bad_node, bad_origin):
    thing = Thing(40 * MIB)
    gone, never = threading.Event(), threading.Event()

    def slow(request, connection):
        data = thing.begin(request, connection)
        connection.send(data[:2 * MIB])
        gone.wait(10)
        try:
            for at in range(2 * MIB, len(data), MIB // 4):
                connection.send(data[at:at + MIB // 4])
                never.wait(0.02)  # a line that is slower than the news that the client is gone
        finally:
            request.is_over = True
    bad_origin.scripts["/abandoned"] = slow
    assert bad_node.get("/abandoned", "--max-time", "1").exit_code == 28
    gone.set()
    wait_until(lambda: getattr(bad_origin.of("/abandoned")[0], "is_over", False))
    # What is under way when a connection is cut is some MiB at most.
    assert bad_origin.sent("/abandoned") < 20 * MIB


def test_fill_ends_where_a_condition_is_the_origins_to_judge(bad_node, bad_origin):
    judging, ended, data = threading.Event(), threading.Event(), os.urandom(40 * MIB)

    def script(request, connection):
        if request.field("If-Match"):
            judging.set()
            ended.wait(20)
            return connection.head(412, content_length=0)
        connection.head(200, etag='"one"', content_length=len(data), cache_control="max-age=3600")
        connection.send(data[:MIB])
        judging.wait(20)
        try:
            return connection.send(data[MIB:])
        finally:
            ended.set()
    bad_origin.scripts["/judged"] = script
    assert bad_node.get("/judged", "--header", 'If-Match: "two"').status == 412
    assert bad_origin.sent("/judged") < len(data), "nobody wants what comes"


@pytest.mark.parametrize("status", [403, 404, 400])
def test_expired_url_in_the_middle_is_replaced_by_another_clients(bad_node, bad_origin, status):
    thing = Thing(4 * MIB)
    joined = threading.Event()

    def script(request, connection):
        if request.query == "sig=old" and request.range:
            connection.head(status, "Refused", content_length=0)
            return
        data = thing.begin(request, connection)
        if request.range:
            connection.send(data)
            return
        connection.send(data[:MIB + 9])
        joined.wait(10)
        connection.reset()
    path = f"/signed{status}"
    bad_origin.scripts[path] = script
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        old = pool.submit(bad_node.get, f"{path}?sig=old")
        wait_until(lambda: bad_origin.of(path))
        new = pool.submit(bad_node.get, f"{path}?sig=new")
        wait_until(lambda: bad_node.metric("larder_connections") >= 3)
        joined.set()
        for answer in (old.result(), new.result()):
            assert is_whole(answer, thing.data)


def test_object_that_flips_becomes_one_response(bad_node, bad_origin):
    """Edges that disagree: every answer has another tag, and every connection breaks once."""
    thing = Thing(3 * MIB)
    count = iter(range(1000))
    breaks = [True]

    def edges(request, connection):
        thing.etag = f'"{next(count)}"'
        data = thing.begin(request, connection)
        if breaks[0]:
            connection.send(data[:MIB + 9])
            connection.reset()
        connection.send(data)
    bad_origin.scripts["/flips"] = edges
    before = bad_node.metric("larder_origin_flipping_objects_total")
    for _ in range(3):
        answer = bad_node.get("/flips")
        assert is_broken(answer, thing.data)
    assert bad_node.metric("larder_origin_flipping_objects_total") == before + 1
    breaks[0] = False
    answer = bad_node.get("/flips")
    assert is_whole(answer, thing.data)
    assert bad_origin.of("/flips")[-1].range is None


def test_edges_that_disagree_about_the_tag_agree_by_last_modified(bad_node, bad_origin):
    thing = Thing(3 * MIB, last_modified="Mon, 02 Nov 2020 10:00:00 GMT", date=formatdate(usegmt=True))
    count = iter(range(1000))

    def edges(request, connection):
        thing.etag = f'"{next(count)}"'
        assert request.field("If-Range") in (None, thing.fields["last_modified"])
        first, last = request.range or (0, len(thing.data) - 1)
        connection.head(206 if request.range else 200, etag=thing.etag, content_length=last - first + 1,
                        content_range=f"bytes {first}-{last}/{len(thing.data)}" if request.range else None,
                        **thing.fields)
        connection.send(thing.data[first:last + 1] if request.range else thing.data[:MIB + 9])
        if not request.range:
            connection.close()
    bad_origin.scripts["/edges"] = edges
    assert is_whole(bad_node.get("/edges", host="edges.test"), thing.data)


def test_client_with_an_expired_url_is_refused_alone(bad_node, bad_origin):
    """Many wait for the answer to the first one's request, which is refused: one of them leads then."""
    thing = Thing(2 * MIB)
    waiting = threading.Event()

    def script(request, connection):
        if request.query == "sig=old":
            waiting.wait(10)
            connection.head(403, "Forbidden", content_length=0)
        else:
            connection.send(thing.begin(request, connection))
    bad_origin.scripts["/expired"] = script
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        old = pool.submit(bad_node.get, "/expired?sig=old")
        wait_until(lambda: bad_origin.of("/expired"))
        others = [pool.submit(bad_node.get, f"/expired?sig={number}") for number in range(8)]
        wait_until(lambda: bad_node.metric("larder_connections") >= 10)
        waiting.set()
        assert old.result().status == 403
        assert all(is_whole(other.result(), thing.data) for other in others)
    assert len(bad_origin.of("/expired")) == 2


def test_failing_origin_is_not_asked_once_for_each_who_waits(bad_node, bad_origin):
    waiting = threading.Event()

    def script(request, connection):
        waiting.wait(10)
        connection.head(503, "Service Unavailable", content_length=0)
    bad_origin.scripts["/failing"] = script
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(bad_node.get, "/failing") for _ in range(8)]
        wait_until(lambda: bad_node.metric("larder_connections") >= 9)
        waiting.set()
        assert all(answer.result().status in (502, 503) for answer in answers)
    assert len(bad_origin.of("/failing")) <= 2


def test_range_is_filled_by_several_connections_without_a_byte_twice(bad_node, bad_origin):
    thing = Thing(24 * MIB)
    together = threading.Barrier(3)
    asked = []

    def several(request, connection):
        data = thing.begin(request, connection)
        with bad_origin.lock:
            asked.append(request)
            number = len(asked)
        if 2 <= number <= 4:
            together.wait(10)  # broken, and the test with it, unless three are asked at once
        connection.send(data)
    bad_origin.scripts["/parallel"] = several
    answer = bad_node.get("/parallel", "--header", f"Range: bytes=0-{24 * MIB - 1}")
    assert is_whole(answer, thing.data, 206)
    assert not together.broken
    assert bad_origin.sent("/parallel") <= 24 * MIB * 1.02
