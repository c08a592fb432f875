"""Section 0: what a cache node must do for this client."""

import concurrent.futures
import hashlib
import threading
import time

import pytest

from support.do_client import USER_AGENT
from support.raw import exchange
from support.tls import negotiated, s_client
from support.wait import wait_until

HOST, MIB = "origin.do.test", 1 << 20


def url(name, host=HOST):
    return f"http://{host}/{name}"


@pytest.mark.contract("CC-0.1")
def test_whole_object_by_one_plain_get(world):
    data = world.files.write("one.bin", 3 * MIB + 17)
    for _ in range(2):  # a miss, a hit
        done = world.client().download(url("one.bin?x=1&P1=abc%20d"))
        assert (done.state, done.places, done.content) == ("Transferred", ["cache"], data)
        assert done.attempts[0].status == 200
    assert {(seen["method"], seen["target"]) for seen in world.files.saw("/one.bin")} == {
        ("GET", "/one.bin?x=1&P1=abc%20d")}


@pytest.mark.contract("CC-0.2")
def test_fields_that_the_client_looks_up_are_spelt_as_it_does(world):
    """Also when the origin writes them otherwise."""
    body = b"0123456789" * 1000

    def lower_case(request, connection):
        first, last = request.range or (0, len(body) - 1)
        last = min(last, len(body) - 1)
        head = "HTTP/1.1 206 Partial\r\ncontent-range: bytes %d-%d/%d\r\n" % (first, last, len(body)) \
            if request.range else "HTTP/1.1 200 OK\r\n"
        connection.send((head + f'content-length: {last - first + 1}\r\netag: "a"\r\n'
                         "cache-control: max-age=60\r\n\r\n").encode() + body[first:last + 1])

    address = world.script("lower", lower_case)
    client = world.client()
    for _ in range(2):
        part = client.download(address, stop_after=4000)
        assert part.attempts[0].fields["Content-Length"] == str(len(body))
        done = client.download(address, continued=part)
        assert done.attempts[1].fields["Content-Range"] == f"bytes 4000-{len(body) - 1}/{len(body)}"
        assert (done.state, done.content) == ("Transferred", body)


def chunks(data, size=50_000):
    return b"".join(b"%x\r\n%b\r\n" % (len(data[at:at + size]), data[at:at + size]) for at in range(0, len(data), size))


@pytest.mark.contract("CC-0.2")
def test_answer_of_unknown_length_is_given_one(world):
    body = b"unknown" * 70_000

    def chunked(request, connection):
        connection.head(200, transfer_encoding="chunked", cache_control="max-age=60")
        connection.send(chunks(body) + b"0\r\n\r\n")

    address = world.script("chunked", chunked)
    for _ in range(2):
        done = world.client().download(address, most_attempts=1)
        assert (done.content, done.attempts[0].fields["Content-Length"]) == (body, str(len(body)))


@pytest.mark.contract("CC-0.2")
@pytest.mark.parametrize("size", [300_000, 3 * MIB])
def test_answer_of_unknown_length_that_breaks_never_reaches_the_client(world, size):
    """It would end the client's process."""
    def broken(request, connection):
        connection.head(200, transfer_encoding="chunked")
        connection.send(chunks(b"b" * size))
        connection.close()

    done = world.client().download(world.script(f"broken-{size}", broken), most_attempts=1)
    assert 500 <= done.attempts[0].status <= 599, done.attempts


