"""Origins that do not say how long their answer is: streamed at once, stored when it is over, exact from then on; clients
that cannot do without a length wait for it, but never so long that they would leave the node."""

import concurrent.futures
import email.utils
import functools
import os
import re
import socket
import threading
import time

import pytest
from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.wait import wait_until

MIB = 1 << 20
AGENT = ("--user-agent", "Microsoft-Delivery-Optimization-Lite/10.0.0.1")


class Chunked:
    """`data` in chunks; `go_on` is waited for after the first `early` bytes."""

    def __init__(self, size, early=None, **fields):
        self.data, self.early, self.go_on = os.urandom(size), size if early is None else early, threading.Event()
        self.fields = {"cache_control": "max-age=3600", **fields}

    def __call__(self, request, connection):
        connection.head(200, etag='"one"', transfer_encoding="chunked", **self.fields)
        for at in range(0, len(self.data), MIB // 2):
            if at >= self.early:
                self.go_on.wait(30)
            part = self.data[at:at + MIB // 2]
            connection.send(b"%x\r\n" % len(part) + part + b"\r\n")
        connection.send(b"0\r\n\r\n")


def receive_to_end(client, received):
    while part := client.recv(MIB):
        received += part
    return received


def joined(body):
    """The data of a chunked body."""
    data = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return data
        data, body = data + body[:int(size, 16)], body[int(size, 16) + 2:]


def test_first_client_gets_it_chunked_and_the_next_one_exactly(bad_node, bad_origin):
    date = email.utils.formatdate(time.time() - 300, usegmt=True)
    thing = bad_origin.scripts["/chunked"] = Chunked(5 * MIB, early=2 * MIB, date=date)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, \
            socket.create_connection((bad_node.address, bad_node.http_port), timeout=20) as client:
        client.sendall(b"GET /chunked HTTP/1.1\r\nHost: packages.test\r\nConnection: close\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
        second = pool.submit(bad_node.get, "/chunked")
        wait_until(lambda: bad_node.metric("larder_connections") >= 3)
        thing.go_on.set()
        assert joined(receive_to_end(client, body)) == thing.data
        assert second.result().status == 200 and second.result().body == thing.data
        assert b"\r\nAge:" not in head and int(second.result().headers["age"]) >= 300
    again = bad_node.get("/chunked")
    assert again.is_hit and again.headers["content-length"] == str(5 * MIB) and again.body == thing.data
    part = bad_node.get("/chunked", "--header", "Range: bytes=3000000-3000099")
    assert (part.status, part.body) == (206, thing.data[3000000:3000100])
    assert len(bad_origin.of("/chunked")) == 1, "all of them share one answer"


def test_what_is_not_stored_comes_at_once_too(bad_node, bad_origin):
    thing = bad_origin.scripts["/chunked-alone"] = Chunked(MIB, early=MIB // 2, cache_control="no-store")
    with socket.create_connection((bad_node.address, bad_node.http_port), timeout=10) as client:
        client.sendall(b"GET /chunked-alone HTTP/1.1\r\nHost: packages.test\r\nConnection: close\r\n\r\n")
        received = b""
        while len(received) < MIB // 2:
            received += client.recv(65536)
        thing.go_on.set()
        head, _, body = receive_to_end(client, received).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head and joined(body) == thing.data


def test_who_demands_the_origins_word_is_not_given_what_began_to_come_earlier(bad_node, bad_origin):
    thing, asked = Chunked(2 * MIB, early=MIB), []

    def script(request, connection):
        asked.append(request)
        if len(asked) == 1:
            return thing(request, connection)
        connection.head(200, content_length=5, cache_control="max-age=3600")
        return connection.send(b"newer")
    bad_origin.scripts["/older"] = script
    with socket.create_connection((bad_node.address, bad_node.http_port), timeout=20) as client:
        client.sendall(b"GET /older HTTP/1.1\r\nHost: packages.test\r\nConnection: close\r\n\r\n")
        received = client.recv(65536)
        demand = ("--header", "Cache-Control: no-cache", "--max-time", "1")
        wait_until(lambda: bad_node.get("/older", *demand).body == b"newer", what="its own answer")
        thing.go_on.set()
        assert joined(receive_to_end(client, received).partition(b"\r\n\r\n")[2]) == thing.data
    bad_node.wait_until_stored()
    answer = bad_node.get("/older")
    assert answer.body == b"newer" and answer.is_hit, "what ends later is not newer"
    assert len(asked) == 2


def test_agent_waits_for_the_length(bad_node, bad_origin):
    thing = bad_origin.scripts["/waited"] = Chunked(3 * MIB, early=MIB)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bad_node.get, "/waited", *AGENT)
        wait_until(lambda: (bad_node.metric("larder_origin_bytes_total") or 0) >= MIB)
        thing.go_on.set()
        answer = waiting.result()
    assert answer.status == 200 and answer.headers["content-length"] == str(3 * MIB) and answer.body == thing.data


def test_agent_that_waits_in_vain_gets_503_and_the_fill_goes_on(bad_node, bad_origin):
    thing = bad_origin.scripts["/vain"] = Chunked(3 * MIB, early=MIB)
    answer = bad_node.get("/vain", *AGENT, "--max-time", "19")
    assert answer.status == 503, answer
    assert answer.facts["time_total"] < 18
    thing.go_on.set()
    again = wait_until(lambda: (found := bad_node.get("/vain", *AGENT)).status == 200 and found)
    assert again.headers["content-length"] == str(3 * MIB) and again.body == thing.data
    assert len(bad_origin.of("/vain")) == 1


def test_long_answer_is_shared_and_exact_afterwards(bad_node, bad_origin):
    thing = bad_origin.scripts["/long"] = Chunked(70 * MIB, early=50 * MIB)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        before = bad_node.metric("larder_origin_bytes_total")
        first = pool.submit(bad_node.get, "/long")
        wait_until(lambda: bad_node.metric("larder_origin_bytes_total") - before >= 49 * MIB)
        second = pool.submit(bad_node.get, "/long")  # what it begins with has left the memory
        wait_until(lambda: bad_node.metric("larder_connections") >= 3)
        thing.go_on.set()
        for answer in (first.result(), second.result()):
            assert answer.status == 200 and answer.body == thing.data
    again = bad_node.get("/long", *AGENT)
    assert again.is_hit and again.headers["content-length"] == str(70 * MIB) and again.body == thing.data
    assert len(bad_origin.of("/long")) == 1


def test_agent_gets_503_for_a_long_answer_and_the_fill_goes_on_without_anybody(bad_node, bad_origin):
    thing = bad_origin.scripts["/later"] = Chunked(60 * MIB, early=45 * MIB)
    answer = bad_node.get("/later", "--range", "0-1", *AGENT, "--max-time", "19")
    assert answer.status == 503 and answer.facts["time_total"] < 18
    thing.go_on.set()
    again = wait_until(lambda: (found := bad_node.get("/later", "--range", "0-1", *AGENT)).status == 206 and found)
    assert again.body == thing.data[:2] and again.headers["content-range"] == f"bytes 0-1/{60 * MIB}"
    assert bad_node.get("/later", *AGENT).body == thing.data
    whole = wait_until(lambda: (found := bad_node.get("/later", *AGENT)).is_hit and found, what="all of it stored")
    assert whole.body == thing.data
    assert len(bad_origin.of("/later")) == 1


def test_answer_too_long_for_the_drive_is_streamed_to_its_end(tmp_path, bad_origin):
    thing = bad_origin.scripts["/endless"] = Chunked(50 * MIB)
    node = Node(tmp_path / "small", origins=[origin_table(bad_origin)], drive_size="100MB").start()
    try:
        answer = node.get("/endless")
        assert answer.status == 200 and answer.body == thing.data
        refused = node.get("/endless", *AGENT, "--max-time", "19")
        assert refused.status == 503
    finally:
        node.stop()


def test_answer_without_length_that_breaks_off_is_cut(bad_node, bad_origin):
    def breaks(request, connection):
        connection.head(200, transfer_encoding="chunked", cache_control="max-age=3600")
        connection.send(b"%x\r\n" % MIB + os.urandom(MIB) + b"\r\n")
        connection.close()
    bad_origin.scripts["/broken"] = breaks
    answer = bad_node.get("/broken")
    assert answer.exit_code != 0 and answer.status == 200
    told = re.search(f'an answer was cut host="packages.test" reason="(.*)" request="{answer.headers["x-request-id"]}"',
                     (bad_node.folder / "node.log").read_text())
    assert told and told[1]
    assert not bad_node.get("/broken").is_hit


@pytest.mark.parametrize("fields", [{"cache_control": "max-age=3600"}, {"cache_control": "no-store"}])
@pytest.mark.parametrize("tls", [False, True])
def test_http_1_0_client_does_not_take_a_part_for_the_whole(bad_node, bad_origin, authority, fields, tls):
    """Where it is told no length, only an error can tell it."""
    path = f"/part-of-{fields['cache_control']}{tls}"
    ends = threading.Event()

    def breaks(request, connection):
        connection.head(200, transfer_encoding="chunked", **fields)
        connection.send(b"4\r\nhalf\r\n")
        time.sleep(0.3)  # it does not end at once: no length can be told
        connection.send(b"0\r\n\r\n") if ends.is_set() else connection.close()
    bad_origin.scripts[path] = breaks
    if tls and not bad_node.metric("larder_https_ready"):
        bad_node.serve_https(authority)
    get = functools.partial(bad_node.get_tls, path, authority.root) if tls else functools.partial(bad_node.get, path)
    cut = get("--http1.0")
    assert cut.status == 200 and cut.body == b"half" and cut.exit_code != 0
    assert get().exit_code != 0
    ends.set()
    whole = get("--http1.0")
    assert whole.exit_code == 0 and whole.body == b"half"


def test_endless_answers_do_not_stop_other_fills(bad_node, bad_origin):
    """Their clients read nothing; they share half of the memory for what is on its way, and leave it when their clients do."""
    thing = bad_origin.scripts["/beside"] = Thing(20 * MIB)

    def endless(request, connection):
        connection.head(200, transfer_encoding="chunked", cache_control="max-age=3600")
        part = os.urandom(MIB)
        while True:
            connection.send(b"%x\r\n" % len(part) + part + b"\r\n")
    clients = []
    for number in range(10):
        bad_origin.scripts[f"/endless{number}"] = endless
        client = socket.create_connection((bad_node.address, bad_node.http_port), timeout=20)
        client.sendall(f"GET /endless{number} HTTP/1.1\r\nHost: packages.test\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        clients.append(client)
    # Three of 32 MiB each: what is kept to be stored has three eighths of 256 MiB.
    wait_until(lambda: bad_node.metric("larder_fill_memory_bytes") >= 90 * MIB)
    answer = bad_node.get("/beside", "--max-time", "15")
    assert answer.status == 200 and answer.body == thing.data
    assert bad_node.metric("larder_fill_memory_bytes") <= 129 * MIB
    for client in clients:
        client.close()
    wait_until(lambda: bad_node.metric("larder_fill_memory_bytes") == 0)
    wait_until(lambda: bad_origin.active == 0, what="the origin's connections end")


def test_who_is_passed_on_alone_does_not_hold_the_answer_it_cannot_use(tmp_path, bad_origin):
    alone, go_on, release, ended = (threading.Event() for _ in range(4))

    def script(request, connection):
        if request.field("X") == "2":
            connection.head(200, content_length=1000, vary="X", cache_control="no-store")
            alone.set()
            while not release.wait(0.5):
                connection.send(b"b")
            return connection.close()
        connection.head(200, transfer_encoding="chunked", vary="X", cache_control="max-age=3600")
        part = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"
        connection.send(part)
        go_on.wait(30)
        try:
            while True:
                connection.send(part)
        finally:
            ended.set()
    bad_origin.scripts["/held"] = script
    # No drive spools it: what nobody reads any more can only end.
    node = Node(tmp_path / "small", origins=[origin_table(bad_origin)], drive_size="100MB").start()

    def ask(variant):
        client = socket.create_connection((node.address, node.http_port), timeout=20)
        client.sendall(f"GET /held HTTP/1.1\r\nHost: packages.test\r\nX: {variant}\r\n\r\n".encode())
        assert client.recv(100)
        return client
    try:
        with ask(1) as one, ask(2):
            assert alone.wait(20)
            go_on.set()
            received = 0
            while received < 60 * MIB:
                received += len(one.recv(MIB))
            one.close()
            assert ended.wait(20), "the other one reads something else"
    finally:
        release.set()
        node.stop()
