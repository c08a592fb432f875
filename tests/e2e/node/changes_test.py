"""Objects that change at their origin, and clients that keep a connection busy: always an answer, never mixed bytes."""

import os
import socket

from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin

MIB = 1 << 20


def receive_until(client, text):
    received = b""
    while text not in received:
        part = client.recv(65536)
        assert part, received[-300:]
        received += part
    return received


def test_object_that_changed_is_fetched_anew_and_never_mixed(node, origin):
    origin.write("changes.bin", 3 * MIB)
    node.get("/changes.bin", "--header", f"Range: bytes=0-{MIB - 1}")
    new = origin.write("changes.bin", 3 * MIB, age=20 * 86400)
    # The stored slice is fresh, the missing one belongs to another representation by now.
    answer = node.get("/changes.bin", "--header", f"Range: bytes={MIB}-{2 * MIB - 1}", "--max-time", "15")
    assert (answer.status, answer.body) == (206, new[MIB:2 * MIB])
    assert node.get("/changes.bin").body == new


def test_part_of_an_object_without_a_validator_is_never_completed_with_another(node, origin):
    """Changed in the second in which it is asked for, or later: Last-Modified proves nothing, and nginx sends no ETag."""
    old = origin.write("weak/object.bin", 2 * MIB, age=-60)
    first = node.get("/weak/object.bin", "--header", f"Range: bytes=0-{MIB - 1}")
    assert first.body == old[:MIB]
    new = origin.write("weak/object.bin", 2 * MIB, age=-60)
    whole = node.get("/weak/object.bin")
    assert whole.body in (old, new), "bytes of both"


def test_what_changes_each_time_before_its_first_byte_is_asked_for_alone(tmp_path):
    body, answers = os.urandom(2 * MIB), []

    def changes(request, connection):
        """Each answer is another representation, and ends before its first byte; but for who asks as the client does."""
        answers.append(request)
        first, last = request.range or (0, len(body) - 1)
        connection.head(206 if request.range else 200, content_length=last - first + 1, etag=f'"{len(answers)}"',
                        cache_control="max-age=60",
                        content_range=f"bytes {first}-{last}/{len(body)}" if request.range else None)
        if request.range != (5, 9):
            connection.close()
        connection.send(body[first:last + 1])

    with MisbehavingOrigin() as origin:
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        origin.scripts["/changes"] = changes
        answer = node.get("/changes", "--range", "5-9")
        assert (answer.status, answer.body) == (206, body[5:10]), answer
        assert len(answers) > 3
        node.stop()


def test_request_sent_while_the_last_one_is_answered_gets_its_answer(node, origin):
    origin.write("slowly.bin", 3 * MIB)
    with socket.create_connection((node.address, node.http_port), timeout=10) as client:
        client.sendall(b"GET /slow/slowly.bin HTTP/1.1\r\nHost: packages.test\r\n\r\n")
        receive_until(client, b"\r\n\r\n")  # the answer has begun and goes on for more than a second
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        rest = receive_until(client, b"\r\n\r\nok\n")
    assert len(rest) > 2 * MIB


def test_head_has_no_body_whatever_the_answer(node):
    with socket.create_connection((node.address, node.http_port), timeout=10) as client:
        for host, path in (("localhost", "/healthz"), ("localhost", "/nothing"), ("unknown.test", "/")):
            client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert receive_until(client, b"\r\n\r\n").endswith(b"\r\n\r\n")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert receive_until(client, b"ok\n").startswith(b"HTTP/1.1 200 ")
