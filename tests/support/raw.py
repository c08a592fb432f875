"""Requests as bytes, for what curl does not send."""

import socket


def exchange(node, data, seconds=20, until=None, port=None):
    """What a node answers to these bytes: until it closes, until `until` bytes are there, or "answer": one whole answer."""
    received = bytearray()
    with socket.create_connection((node.address, port or node.http_port), seconds) as connection:
        connection.sendall(data)
        while until is None or until == "answer" or len(received) < until:
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
            head, found, _ = received[:65536].partition(b"\r\n\r\n")
            if until == "answer" and found:
                until = len(head) + 4 + int(split(bytes(head))[1].get("Content-Length", 0))
    return bytes(received)


def split(answer):
    """Status, fields by the names as they were sent, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body
