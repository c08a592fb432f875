"""The same request again and again: answered from memory, yet each answer is of its own moment."""

import re
import socket
import time

import pytest

from support.wait import wait_until


class Client:
    """One connection that sends requests as they are written here."""

    def __init__(self, node):
        self.socket = socket.create_connection((node.address, node.http_port), timeout=10)
        self.received = b""

    def ask(self, request):
        self.socket.sendall(request)
        return self.answer()

    def answer(self):
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        length = int(fields["Content-Length"])
        while len(self.received) < length:
            self._receive()
        body, self.received = self.received[:length], self.received[length:]
        return int(head.split()[1]), fields, body

    def _receive(self):
        part = self.socket.recv(65536)
        assert part, "the node closed the connection"
        self.received += part


def request(path, *lines):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: packages.test", *lines, "", ""]).encode()


def logged(node, request_id):
    """The access log's line of that request; it is written within a second or two."""
    log = node.state / "log/access.log"
    return wait_until(lambda: next((line for line in log.read_text().splitlines() if line.endswith(request_id)), None),
                      what=f"a line for {request_id}")


@pytest.fixture
def client(node):
    made = Client(node)
    yield made
    made.socket.close()


def test_each_answer_has_its_own_id_age_and_log_line(node, origin, client):
    body = origin.write("again.bin", 4096)
    # The first answers may come from the fill itself, before the store has it.
    wait_until(lambda: "; hit" in client.ask(request("/again.bin"))[1]["Cache-Status"], what="the object in the store")
    answers = []
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        answers.append(client.ask(request("/again.bin")))
    assert all((status, got) == (200, body) for status, _, got in answers)
    ids = [fields["X-Request-Id"] for _, fields, _ in answers]
    assert len(set(ids)) == len(ids)
    ages = [int(fields["Age"]) for _, fields, _ in answers]
    assert ages == sorted(ages) and ages[-1] - ages[0] in (2, 3)
    for number in (1, 2, len(answers) - 1):
        line = logged(node, ids[number])
        assert re.fullmatch(r"\S+Z 127\.0\.0\.1 GET http://packages\.test/again\.bin 200 \d+ \d+ hit fresh "
                            + ids[number], line)
        assert int(line.split()[5]) == len(body) + len(
            "HTTP/1.1 200 OK\r\n" + "".join(f"{name}: {value}\r\n" for name, value in answers[number][1].items())
            + "\r\n")


def test_requests_that_come_together_are_answered_in_order(origin, client):
    one, two = origin.write("one.bin", 3000), origin.write("two.bin", 5000)
    for _ in range(3):
        client.ask(request("/one.bin"))
        client.ask(request("/two.bin"))
    client.socket.sendall(request("/one.bin") + request("/two.bin") + request("/one.bin") + request("/one.bin"))
    assert [client.answer()[2] for _ in range(4)] == [one, two, one, one]
    # In pieces, too.
    words = request("/two.bin")
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.socket.sendall(words[:20])
    client.socket.sendall(words[20:] + words)
    assert [client.answer()[2] for _ in range(2)] == [two, two]


def test_a_new_generation_is_seen_at_once(origin, client):
    old = origin.write("replaced.bin", 4096)
    for _ in range(4):
        assert client.ask(request("/replaced.bin"))[2] == old
    new = origin.write("replaced.bin", 4096, age=20 * 86400)
    assert client.ask(request("/replaced.bin", "Cache-Control: no-cache"))[2] == new
    assert client.ask(request("/replaced.bin"))[2] == new


def test_a_client_that_reads_slowly_gets_the_whole_of_each(node, origin):
    body = origin.write("slow-reader.bin", 12_000)
    words = request("/slow-reader.bin")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(10)
        slow.connect((node.address, node.http_port))
        count = 300
        for _ in range(count):
            slow.sendall(words)
        received = b""
        while received.count(b"HTTP/1.1 200 OK\r\n") < count or not received.endswith(body):
            part = slow.recv(65536)
            assert part
            received += part
    assert received.count(body) == count


def test_an_answer_that_was_sent_in_part_is_logged_as_left_with_what_was_sent(node, origin):
    body = origin.write("leaves.bin", 12_000)
    words = request("/leaves.bin")

    def lines():
        return [line.split() for line in (node.state / "log/access.log").read_text().splitlines()
                if "/leaves.bin " in line]

    with socket.socket() as leaver:
        leaver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        leaver.connect((node.address, node.http_port))
        for _ in range(800):  # more than the socket takes when nobody reads
            leaver.sendall(words)
            time.sleep(0.001)  # each by itself, not several in one read
    left = wait_until(lambda: [line for line in lines() if line[7] == "left"], what="the line of the answer in part")
    assert len(left) == 1
    whole = {int(line[5]) for line in lines() if line[7] == "hit"}
    assert len(body) < min(whole)
    assert int(left[0][5]) < min(whole)
    assert len(lines()) < 800
