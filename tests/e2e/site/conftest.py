import pytest

from support.larder import Device, Node, Site, origin_table


@pytest.fixture(scope="module")
def site(folder):
    site = Site(folder / "site").start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def make_node(folder, origin):
    """make_node(name) starts a node on this machine's own address; names are fixed by the token."""
    made = []

    def make(name, **settings):
        names = settings.pop("names", ["127.0.0.1", f"{name}.larder.test"])
        node = Node(folder / name, name=name, origins=[origin_table(origin)], names=names, **settings).start()
        made.append(node)
        return node

    yield make
    for node in made:
        node.stop()


@pytest.fixture(scope="module")
def joined(site, make_node):
    """A node of the site."""
    node = make_node("node1")
    site.join(node)
    site.wait_for_node("node1")
    return node


@pytest.fixture
def device(folder, site, tmp_path):
    device = Device(tmp_path / "device", "device-1")
    device.register(site.registration_token())
    return device
