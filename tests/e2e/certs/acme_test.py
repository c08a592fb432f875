"""Certificates from ACME servers: Pebble and Caddy, and one that does what those cannot be made to do."""

import concurrent.futures
import datetime
import json
import pathlib
import secrets
import stat
import socket

import pytest

from support import secrets_used
from support.acme import Caddy, Pebble
from support.faketime import FakeTime
from support.larder import Node, origin_table
from support.misbehaving_acme import MisbehavingAcme
from support.ports import free_port
from support.program import run
from support.proxies import Tinyproxy
from support.tls import alert, s_client, served_certificate
from support.wait import wait_for_the_next_second, wait_until

NAME = "node1.larder.test"


def make_node(tmp_path, origin, authority, names=(NAME,), address="127.0.0.1", settings=None, **signer):
    values = {"certificate": "delivery", "type": "acme", "ca_file": str(authority.root), "accept_terms": True, **signer}
    return Node(tmp_path / "node", origins=[origin_table(origin)], names=names, address=address, signers=[values],
                **(settings or {}))


def start(node, running, server, **signer):
    """The node's ports are known before the server that comes to them."""
    text = node.config.read_text()
    node.config.write_text(text.replace('directory = "https://later/"', f'directory = "{server.directory}"'))
    running.append(node.start())
    return node


def with_pebble(tmp_path, origin, authority, running, names=(NAME,), pebble=None, **signer):
    node = make_node(tmp_path, origin, authority, names=names, directory="https://later/", **signer)
    server = Pebble(tmp_path / "pebble", authority, node.http_port, node.https_port, **(pebble or {})).start()
    running.append(server)
    return start(node, running, server), server


def renewal(node):
    listed = json.loads(node.cli("cert", "list", "--json").stdout)
    return next(entry for entry in listed["renewals"] if entry["name"] == "delivery")


def certificate(node):
    listed = json.loads(node.cli("cert", "list", "--json").stdout)["certificates"]
    return next((entry for entry in listed if entry["state"] == "active"), None)


def shown(node):
    return served_certificate(node.address, node.https_port, NAME)


