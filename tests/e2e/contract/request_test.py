"""Section 3: requests as they were captured on the wire."""

import concurrent.futures
import time

import pytest

from support.do_client import USER_AGENT, request_bytes
from support.raw import exchange, split

HOST, MIB = "origin.do.test", 1 << 20


@pytest.fixture(scope="module")
def data(world):
    return world.files.write("t/ok/1/file20.bin", 20 * MIB)


def raw(world, *ranges):
    """The captured bytes, for this node's address."""
    return "".join([f"GET /t/ok/1/file20.bin?x=1&P1=abc%20d&cacheHostOrigin={HOST} HTTP/1.1\r\n",
                    f"Host: {world.cache_host}\r\n",
                    "User-Agent: Microsoft-Delivery-Optimization-Lite/10.0.0.1\r\n",
                    "Accept: */*\r\n", *(f"Range: bytes={one}\r\n" for one in ranges), "\r\n"]).encode()


def ask(world, data):
    """One answer of a connection that stays open."""
    return split(exchange(world.node, data, until="answer"))


@pytest.mark.contract("CC-3.1")
def test_first_request(world, data):
    assert request_bytes(f"http://{world.cache_host}/t/ok/1/file20.bin?x=1&P1=abc%20d&cacheHostOrigin={HOST}") == raw(world)
    status, fields, body = ask(world, raw(world))
    assert (status, body) == (200, data)
    assert fields["Content-Length"] == str(len(data)) and fields["Accept-Ranges"] == "bytes"


@pytest.mark.contract("CC-3.2")
def test_resume(world, data):
    status, fields, body = ask(world, raw(world, "9654784-20971519"))
    assert (status, body) == (206, data[9654784:])
    assert fields["Content-Range"] == f"bytes 9654784-20971519/{len(data)}"


@pytest.mark.contract("CC-3.3")
def test_second_resume_has_two_range_lines(world, data):
    status, fields, body = ask(world, raw(world, "5000000-20971519", "8000000-20971519"))
    assert (status, body) == (206, data[8000000:])
    assert fields["Content-Range"] == f"bytes 8000000-20971519/{len(data)}"


@pytest.mark.contract("CC-3.3")
def test_lines_of_many_resumes(world, data):
    ranges = [f"{first}-20971519" for first in range(100_000, 8_000_000, 100_000)]
    status, _, body = ask(world, raw(world, *ranges))
    assert (status, body) == (206, data[7_900_000:])


@pytest.mark.contract("CC-3.4")
def test_fallback_goes_on_at_the_origin_with_the_same_bytes(world, data):
    """What the node gave and what the origin gives fit together."""
    client = world.client()
    part = client.download(f"http://{HOST}/t/ok/1/file20.bin", stop_after=5_000_000)
    client._cache_host = "127.0.0.1:9"
    done = client.download(f"http://{HOST}/t/ok/1/file20.bin", continued=part)
    assert done.places == ["cache", "cache", "origin"]
    assert b"cacheHostOrigin" not in done.attempts[-1].request and b"Range: bytes=5000000-" in done.attempts[-1].request
    assert done.content == data


@pytest.mark.contract("CC-3.5")
def test_origin_sees_nothing_of_the_client_but_its_name(world, data):
    world.client().download(f"http://{HOST}/t/ok/1/file20.bin?fields")
    line = world.files.fields_of("/t/ok/1/file20.bin?fields")
    assert "auth=-|" in line and "cookie=-|" in line and "xff=-|" in line
    assert "127.0.0.1" not in line and "cacheHostOrigin" not in line


@pytest.mark.contract("CC-3.6")
def test_bytes_are_never_coded_for_a_client_that_did_not_ask(world):
    """Even when the one before asked for it."""
    plain, coded = b"plain" * 1000, b"coded" * 100

    def negotiates(request, connection):
        wants = "gzip" in (request.field("Accept-Encoding") or "")
        connection.head(200, content_length=len(coded if wants else plain), vary="Accept-Encoding",
                        content_encoding="gzip" if wants else None, cache_control="max-age=60")
        connection.send(coded if wants else plain)

    address = world.script("negotiates", negotiates)
    world.node.get("/negotiates", "-H", "Accept-Encoding: gzip", host="scripted.do.test")
    for _ in range(2):
        done = world.client().download(address)
        assert done.content == plain
        assert "Content-Encoding" not in done.attempts[0].fields


