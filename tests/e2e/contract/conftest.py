"""docs/client_contract.md, line by line: the model of the client in support/do_client.py against a real node.

Tests carry the ids of their lines, `@pytest.mark.contract("CC-0.1")`; tests/support/check_contract.py compares both.
"""

import pytest

from support.do_client import DoClient
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin

HOST = "origin.do.test"


class World:
    """A node with two origins: nginx with files, and one that a test scripts. The client's fallback leads to both."""

    def __init__(self, node, files, scripted):
        self.node, self.files, self.scripted = node, files, scripted

    @property
    def cache_host(self):
        return f"{self.node.address}:{self.node.http_port}"

    def client(self, **options):
        origins = {HOST: (self.files.address, self.files.port), "scripted.do.test": ("127.0.0.1", self.scripted.port)}
        return DoClient(**{"cache_host": self.cache_host, "origins": origins, **options})

    def script(self, name, function):
        """From now on http://scripted.do.test/NAME does that; returns the address."""
        self.scripted.scripts[f"/{name}"] = function
        return f"http://scripted.do.test/{name}"

    def status(self, name, status, reason="Scripted", body=b"x", **fields):
        """An address that always answers so."""
        def answer(request, connection):
            none = status in (204, 304)
            connection.head(status, reason, content_length=None if none else len(body), **fields)
            if not none:
                connection.send(body)
        return self.script(name, answer)


@pytest.fixture(scope="module")
def world(folder, origin, authority):
    with MisbehavingOrigin() as scripted:
        node = Node(folder / "contract", names=["node1.larder.test", "127.0.0.1"], origins=[
            origin_table(origin, "files", [HOST]), origin_table(scripted, "scripted", ["scripted.do.test"]),
            {"name": "dead", "hosts": ["dead.do.test"], "url": "http://127.0.0.1:9", "allow_addresses": ["127.0.0.1/32"]},
        ]).start()
        node.serve_https(authority, dns=["node1.larder.test"], addresses=["127.0.0.1"])
        yield World(node, origin, scripted)
        node.stop()