def wait_for_certificate(node, seconds=60):
    def check():
        if node.program.is_running() and renewal(node)["failures"]:
            raise AssertionError(renewal(node)["reason"])
        return shown(node)
    return wait_until(check, seconds)


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_pebble_signs_for_names_and_addresses(tmp_path, origin, authority, running, challenge):
    """Pebble refuses 30 % of all good nonces on purpose. The node starts without any certificate."""
    node, server = with_pebble(tmp_path, origin, authority, running, names=(NAME, "127.0.0.1"), challenge=challenge)
    wait_for_certificate(node)
    data = origin.write("acme.bin", 100_000)
    root = server.root()
    answer = node.get_tls("/acme.bin", root)
    assert (answer.exit_code, answer.body) == (0, data), answer.error
    by_address = node.get_tls("/acme.bin", root, name="127.0.0.1")
    assert (by_address.exit_code, by_address.body) == (0, data), by_address.error
    assert ("validate w/ HTTP" in server.said()) == (challenge == "http-01")
    key = next((node.state / "acme").glob("*/account.key"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    # Nothing stays open.
    assert node.get("/.well-known/acme-challenge/x", host=NAME).status == 404
    log = (node.folder / "node.log").read_text()
    assert "PRIVATE" not in log


SIDE_BY_SIDE = ("delivery-ec", "delivery-rsa")


def with_two_signers(tmp_path, origin, authority, running, names=(NAME, "127.0.0.1"), pebble=None, **signer):
    """An RSA and an EC certificate of the same names from one server, both to be had at once."""
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=names, signers=[
        {"certificate": name, "type": "acme", "ca_file": str(authority.root), "accept_terms": True,
         "directory": "https://later/", **signer} for name in SIDE_BY_SIDE])
    server = Pebble(tmp_path / "pebble", authority, node.http_port, node.https_port, **(pebble or {})).start()
    running.append(server)
    node.request_certificate("delivery-rsa", algorithm="rsa", size=2048, common_name=NAME, dns=[NAME],
                             addresses=["127.0.0.1"])
    return start(node, running, server), server


def shown_by_kind(node):
    """What clients of each kind are shown: those of RSA, those of EC."""
    prints = []
    for signatures in ("rsa_pss_rsae_sha256:RSA+SHA256", "ECDSA+SHA256"):
        printed = s_client(node.address, node.https_port, "-sigalgs", signatures, name=NAME).stdout
        start_of = printed.find("-----BEGIN")
        prints.append(None if start_of < 0 else run(
            "openssl", "x509", "-noout", "-fingerprint", "-sha256",
            input=printed[start_of:printed.index("-----END CERTIFICATE-----") + 26]).stdout)
    return prints


def renewals(node):
    listed = json.loads(node.cli("cert", "list", "--json").stdout)["renewals"]
    assert not any(one["failures"] for one in listed), listed
    return {one["name"]: one for one in listed}


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_two_signers_prove_the_same_names_at_once(tmp_path, origin, authority, running, challenge):
    node, server = with_two_signers(tmp_path, origin, authority, running, challenge=challenge)

    def both():
        renewals(node)
        found = shown_by_kind(node)
        return None not in found and found

    first = wait_until(both, 90)
    assert first[0] != first[1], "each client gets the one that it can use"
    accounts = list((node.state / "acme").glob("*/account.json"))
    assert len(accounts) == 1 and server.said().count("There are now 1 accounts") == 1
    assert "There are now 2 accounts" not in server.said()
    assert renewals(node)["delivery-ec"]["next"] != renewals(node)["delivery-rsa"]["next"], "each has its own jitter"

    # Again, from the outside and at the same moment.
    wait_for_the_next_second()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: node.cli("cert", "renew", name), SIDE_BY_SIDE))
    second = shown_by_kind(node)
    assert not set(first) & set(second) and None not in second and second[0] != second[1]
    states = [one["state"] for one in json.loads(node.cli("cert", "list", "--json").stdout)["certificates"]]
    assert sorted(states) == ["active", "active", "inactive", "inactive"]
    assert not list((node.state / "acme").glob("*/order-*.json"))
    assert node.get("/.well-known/acme-challenge/x", host=NAME).status == 404
    data = origin.write("two.bin", 100_000)
    for name in (NAME, "127.0.0.1"):
        answer = node.get_tls("/two.bin", server.root(), name=name)
        assert (answer.exit_code, answer.body) == (0, data), answer.error


def test_renewal_keeps_account_and_key(tmp_path, origin, authority, running):
    node, server = with_pebble(tmp_path, origin, authority, running)
    wait_for_certificate(node)
    first, account = shown(node), next((node.state / "acme").glob("*/account.json")).read_text()
    key = (node.state / "certificates/delivery/key.pem").read_bytes()
    wait_for_the_next_second()
    node.cli("cert", "renew", "delivery")
    assert shown(node) != first
    assert next((node.state / "acme").glob("*/account.json")).read_text() == account
    assert (node.state / "certificates/delivery/key.pem").read_bytes() == key
    # A server that has forgotten everybody: the account is made anew.
    server.program.kill()
    server.program.start()
    server.program.wait_for(lambda: server.root())
    second = shown(node)
    wait_for_the_next_second()
    node.cli("cert", "renew", "delivery")
    assert shown(node) != second


def test_a_short_lived_certificate_is_renewed_with_nobody_there(tmp_path, origin, authority, running):
    """Pebble's certificates live for 30 seconds here: renewal is due after 18 to 20."""
    node, server = with_pebble(tmp_path, origin, authority, running, pebble={"validity": 30})
    first = wait_for_certificate(node)
    wait_until(lambda: shown(node) not in (None, first))
    assert renewal(node)["failures"] == 0


