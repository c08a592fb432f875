import pytest

from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin


@pytest.fixture(scope="module")
def bad_origin():
    with MisbehavingOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def bad_node(folder, bad_origin):
    """A node in front of an origin that misbehaves. Values of `sig` are not part of its keys."""
    node = Node(folder / "bad_node", origins=[
        origin_table(bad_origin, public=True, ignore_query=["sig"]),
        origin_table(bad_origin, "edges", ["edges.test"], validator="length+last-modified")]).start()
    yield node
    node.stop()
