"""What goes over a TLS connection after the handshake: every suite gives the right bytes, keys can be renewed."""

import subprocess
import time

import pytest

from support.larder import Node, origin_table

NAME = "node1.larder.test"


@pytest.fixture(scope="module")
def secured(folder, origin, authority):
    node = Node(folder / "records-node", origins=[origin_table(origin)], names=[NAME]).start()
    node.import_certificate(authority.sign(node.request_certificate()))
    yield node
    node.stop()


@pytest.mark.parametrize("options", [
    ("--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"),
    ("--tlsv1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"),
    ("--tlsv1.3", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"),
    ("--tls-max", "1.2"),
], ids=["aes128", "aes256", "chacha20", "tls1.2"])
def test_every_suite_gives_the_right_bytes(secured, origin, authority, options):
    name = "-".join(option.strip("-") for option in options) + ".bin"
    data = origin.write(name, 5_000_001)
    for _ in ("miss", "hit"):
        answer = secured.get_tls(f"/{name}", authority.root, *options)
        assert (answer.exit_code, answer.body) == (0, data), answer.error
    part = secured.get_tls(f"/{name}", authority.root, *options, "--range", "16383-32769")
    assert part.body == data[16383:32770]


def read_until(pipe, text, seconds=10):
    """The client's output up to and with `text`."""
    received, end = b"", time.monotonic() + seconds
    while text not in received:
        assert time.monotonic() < end, received
        byte = pipe.read(1)
        assert byte, received
        received += byte
    return received


@pytest.mark.parametrize("command", [b"K\n", b"k\n"], ids=["asks for ours", "tells of its own"])
def test_client_renews_its_keys(secured, authority, command):
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{secured.address}:{secured.https_port}", "-servername", NAME,
         "-CAfile", authority.root, "-tls1_3", "-brief"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    try:
        read_until(client.stdout, b"TLS_AES_128_GCM_SHA256")
        for _ in range(3):
            client.stdin.write(f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            read_until(client.stdout, b"\r\n\r\nok\n")
            client.stdin.write(command)
            read_until(client.stdout, b"KEYUPDATE")
        client.stdin.write(f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        read_until(client.stdout, b"\r\n\r\nok\n")
    finally:
        client.kill()
        client.wait()