def test_external_account_binding(tmp_path, origin, authority, running):
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    secrets_used.register_secret(secret, "key of an external account")
    key_file = tmp_path / "external.key"
    key_file.write_text(secret + "\n")
    key_file.chmod(0o600)
    node, _ = with_pebble(tmp_path, origin, authority, running, pebble={"external_keys": {"kid-1": secret}},
                          external_key_id="kid-1", external_key_file=str(key_file))
    wait_for_certificate(node)


def test_through_an_outgoing_proxy(tmp_path, origin, authority, running):
    proxy = Tinyproxy(tmp_path / "proxy", "127.0.0.1", free_port(), None, credentials="node:proxy-password-1").start()
    running.append(proxy)
    secrets_used.register_secret("proxy-password-1", "password of a proxy")
    credentials = tmp_path / "credentials"
    credentials.write_text("node:proxy-password-1\n")
    credentials.chmod(0o600)
    node = make_node(tmp_path, origin, authority, directory="https://later/",
                     settings={"proxy": proxy.url, "proxy_credentials": str(credentials)})
    server = Pebble(tmp_path / "pebble", authority, node.http_port, node.https_port).start()
    running.append(server)
    start(node, running, server)
    wait_for_certificate(node)
    assert any(f"127.0.0.1:{server.port}" in line for line in proxy.requests())


def test_what_a_server_names_is_not_asked_of_the_proxy_unseen(tmp_path, origin, authority, running):
    """No connection of the node's own would show it: the proxy would be asked for anything."""
    proxy = Tinyproxy(tmp_path / "proxy", "127.0.0.1", free_port(), None).start()
    running.append(proxy)
    server = MisbehavingAcme(tmp_path / "acme", authority, "at-the-cloud").start()
    running.append(server)
    node = make_node(tmp_path, origin, authority, directory=server.directory, settings={"proxy": proxy.url})
    running.append(node.start())
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert "169.254.169.254 is not public" in renewal(node)["reason"]
    assert server.asked and not any("169.254.169.254" in line for line in proxy.requests())


def test_a_server_that_wants_an_account_made_elsewhere_is_explained(tmp_path, origin, authority, running):
    node, _ = with_pebble(tmp_path, origin, authority, running,
                          pebble={"external_keys": {"kid-1": secrets.token_urlsafe(32)}})
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert "external_key_id" in renewal(node)["reason"]


def test_terms_are_not_accepted_unasked(tmp_path, origin, authority, running):
    node, _ = with_pebble(tmp_path, origin, authority, running, accept_terms=False)
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert "accept_terms" in renewal(node)["reason"]


def test_the_preferred_chain_is_taken(tmp_path, origin, authority, running):
    node = make_node(tmp_path, origin, authority, directory="https://later/", preferred_chain="Pebble")
    server = Pebble(tmp_path / "pebble", authority, node.http_port, node.https_port, alternate_roots=2).start()
    running.append(server)
    names = [run("openssl", "x509", "-in", server.root(number), "-noout", "-subject", "-nameopt", "multiline")
             .stdout.split("commonName")[1].split("=")[1].strip() for number in range(3)]
    text = node.config.read_text()
    node.config.write_text(text.replace('"Pebble"', json.dumps(names[2])))
    start(node, running, server)
    wait_for_certificate(node)
    chain = pathlib.Path(certificate(node)["path"]).read_text()
    last = chain[chain.rindex("-----BEGIN"):]
    issuer = run("openssl", "x509", "-noout", "-issuer", input=last).stdout
    assert names[2] in issuer, issuer


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_caddy_signs_for_an_address(tmp_path, origin, authority, running, challenge):
    address = f"127.77.{secrets.randbelow(200) + 20}.{secrets.randbelow(200) + 20}"
    with socket.socket() as probe:
        try:
            probe.bind((address, 80))
        except OSError as error:
            pytest.skip(f"port 80 of {address} is taken: {error}")
    server = Caddy(tmp_path / "caddy", authority).start()
    running.append(server)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=(address,), address=address,
                http_port=80, https_listen=[f"{address}:443"], signers=[{
                    "certificate": "delivery", "type": "acme", "directory": server.directory,
                    "ca_file": str(authority.root), "challenge": challenge}])
    node.https_port = 443
    running.append(node.start())
    wait_for_certificate(node)
    data = origin.write("caddy.bin", 100_000)
    answer = node.get_tls("/caddy.bin", server.root, name=address)
    assert (answer.exit_code, answer.body) == (0, data), answer.error


