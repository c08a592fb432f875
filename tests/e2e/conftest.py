import os
import pathlib

import pytest

from support import secrets_used
from support.authority import Authority
from support.issuer import Issuer
from support.larder import PROGRAM, Node, origin_table
from support.origin import Origin


def pytest_collection_modifyitems(items):
    """What looks through every log runs when the logs are written."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_sessionfinish():
    """A run of several processes has its secrets and logs searched in the last of them."""
    if "LARDER_SECRETS" in os.environ:
        secrets_used.save(pathlib.Path(os.environ["LARDER_SECRETS"]) / f"{os.getpid()}.json")


@pytest.fixture(scope="session", autouse=True)
def program():
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is missing: ./run --build-only", returncode=2)
    return PROGRAM


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A customer's certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def issuer(tmp_path, authority):
    """An authority that answers for revocation."""
    made = Issuer(tmp_path / "issuer", authority)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request) -> pathlib.Path:
    return tmp_path_factory.mktemp(pathlib.Path(request.module.__file__).stem)


@pytest.fixture(scope="module")
def origin(folder):
    origin = Origin(folder / "origin").start()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def node(folder, origin):
    """A node in front of `origin`, HTTP only."""
    node = Node(folder / "node", origins=[origin_table(origin)], names=["node1.larder.test", "127.0.0.1"]).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def tls_node(node, authority):
    """The same node with a certificate of the customer's authority."""
    node.serve_https(authority, dns=["node1.larder.test"], addresses=["127.0.0.1"])
    return node
