"""What a certificate names is somebody else's word: a node asks no address for it that only itself should reach."""

import json
import re

import pytest

from support import network
from support.http_receiver import Receiver
from support.issuer import Issuer
from support.larder import Node, origin_table
from support.ports import free_port
from support.wait import wait_until

METADATA = "169.254.169.254"  # where clouds hand a machine's secrets to whoever asks on it


def revocation(node):
    found = json.loads(node.cli("cert", "list", "--json").stdout)["watch"]["revocation"]
    return found[0] if found else {}


def unknown(node):
    return wait_until(lambda: (found := revocation(node)).get("error") and found)


def set_and_reload(node, **settings):
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    node.config.write_text(node.config.read_text().replace("[node]\n", "[node]\n" + lines, 1))
    node.cli("node", "reload")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.9.10", "0.0.0.0"])
def test_loopback_in_a_certificate_is_not_asked(tmp_path, authority, issuer, origin, host):
    where = f"http://{host}:{issuer.web.port}"
    chain_options = f"authorityInfoAccess=OCSP;URI:{where}/ocsp\ncrlDistributionPoints=URI:{where}/issuing.crl\n"
    node = Node(tmp_path / "node", origins=[origin_table(origin)], client_trust=[str(authority.root)]).start()
    try:
        chain = authority.sign(node.request_certificate(), extensions=chain_options)
        issuer.record(chain)
        node.import_certificate(chain)
        found = unknown(node)
        assert found["state"] == "unknown" and "own and not allowed" in found["error"], found
        assert "request_allow_addresses" in found["error"] and where in found["error"]
        assert "own and not allowed" in node.cli("cert", "list").stdout
        assert issuer.web.requests() == [], "nobody was asked"

        if host == "127.0.0.1":  # where nginx listens
            node.stop()
            node.config.write_text(node.config.read_text().replace(
                "[node]\n", '[node]\nrequest_allow_addresses = ["127.0.0.1"]\n', 1))
            node.start()
            wait_until(lambda: revocation(node).get("state") == "good")
            assert [one["target"] for one in issuer.web.requests()] == ["/ocsp", "/issuing.crl"]
    finally:
        node.stop()


@pytest.fixture
def link(tmp_path):
    network.require_root()
    link = network.Link("nodes", "publishers")
    link.right.add_address(f"{METADATA}/32")
    link.left.add_route(f"{METADATA}/32", link.right_address)
    link.left.set_hosts({"metadata.test": METADATA})
    link.right.set_hosts({})
    yield link
    link.remove()


def test_redirects_and_names_lead_no_further_than_addresses(tmp_path, authority, link):
    """A private address is asked, as most organisations need; link-local is not, by whatever way it is named."""
    issuer = Issuer(tmp_path / "issuer", authority, address=link.right_address, namespace=link.right, port=80,
                    extra=f"listen {METADATA}:80; location /moved/ {{ return 302 http://{METADATA}/issuing.crl; }}")
    node = Node(tmp_path / "node", address=link.left_address, namespace=link.left,
                client_trust=[str(authority.root)]).start()
    assert link.left.accepts(METADATA, 80), "only the node's own rule stands before it"
    own = link.right_address
    try:
        for number, (url, expected) in enumerate((
                (f"http://{METADATA}/issuing.crl", "is not public, not private and not allowed"),
                ("http://metadata.test/issuing.crl", "is not public, not private and not allowed"),
                (f"http://{own}/moved/issuing.crl", "answered with 302"),
                (f"http://{own}/issuing.crl", None))):
            chain = authority.sign(node.request_certificate(f"key{number}"),
                                   extensions=f"crlDistributionPoints=URI:{url}\n")
            issuer.record(chain)
            node.import_certificate(chain)

            def looked():
                found = revocation(node)
                return found.get("name") == f"key{number}" and found

            found = wait_until(looked)
            assert found["state"] == ("unknown" if expected else "good"), found
            assert (expected or "") in found["error"]
        asked = [(one["host"], one["target"]) for one in issuer.web.requests()]
        assert asked == [(own, "/moved/issuing.crl"), (own, "/issuing.crl")]
    finally:
        node.stop()
        issuer.stop()


def test_receiver_of_alerts_is_reached_by_its_address_and_by_a_name_only_where_that_is_allowed(
        tmp_path, authority, origin):
    receiver = Receiver(authority.issue(f"alerts{free_port()}.test", "IP:127.0.0.1,DNS:localhost", days=900))
    node = Node(tmp_path / "node", origins=[origin_table(origin)], client_trust=[str(authority.root)],
                alert_webhook=receiver.url.replace("127.0.0.1", "localhost"),
                alert_webhook_trust=str(authority.root)).start()
    try:
        node.import_certificate(authority.sign(node.request_certificate(), days=5))
        wait_until(lambda: re.search(r"could not be delivered.*own and not allowed", node.program.log.read_text()))
        assert receiver.attempts == 0
        set_and_reload(node, request_allow_addresses=["127.0.0.0/8", "::1"])
        wait_until(lambda: len(receiver.messages) == 1, 90)
    finally:
        node.stop()
        receiver.stop()