def test_a_server_that_cannot_come_here_is_believed(tmp_path, origin, authority, running):
    """The challenge is answered elsewhere, so Pebble refuses; what it says is shown."""
    node = make_node(tmp_path, origin, authority, directory="https://later/")
    server = Pebble(tmp_path / "pebble", authority, 1, 1).start()
    running.append(server)
    start(node, running, server)
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert NAME in renewal(node)["reason"] and "could not be convinced" in renewal(node)["reason"]
    assert node.get("/.well-known/acme-challenge/x", host=NAME).status == 404


def test_a_server_that_is_down_is_asked_again_when_it_is_back(tmp_path, origin, authority, running):
    node = make_node(tmp_path, origin, authority, directory="https://later/")
    server = Pebble(tmp_path / "pebble", authority, node.http_port, node.https_port)
    start(node, running, server)
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert shown(node) is None and alert(node.address, node.https_port, NAME) is not None
    running.append(server.start())
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None


def misbehaving(tmp_path, origin, authority, running, mistake, **signer):
    server = MisbehavingAcme(tmp_path / "acme", authority, mistake).start()
    running.append(server)
    node = make_node(tmp_path, origin, authority, directory=server.directory, **signer)
    running.append(node.start())
    return node, server


@pytest.mark.parametrize("mistake, words", [
    ("another-key", "no certificate for the key delivery"),
    ("other-names", NAME),
    ("not-json", "directory"),
    ("elsewhere", "https URL"),
    ("silent", "imed out"),
    ("endless", "timeout"),
    ("other-identifier", "a proof for other.test, which was not ordered"),
])
def test_mistakes_of_a_server_change_nothing(tmp_path, origin, authority, running, mistake, words):
    node, _ = misbehaving(tmp_path, origin, authority, running, mistake, timeout="5s")
    wait_until(lambda: renewal(node)["failures"] >= 1)
    assert words in renewal(node)["reason"]
    assert shown(node) is None
    assert node.is_ready(), "HTTP is served all the same"


def test_a_rate_limit_is_kept(tmp_path, origin, authority, running):
    node, server = misbehaving(tmp_path, origin, authority, running, "limited")
    wait_until(lambda: renewal(node)["failures"] >= 1)
    found = renewal(node)
    assert "rateLimited: too many certificates already issued" in found["reason"]
    record = json.loads((node.state / "certificates/delivery/renewal.json").read_text())
    assert record["asked_to_wait"] == 7200
    node.stop()
    node.start()  # a restart does not forget it
    assert server.asked.count("newOrder") == 1


def test_a_nonce_that_comes_twice_is_used_once(tmp_path, origin, authority, running):
    node, server = misbehaving(tmp_path, origin, authority, running, "stale-nonce")
    wait_for_certificate(node)
    assert server.bad_nonces == 0


def test_an_open_challenge_changes_nothing_for_other_clients(tmp_path, origin, authority, running):
    """Neither on the port that asks for certificates nor on the one that must not."""
    node, server = misbehaving(tmp_path, origin, authority, running, "never-looks", challenge="tls-alpn-01")
    wait_until(lambda: server.asked.count("authorization") >= 1, 30)  # the node has made its own request by then
    node.import_certificate(authority.sign(node.request_certificate("other")))

    def challenge_shown():
        printed = s_client(node.address, node.https_port, "-alpn", "acme-tls/1", name=NAME).stdout
        return "ALPN protocol: acme-tls/1" in printed

    wait_until(challenge_shown)
    for version in ("-tls1_2", "-tls1_3"):
        usual = s_client(node.address, node.https_port, version, "-CAfile", authority.root, name=NAME).stdout
        assert "Verify return code: 0 (ok)" in usual and "No client certificate CA names sent" in usual
        assert "Client Certificate Types" not in usual and "Requested Signature Algorithms" not in usual
        asked = s_client(node.address, node.content_port, version, "-CAfile", authority.root, name=NAME).stdout
        assert "Verify return code: 0 (ok)" in asked and "Requested Signature Algorithms" in asked
    assert challenge_shown(), "it was open all the time"