@pytest.mark.contract("CC-3.6")
def test_fields_that_the_windows_client_adds_do_not_choose_the_object(world):
    data = world.files.write("cv.bin", 5000)
    for number in range(3):
        answer = world.node.get("/cv.bin", "-H", f"MS-CV: aBcD.1.{number}", "-A", "Microsoft-Delivery-Optimization/10.0",
                                "-H", "Range: bytes=0-1", host=HOST)
        assert (answer.status, answer.body, answer.headers["content-range"]) == (206, data[:2], "bytes 0-1/5000")
    assert len(world.files.saw("/cv.bin")) == 1


@pytest.mark.contract("CC-3.7")
def test_one_get_for_all_then_ranges_to_the_last_byte(world):
    data = world.files.write("pieces.bin", 3 * MIB + 1)
    client = world.client()
    part = client.download(f"http://{HOST}/pieces.bin", stop_after=len(data) - 1)
    done = client.download(f"http://{HOST}/pieces.bin", continued=part)
    assert done.attempts[1].fields["Content-Range"] == f"bytes {len(data) - 1}-{len(data) - 1}/{len(data)}"
    assert done.content == data


@pytest.mark.contract("CC-3.8")
def test_redirects_are_the_clients_to_follow(world):
    data = world.files.write("moved.bin", 5000)
    absolute = world.status("absolute", 302, location=f"http://{world.cache_host}/moved.bin?cacheHostOrigin={HOST}")
    assert world.client().download(absolute).content == data
    world.script("here/target", lambda request, connection: (connection.head(200, content_length=4), connection.send(b"here")))
    relative = world.status("here/relative", 302, location="target")
    done = world.client().download(relative)
    assert (done.places, done.content) == (["cache"], b"here")


@pytest.mark.contract("CC-3.8")
def test_connecting_takes_less_than_three_seconds_while_idle_connections_fill_the_node(world, authority):
    import socket
    data = world.files.write("crowd.bin", 1000)
    crowd = [socket.create_connection((world.node.address, port)) for port in
             [world.node.http_port, world.node.https_port] * 200]
    try:
        start = time.monotonic()
        done = world.client(cache_host=f"127.0.0.1:{world.node.https_port}", trust=authority.root).download(
            f"https://{HOST}/crowd.bin")
        assert (done.places, done.content) == (["cache"], data)
        assert time.monotonic() - start < 3
    finally:
        for connection in crowd:
            connection.close()


@pytest.mark.contract("CC-3.9")
def test_request_that_comes_through_a_proxy_is_the_same_request(world):
    """A client behind a proxy sends the node's address in absolute form."""
    data = world.files.write("behind.bin", 1000)
    text = f"GET http://{world.cache_host}/behind.bin?cacheHostOrigin={HOST} HTTP/1.1\r\nHost: {world.cache_host}\r\n" \
           f"User-Agent: {USER_AGENT}\r\nAccept: */*\r\nVia: 1.1 proxy\r\nConnection: close\r\n\r\n"
    assert split(exchange(world.node, text.encode()))[::2] == (200, data)


@pytest.mark.contract("CC-3.10")
def test_connections_are_reused_and_as_many_as_there_are_transfers(world):
    datas = [world.files.write(f"many{number}.bin", MIB) for number in range(6)]
    client = world.client()
    assert client.download(f"http://{HOST}/many0.bin").content == datas[0]
    kept = list(client._idle.values())[0].getsockname()
    assert client.download(f"http://{HOST}/many1.bin").content == datas[1]
    assert [connection.getsockname() for connection in client._idle.values()] == [kept]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda number: world.client().download(f"http://{HOST}/many{number}.bin"), range(6)))
    assert [one.content for one in done] == datas