@pytest.mark.contract("CC-0.2")
def test_long_answer_of_unknown_length_is_given_one(world):
    """Longer than what is collected for a single client."""
    body = b"long" * (MIB * 3 // 4)

    def chunked(request, connection):
        connection.head(200, transfer_encoding="chunked", cache_control="max-age=60")
        connection.send(chunks(body) + b"0\r\n\r\n")

    address = world.script("long-chunked", chunked)
    for _ in range(2):
        attempt = (done := world.client().download(address, most_attempts=1)).attempts[0]
        assert (attempt.status, attempt.fields["Content-Length"]) == (200, str(len(body)))
        assert done.state == "Transferred" and done.content == body


@pytest.mark.contract("CC-0.2", "CC-0.5")
def test_answer_that_takes_too_long_to_be_given_a_length_is_for_the_origin_to_give(world):
    """By a 503, after which the client comes back for other files; never by a 200 without a length. The node goes on."""
    body, go_on = b"x" * (40 * MIB), threading.Event()

    def chunked(request, connection):
        connection.head(200, transfer_encoding="chunked", cache_control="max-age=60")
        connection.send(chunks(body[:-MIB], MIB))
        go_on.wait(60)
        connection.send(chunks(body[-MIB:], MIB) + b"0\r\n\r\n")

    client = world.client()
    address = world.script("too-long-chunked", chunked)
    done = client.download(address, most_attempts=1)
    assert done.attempts[0].status == 503
    assert not client.is_banned("scripted.do.test")
    go_on.set()
    wait_until(lambda: world.node.get("/too-long-chunked", host="scripted.do.test").is_hit)
    done = client.download(address, most_attempts=1)
    assert (done.attempts[0].status, done.content) == (200, body)
    assert len(world.scripted.of("/too-long-chunked")) == 1


@pytest.mark.contract("CC-0.2")
def test_http_2_is_not_negotiated(world):
    printed = s_client(world.node.address, world.node.https_port, "-alpn", "h2,http/1.1").stdout
    assert negotiated(printed, "ALPN protocol") == "http/1.1", printed
    printed = s_client(world.node.address, world.node.https_port, "-alpn", "h2").stdout
    assert negotiated(printed, "ALPN protocol") != "h2"


@pytest.mark.contract("CC-0.3")
def test_range_is_always_honoured(world):
    data = world.files.write("ranges.bin", 3 * MIB)
    client = world.client()
    part = client.download(url("ranges.bin"), stop_after=MIB + 5)
    done = client.download(url("ranges.bin"), continued=part)
    assert (done.attempts[1].status, done.content) == (206, data)


@pytest.mark.contract("CC-0.3")
@pytest.mark.parametrize("cacheable", [True, False])
def test_range_is_honoured_for_an_origin_that_has_none(world, cacheable):
    """A 200 to a range would be appended."""
    body = bytes(range(256)) * 2000
    control = "max-age=60" if cacheable else "no-store"
    address = world.status(f"no-ranges-{cacheable}", 200, body=body, cache_control=control)
    client = world.client()
    part = client.download(address, stop_after=1000)
    done = client.download(address, continued=part)
    assert (done.attempts[1].status, done.content) == (206, body)


@pytest.mark.contract("CC-0.3")
@pytest.mark.parametrize("cacheable", [True, False])
@pytest.mark.parametrize("has_length", [True, False])
def test_range_behind_the_end_is_no_200_for_an_origin_that_has_no_ranges(world, cacheable, has_length):
    """A download whose file got shorter meanwhile must not be continued by the whole new one."""
    body = bytes(range(256)) * 20
    fields = {"cache_control": "max-age=60" if cacheable else "no-store"}

    def answer(request, connection):
        if has_length:
            connection.head(200, content_length=len(body), **fields)
            connection.send(body)
        else:
            connection.head(200, transfer_encoding="chunked", **fields)
            connection.send(chunks(body, 1000) + b"0\r\n\r\n")

    name = f"got-shorter-{cacheable}-{has_length}"
    world.script(name, answer)
    for first in (len(body), len(body) + 1000):
        got = world.node.get(f"/{name}", "--range", f"{first}-{first + 99}", "--user-agent", USER_AGENT,
                             host="scripted.do.test")
        assert (got.status, got.headers.get("content-range"), got.body) == (416, f"bytes */{len(body)}", b""), got
    again = world.node.get(f"/{name}", "--range", "5-9", "--user-agent", USER_AGENT, host="scripted.do.test")
    assert (again.status, again.body) == (206, body[5:10])


@pytest.mark.contract("CC-0.3")
def test_another_range_than_it_asked_for_is_never_passed_on(world):
    """The client appends it without looking where it belongs."""
    body = bytes(range(256)) * 20

    def answer(request, connection):
        first, last = request.range[0], min(request.range[1], len(body) - 1)
        connection.head(206, "Partial Content", content_length=last - first, cache_control="no-store",
                        content_range=f"bytes {first + 1}-{last}/{len(body)}")
        connection.send(body[first + 1:last + 1])

    client = world.client()
    world.script("another-range", answer)
    got = world.node.get("/another-range", "--range", "1000-1999", "--user-agent", USER_AGENT, host="scripted.do.test")
    assert got.status == 502, got
    passed = world.node.get("/another-range", "--range", "1000-1999", host="scripted.do.test")
    assert (passed.status, passed.headers["content-range"]) == (206, f"bytes 1001-1999/{len(body)}")
    assert not client.is_banned("scripted.do.test")


@pytest.mark.contract("CC-0.4")
def test_last_of_several_range_lines_counts(world):
    data = world.files.write("lines.bin", 2 * MIB)
    client = world.client()
    download = client.download(url("lines.bin"), stop_after=5000)
    download = client.download(url("lines.bin"), continued=download, stop_after=8000)
    download = client.download(url("lines.bin"), continued=download)
    assert download.attempts[-1].request.count(b"Range:") == 2
    assert (download.attempts[-1].status, download.content) == (206, data)


@pytest.mark.contract("CC-0.5")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_of_the_origin_is_no_4xx(world, status):
    address = world.status(f"trouble-{status}", status, retry_after=100)
    client = world.client()
    done = client.download(address, most_attempts=1)
    assert 500 <= done.attempts[0].status <= 599
    assert not client.is_banned("scripted.do.test")


@pytest.mark.contract("CC-0.5")
def test_unreachable_origin_is_no_4xx(world):
    client = world.client()
    done = client.download("http://dead.do.test/x", most_attempts=1)
    assert done.attempts[0].status == 502
    assert not client.is_banned("dead.do.test")


@pytest.mark.contract("CC-0.5")
def test_origin_that_is_not_allowed_is_403_so_that_the_client_stays_away(world):
    client = world.client()
    done = client.download("http://other.do.test/x", most_attempts=1)
    assert done.attempts[0].status == 403
    assert client.is_banned("other.do.test") and not client.is_banned(HOST)


@pytest.mark.contract("CC-0.6", "CC-4.16")
@pytest.mark.parametrize("status", [201, 202, 203, 204])
def test_success_without_the_file_is_never_passed_on(world, status):
    """The client takes it for the whole file."""
    done = world.client().download(world.status(f"empty-{status}", status), most_attempts=1)
    assert done.attempts[0].status == 502
    assert done.state != "Transferred"


@pytest.mark.contract("CC-0.6")
def test_not_from_the_cache_either(world):
    address = world.status("kept-203", 203, body=b"transformed", cache_control="max-age=600")
    world.node.get("/kept-203", host="scripted.do.test")
    assert world.node.get("/kept-203", host="scripted.do.test").is_hit
    for _ in range(2):
        assert world.client().download(address, most_attempts=1).attempts[0].status == 502


@pytest.mark.contract("CC-0.6")
def test_body_that_breaks_off_is_not_made_consistent(world):
    body = bytes(range(256)) * 8000
    cut = threading.Event()

    def breaks(request, connection):
        first, last = request.range or (0, len(body) - 1)
        last = min(last, len(body) - 1)
        if cut.is_set():
            connection.head(206, content_range=f"bytes {first}-{last}/{len(body)}", content_length=last - first + 1)
            connection.send(body[first:last + 1])
        else:
            cut.set()
            connection.head(200, content_length=len(body))
            connection.send(body[:500_000])
            connection.close()

    done = world.client().download(world.script("breaks", breaks))
    assert done.attempts[0].fields["Content-Length"] == str(len(body))
    assert (done.state, hashlib.sha256(done.content).digest()) == ("Transferred", hashlib.sha256(body).digest())


@pytest.mark.contract("CC-0.7")
def test_first_byte_comes_with_the_origins_and_not_with_its_last(world):
    body = b"a" * (2 * MIB)
    release = threading.Event()

    def slow(request, connection):
        connection.head(200, content_length=len(body), etag='"slow"', cache_control="max-age=60")
        connection.send(body[:100_000])
        release.wait(10)
        connection.send(body[100_000:])

    address = world.script("slow", slow)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.client().download, address)
        second = pool.submit(world.client().download, address)
        began = time.monotonic()
        while time.monotonic() - began < 10 and len(world.scripted.of("/slow")) == 0:
            pass
        received = exchange(world.node, b"GET /slow?cacheHostOrigin=scripted.do.test HTTP/1.1\r\nHost: n\r\n\r\n"
                            .replace(b"Host: n", f"Host: {world.cache_host}".encode()), until=100_000)
        assert received.startswith(b"HTTP/1.1 200 ") and len(received) >= 100_000
        release.set()
        assert first.result().content == second.result().content == body
    assert len(world.scripted.of("/slow")) == 1