def kept_orders(node):
    return list((node.state / "acme").glob("*/order-delivery.json"))


def killed_before_its_requests_were_sent(tmp_path, origin, authority, running, make, count):
    """The node, with `count` orders of which none was finished. How long Pebble thinks is chance, and may be no time at
    all: then the node was quicker, and another is begun."""
    for attempt in range(20):
        here = tmp_path / str(attempt)
        here.mkdir()
        node, server = make(here, origin, authority, running, pebble={"believes_late": True, "reject_nonces": 0})

        def kept():
            return list((node.state / "acme").glob("*/order-*.json"))

        wait_until(lambda: len(kept()) == count or "finalize-order" in server.said(), 30)
        node.kill()
        if "finalize-order" not in server.said():
            assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in kept())
            return node, server
        server.stop()
    raise AssertionError("Pebble was quicker each time")


def test_an_order_survives_a_kill_before_its_request_was_sent(tmp_path, origin, authority, running):
    node, server = killed_before_its_requests_were_sent(tmp_path, origin, authority, running, with_pebble, 1)
    node.start()
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None
    assert server.said().count("order-plz") == 1, "the same order was finished"
    assert not kept_orders(node)


def test_orders_of_two_signers_survive_a_kill_apart(tmp_path, origin, authority, running):
    node, server = killed_before_its_requests_were_sent(tmp_path, origin, authority, running, with_two_signers, 2)
    node.start()
    for name in SIDE_BY_SIDE:
        node.cli("cert", "renew", name)
    assert None not in shown_by_kind(node)
    assert server.said().count("order-plz") == 2, "each went on with its own"
    assert not list((node.state / "acme").glob("*/order-*.json"))


def killed_after_its_request_was_sent(tmp_path, origin, authority, running, end):
    """The server has the request, and is in no hurry."""
    node, server = misbehaving(tmp_path, origin, authority, running, "endless")
    wait_until(lambda: "finalize" in server.asked, 30)
    end(node)
    assert kept_orders(node)
    return node, server


def test_an_order_survives_a_kill_after_its_request_was_sent(tmp_path, origin, authority, running):
    node, server = killed_after_its_request_was_sent(tmp_path, origin, authority, running, Node.kill)
    server.mistake = ""
    node.start()
    wait_until(lambda: renewal(node)["failures"] == 1, 20)
    assert "ended during the attempt" in renewal(node)["reason"], "no attempt is forgotten"
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None
    assert server.asked.count("newOrder") == 1 and server.asked.count("finalize") == 1
    assert not kept_orders(node)


def test_an_order_goes_on_after_a_stop_which_is_no_failure(tmp_path, origin, authority, running):
    node, server = killed_after_its_request_was_sent(tmp_path, origin, authority, running, Node.stop)
    server.mistake = ""
    node.start()
    wait_for_certificate(node)
    assert server.asked.count("newOrder") == 1


def test_an_order_that_the_server_has_forgotten_is_made_anew(tmp_path, origin, authority, running):
    node, server = killed_after_its_request_was_sent(tmp_path, origin, authority, running, Node.kill)
    server.mistake = "forgetful"
    node.start()
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None
    assert server.asked.count("newOrder") == 2
    assert not kept_orders(node)


