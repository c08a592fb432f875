"""Byte ranges: what a client gets, and what the origin is asked for."""

import socket

import pytest

SIZE = 5_000_000
ONLY_IF_CACHED = ("--header", "Cache-Control: only-if-cached")


@pytest.fixture(scope="module")
def data(origin):
    return origin.write("ranges.bin", SIZE)


@pytest.mark.parametrize("wanted, first, last", [
    ("0-0", 0, 0),
    ("0-1048575", 0, 1048575),
    ("1048570-1048585", 1048570, 1048585),
    ("3000000-", 3000000, SIZE - 1),
    ("-1000", SIZE - 1000, SIZE - 1),
    ("4999999-9999999", 4999999, SIZE - 1),
])
def test_single_range(node, data, wanted, first, last):
    for _ in range(2):
        answer = node.get("/ranges.bin", "--header", f"Range: bytes={wanted}")
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.body == data[first:last + 1]


def test_several_ranges_of_what_is_not_stored_are_the_origins_parts(node, data):
    for _ in range(2):
        answer = node.get("/never/ranges.bin", "--range", "0-1,2000-2001")
        assert answer.status == 206 and "content-range" not in answer.headers
        assert answer.parts == [(f"bytes {first}-{first + 1}/{SIZE}", data[first:first + 2]) for first in (0, 2000)]
    assert node.get("/never/ranges.bin").body == data


def test_range_beyond_the_end_is_416(node, data):
    node.get("/ranges.bin")
    answer = node.get("/ranges.bin", "--header", f"Range: bytes={SIZE}-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


def test_only_what_was_asked_is_fetched(node, origin):
    data = origin.write("partly.bin", 32 << 20)
    answer = node.get("/partly.bin", "--header", f"Range: bytes={20 << 20}-{(21 << 20) - 1}")
    assert answer.body == data[20 << 20:21 << 20]
    assert sum(seen["bytes"] for seen in origin.requests("/partly.bin")) <= 4 << 20


@pytest.mark.parametrize("name, wanted, first", [("open", f"{30 << 20}-", 30 << 20), ("suffix", "-1000", (32 << 20) - 1000)])
def test_end_of_a_cold_object_is_fetched_without_its_beginning(node, origin, name, wanted, first):
    data = origin.write(f"{name}.bin", 32 << 20)
    answer = node.get(f"/{name}.bin", "--header", f"Range: bytes={wanted}")
    assert (answer.status, answer.headers["content-range"]) == (206, f"bytes {first}-{(32 << 20) - 1}/{32 << 20}")
    assert answer.body == data[first:]
    assert sum(seen["bytes"] for seen in origin.saw(f"/{name}.bin")) <= 3 << 20
    assert node.get(f"/{name}.bin", "--header", f"Range: bytes={wanted}").is_hit


def test_only_if_cached_fetches_no_missing_part(node, origin):
    data = origin.write("some.bin", 8 << 20)
    assert node.get("/fresh/some.bin", "--range", "0-99").body == data[:100]
    node.wait_until_stored()
    asked = len(origin.requests("/fresh/some.bin"))
    assert node.get("/fresh/some.bin", "--range", "0-99", *ONLY_IF_CACHED).is_hit
    for wanted in ("5000000-5000099", "0-5000000", "0-99,5000000-5000099"):
        answer = node.get("/fresh/some.bin", "--range", wanted, *ONLY_IF_CACHED)
        assert answer.status == 504 and b"does not allow" in answer.body, wanted
    told = node.cli("explain", "http://packages.test/fresh/some.bin", "--header", "Range: bytes=0-5000000", "--header",
                    "Cache-Control: only-if-cached").stdout
    assert "504" in told and "are fetched" not in told
    assert len(origin.requests("/fresh/some.bin")) == asked


def test_only_if_cached_says_what_would_have_to_be_confirmed(node, origin):
    origin.write("stale.bin", 8 << 20, age=1)  # stale at once
    node.get("/stale.bin", "--range", "0-99")
    node.wait_until_stored()
    asked = len(origin.requests("/stale.bin"))
    for wanted, said in (("0-99", "stored, to be confirmed"), ("5000000-5000099", "refused")):
        answer = node.get("/stale.bin", "--range", wanted, *ONLY_IF_CACHED)
        assert answer.status == 504 and f'detail="{said}"' in answer.cache_status, wanted
    assert len(origin.requests("/stale.bin")) == asked


def test_header_names_have_canonical_capitals(node, data):
    answer = node.get("/ranges.bin", "--header", "Range: bytes=0-9")
    assert "\r\nContent-Range: bytes 0-9/" in answer.raw_headers
    assert "\r\nContent-Length: 10\r\n" in answer.raw_headers


def test_last_of_several_range_fields_counts(node, data):
    """The open Delivery Optimization client adds one more at every resume."""
    with socket.create_connection((node.address, node.http_port), 10) as connection:
        connection.sendall(b"GET /ranges.bin HTTP/1.1\r\nHost: packages.test\r\nConnection: close\r\n"
                           b"Range: bytes=0-99\r\nRange: bytes=5000-5009\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206"), head
    assert b"Content-Range: bytes 5000-5009/" in head
    assert body == data[5000:5010]


def test_if_range_of_another_version_gets_everything(node, data):
    answer = node.get("/ranges.bin", "--header", "Range: bytes=0-9", "--header", 'If-Range: "other"')
    assert (answer.status, answer.body) == (200, data)
    entity_tag = answer.headers["etag"]
    answer = node.get("/ranges.bin", "--header", "Range: bytes=0-9", "--header", f"If-Range: {entity_tag}")
    assert (answer.status, answer.body) == (206, data[:10])


def test_if_none_match_is_304(node, data):
    entity_tag = node.get("/ranges.bin").headers["etag"]
    answer = node.get("/ranges.bin", "--header", f"If-None-Match: {entity_tag}")
    assert (answer.status, answer.body) == (304, b"")
