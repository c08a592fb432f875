"""Where a name may lead: public addresses, checked at each connect, whatever the resolver says by then."""

import socket

import pytest

from support.network import PUBLIC, PUBLIC6
from support.dns import Dns
from support.larder import Node
from support.origin import Origin
from support.wait import wait_until

FORBIDDEN = {
    "loopback": "127.0.0.1",
    "other-loopback": "127.8.9.10",
    "this-network": "0.0.0.0",
    "metadata": "169.254.169.254",
    "shared": "100.64.0.1",
    "private": "192.168.7.7",
    "loopback6": "::1",
    "any6": "::",
    "local6": "fd00:213::2",
    "link6": "fe80::1",
    "mapped": "::ffff:93.184.216.34",
    "nat64": "64:ff9b::5db8:d822",
    "sixtofour": "2002:5db8:d822::1",
    "teredo": "2001:0:5db8:d822::1",
}


@pytest.fixture(scope="module")
def inside(folder, net):
    """A server that only the organisation may reach, on every address of its host that is not public."""
    origin = Origin(folder / "inside", address=net.right_address, namespace=net.right, port=80,
                    extra="listen [fd00:213::2]:80; listen 127.0.0.1:80;").start()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def public(folder, net):
    origin = Origin(folder / "public", address=PUBLIC, namespace=net.right, port=80,
                    extra=f"listen [{PUBLIC6}]:80;").start()
    yield origin
    origin.stop()


def names(net, flip):
    return [*((address, f"{name}.test") for name, address in FORBIDDEN.items()),
            (net.right_address, "link.test"), (net.left_address, "self.test"), (flip, "flip.test"),
            (net.right_address, "mixed.test"), ("fd00:213::2", "mixed.test"), (PUBLIC, "mixed.test"),
            (PUBLIC6, "six.test"), (PUBLIC, "both.test"), ("2606:4700::dead", "both.test")]


@pytest.fixture(scope="module")
def dns(folder, net):
    net.left.set_hosts({})
    net.left.set_resolver(net.right_address)
    dns = Dns(folder / "dns", net.right_address, net.right, names(net, PUBLIC)).start()
    yield dns
    dns.stop()


@pytest.fixture(scope="module")
def node(folder, net, dns, inside, public):
    node = Node(folder / "node", address=net.left_address, namespace=net.left, http_port=80,
                origins=[{"name": "names", "hosts": [f"{name}.test" for name in
                                                     [*FORBIDDEN, "link", "self", "flip", "mixed", "six", "both"]],
                          "scheme": "http"}]).start()
    yield node
    node.stop()


@pytest.mark.parametrize("name", [*FORBIDDEN, "link", "self"])
def test_name_that_leads_inside_is_not_followed(node, net, inside, name):
    before = len(inside.requests())
    answer = node.get("/x", host=f"{name}.test", namespace=net.left)
    assert answer.status == 502, answer
    assert len(inside.requests()) == before


def test_good_address_beside_forbidden_ones_is_used(node, net, public, inside):
    data = public.write("mixed.bin", 5000)
    assert node.get("/mixed.bin", host="mixed.test", namespace=net.left).body == data
    assert inside.requests("/mixed.bin") == []


def test_origin_over_ipv6(node, net, public):
    data = public.write("six.bin", 5000)
    assert node.get("/six.bin", host="six.test", namespace=net.left).body == data


def test_ipv4_is_used_when_ipv6_leads_nowhere(node, net, public):
    data = public.write("both.bin", 5000)
    assert node.get("/both.bin", host="both.test", namespace=net.left).body == data


def test_name_that_moves_inside_is_refused_at_the_next_connect(folder, net, dns, node, public, inside):
    """DNS rebinding: the first answer was harmless."""
    data = public.write("flip.bin", 5000)
    assert node.get("/flip.bin", host="flip.test", namespace=net.left).body == data
    asked = dns.log().count("flip.test")
    dns.set(names(net, net.right_address))
    public.stop()  # the connection that is open ends with it

    def refused():
        answer = node.get("/other.bin", host="flip.test", namespace=net.left)
        assert answer.status == 502, answer
        return "is not public" in node.program.log.read_text().rsplit("flip.test", 1)[-1] and \
            dns.log().count("flip.test") > asked

    wait_until(refused)
    assert inside.requests("/other.bin") == []
    assert node.get("/flip.bin", host="flip.test", namespace=net.left).body == data, "what is stored stays"
    dns.set(names(net, PUBLIC))
    public.start()


def test_listed_address_is_reached_and_no_other(folder, net, dns, inside):
    data = inside.write("listed.bin", 1000)
    node = Node(folder / "listed", name="node2", address=net.left_address, namespace=net.left, origins=[
        {"name": "link", "hosts": ["link.test"], "scheme": "http", "allow_addresses": [f"{net.right_address}/32"]},
        {"name": "private", "hosts": ["loopback.test"], "scheme": "http", "allow_addresses": ["10.0.0.0/8"]}]).start()
    try:
        assert node.get("/listed.bin", host="link.test", namespace=net.left).body == data
        assert node.get("/listed.bin", host="loopback.test", namespace=net.left).status == 502
    finally:
        node.stop()


def test_own_administration_is_no_origin(folder):
    """Not even when the table lists the loopback address."""
    node = Node(folder / "own", origins=[])
    text = node.config.read_text()
    node.config.write_text(text + f'[[origin]]\nname = "own"\nhosts = ["own.test"]\nscheme = "http"\n'
                                  f'url = "http://127.0.0.1:{node.admin_port}"\n'
                                  'allow_addresses = ["127.0.0.0/8"]\n')
    node.start()
    try:
        assert node.get("/metrics", host="own.test").status == 502
    finally:
        node.stop()


def test_ipv6_address_as_origin(folder):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    origin = Origin(folder / "six", address="::1").start()
    data = origin.write("x.bin", 3000)
    from support.larder import origin_table
    node = Node(folder / "sixnode", origins=[origin_table(origin)]).start()
    try:
        assert node.get("/x.bin").body == data
    finally:
        node.stop()
        origin.stop()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