@pytest.mark.contract("CC-0.7")
def test_connection_and_handshake_are_quick_under_load(world, authority):
    data = world.files.write("load.bin", 100_000)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        def fetch(_):
            client = world.client(cache_host=f"127.0.0.1:{world.node.https_port}", trust=authority.root)
            return client.download(f"https://{HOST}/load.bin", most_attempts=1)

        answers = list(pool.map(fetch, range(60)))
    assert all(answer.content == data for answer in answers), {a.attempts[0].outcome for a in answers}


@pytest.mark.contract("CC-0.8")
def test_object_that_changes_at_its_origin_is_not_mixed(world):
    """Without a validator in the request: what is cached is pinned while it is fresh."""
    old = world.files.write("changing.bin", 6 * MIB)
    client = world.client()
    part = client.download(url("changing.bin"), stop_after=3 * MIB)
    # What is left is little, so the node fetches it although the client has gone.
    wait_until(lambda: world.node.get("/changing.bin", "--range", f"{6 * MIB - 1}-", host=HOST).is_hit)
    new = world.files.write("changing.bin", 6 * MIB, age=20 * 86400)
    assert new != old
    done = client.download(url("changing.bin"), continued=part)
    assert (done.state, set(done.places)) == ("Transferred", {"cache"})
    assert done.content == old
    assert world.client().download(url("changing.bin")).content == old, "the next client gets the same version"
