import socket
import threading
import time

import pytest

from support.relay import Relay


@pytest.fixture
def echo():
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    listener.close()


def round_trip(connection, data):
    threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()
    received = bytearray()
    while len(received) < len(data):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("ended early")
        received += piece
    return bytes(received)


def test_bytes_pass_unchanged(echo):
    with Relay(echo) as relay, socket.create_connection(("127.0.0.1", relay.port), 5) as client:
        data = bytes(range(256)) * 4096
        assert round_trip(client, data) == data


def test_delay_is_paid_each_way(echo):
    with Relay(echo, delay=0.05) as relay, socket.create_connection(("127.0.0.1", relay.port), 5) as client:
        round_trip(client, b"warm")
        start = time.monotonic()
        round_trip(client, b"x")
        assert 0.1 <= time.monotonic() - start < 1


def test_rate_limits_the_line(echo):
    with Relay(echo, rate=1_000_000) as relay, socket.create_connection(("127.0.0.1", relay.port), 5) as client:
        start = time.monotonic()
        round_trip(client, bytes(400_000))
        assert time.monotonic() - start >= 0.35


def test_cut_after_resets_the_connection(echo):
    with Relay(echo, cut_after=100_000) as relay, socket.create_connection(("127.0.0.1", relay.port), 5) as client:
        with pytest.raises(OSError):
            round_trip(client, bytes(1_000_000))


def test_stall_holds_and_resume_releases(echo):
    with Relay(echo) as relay, socket.create_connection(("127.0.0.1", relay.port), 5) as client:
        round_trip(client, b"warm")
        relay.stall()
        client.sendall(b"held")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(4)
        relay.resume()
        client.settimeout(5)
        assert client.recv(4) == b"held"