def test_an_order_that_does_not_end_is_given_up_the_second_time(tmp_path, origin, authority, running):
    node, server = misbehaving(tmp_path, origin, authority, running, "endless", timeout="5s")
    wait_until(lambda: renewal(node)["failures"] >= 1, 40)
    assert kept_orders(node)
    assert node.cli("cert", "renew", "delivery", check=False).returncode == 1
    assert not kept_orders(node) and server.asked.count("newOrder") == 1
    server.mistake = ""
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None and server.asked.count("newOrder") == 2


def test_an_order_whose_certificate_is_refused_is_not_asked_for_again(tmp_path, origin, authority, running):
    node, server = misbehaving(tmp_path, origin, authority, running, "other-names")
    wait_until(lambda: renewal(node)["failures"] >= 1, 40)
    assert not kept_orders(node)
    server.mistake = ""
    node.cli("cert", "renew", "delivery")
    assert shown(node) is not None
    assert server.asked.count("newOrder") == 2


def moment(days):
    """A time so many days from now, as RFC 3339 has it."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_renewal_information(tmp_path, origin, authority, running, first_day, last_day, mistake="", **settings):
    server = MisbehavingAcme(tmp_path / "acme", authority, mistake)
    server.renewal_window = {"start": moment(first_day), "end": moment(last_day)}
    server.retry_after = 7200
    running.append(server.start())
    node = make_node(tmp_path, origin, authority, directory=server.directory, settings=settings)
    running.append(node.start())
    wait_for_certificate(node)
    wait_until(lambda: "renewal-info" in server.asked, 30)
    return node, server


@pytest.mark.parametrize("first_day, last_day", [(10, 12), (70, 72)], ids=["earlier", "later"])
def test_the_time_of_a_renewal_is_the_servers(tmp_path, origin, authority, running, first_day, last_day):
    """Tried against the server of these tests alone: RFC 9773 is spoken by no real one in Debian 12."""
    node, server = with_renewal_information(tmp_path, origin, authority, running, first_day, last_day)
    window = server.renewal_window
    wait_until(lambda: window["start"] <= renewal(node)["next"] <= window["end"], 20)
    advice = json.loads((node.state / "certificates/delivery/renewal.json").read_text())["advice"]
    assert (advice["start"], advice["end"]) == (window["start"], window["end"])
    wait = (datetime.datetime.fromisoformat(advice["look_again"][:-1] + "+00:00")
            - datetime.datetime.now(datetime.timezone.utc))
    assert wait <= datetime.timedelta(hours=2), "Retry-After is kept"
    planned = renewal(node)["next"]
    node.stop()
    node.start()
    assert renewal(node)["next"] == planned, "a restart does not draw again"


@pytest.mark.parametrize("mistake", ["", "replaced-already"])
def test_a_renewal_says_what_it_replaces(tmp_path, origin, authority, running, mistake):
    clock = FakeTime(tmp_path)
    node, server = with_renewal_information(tmp_path, origin, authority, running, 10, 11, environment=clock.environment)
    first = shown(node)
    replaced = next(iter(server.issued))
    server.mistake = mistake
    clock.advance(12)
    wait_until(lambda: shown(node) not in (None, first), 40)
    assert "replaces" not in server.orders[0]
    assert [order.get("replaces") for order in server.orders[1:]] == ([replaced, None] if mistake else [replaced])


def test_a_server_that_changes_its_mind_is_followed(tmp_path, origin, authority, running):
    """As after a mistake of the authority's: at the next look, the window is over already."""
    clock = FakeTime(tmp_path)
    node, server = with_renewal_information(tmp_path, origin, authority, running, 50, 52, environment=clock.environment)
    wait_until(lambda: server.renewal_window["start"] <= renewal(node)["next"], 20)
    first, looks = shown(node), server.asked.count("renewal-info")
    server.renewal_window = {"start": moment(-2), "end": moment(-1)}
    clock.advance(1)
    wait_until(lambda: shown(node) not in (None, first), 40)
    assert server.asked.count("renewal-info") > looks
