"""A node says in time what nobody would notice: certificates that end, that are revoked, that clients refuse."""

import hashlib
import hmac
import json
import re
import shutil
import socket
import time

import pytest

from support.authority import Authority
from support.curl import curl
from support.faketime import FakeTime
from support.gnutls import refuse_after_handshake
from support.http_receiver import Receiver
from support.larder import Node, origin_table
from support.ports import free_port
from support.program import run
from support.proxies import Tinyproxy
from support.tls import fingerprint, s_client, served_certificate
from support.wait import wait_until

NAME, OTHER = "node1.larder.test", "node2.larder.test"
SECRET = "a-secret-between-node-and-receiver"


@pytest.fixture
def receiver(authority, tmp_path_factory):
    started = Receiver(authority.issue(f"alerts{free_port()}.test", "IP:127.0.0.1", days=900), refusals=1)
    yield started
    started.stop()


@pytest.fixture
def watched(tmp_path, origin, authority, receiver):
    """Makes a node whose clock is some days ahead; the same folder each time."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "secret").chmod(0o600)
    clock, nodes = FakeTime(tmp_path), []

    def make(days=0, names=(NAME,), **settings):
        if nodes:
            nodes[-1].stop()
        clock.advance(days - clock.days)
        node = Node(tmp_path / "node", origins=[origin_table(origin)], names=list(names),
                    environment=clock.environment, client_trust=[str(authority.root)], alert_webhook=receiver.url,
                    alert_webhook_trust=str(authority.root), alert_webhook_secret=str(tmp_path / "secret"),
                    request_allow_addresses=["127.0.0.0/8"], **settings)
        nodes.append(node.start())
        return node

    make.clock = clock
    yield make
    if nodes:
        nodes[-1].stop()


def watch(node):
    return json.loads(node.cli("cert", "list", "--json").stdout)["watch"]


def ready(node):
    return json.loads(node.admin("/readyz").body)


def alerts_logged(node):
    return re.findall(r"alert: (.*)", node.program.log.read_text())


def test_expiry_is_told_at_each_stage_once_and_across_restarts(watched, authority, receiver):
    node = watched()
    node.serve_https(authority)  # for 90 days
    assert node.is_ready() and ready(node)["alerts"] == []
    heard = []
    # Days ahead, and the stage that has come by then: 30, 14, 7, 1 days before the end, and the end.
    for days, expected in ((61, 1), (61, 1), (77, 2), (84, 3), (84, 3), (89, 4), (91, 5)):
        node = watched(days)
        wait_until(lambda: ready(node)["alerts"], what="the node's own view")
        wait_until(lambda: len(receiver.messages) == expected, what=f"{expected} alerts, {days} days ahead")
        heard.append(receiver.alerts[-1])
    assert receiver.attempts == expected + 1, "one was refused and came again; none came twice"
    assert [one["kind"] for one in heard] == ["certificate-expires"] * 6 + ["certificate-expired"]
    assert len({one["id"] for one in heard}) == 5 and all(one["node"] == node.name for one in heard)
    assert "in 29 days" in heard[0]["text"] or "in 28 days" in heard[0]["text"]
    assert NAME in heard[0]["text"] and "expired on" in ready(node)["alerts"][0]
    assert len(alerts_logged(node)) == 5
    assert node.metric("larder_alerts") == 1
    assert "alert: certificate" in node.cli("cert", "list").stdout

    headers, body = receiver.messages[0]
    signature = hmac.new(SECRET.encode(), headers["X-Larder-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Larder-Signature"] == "sha256=" + signature.hexdigest()
    assert SECRET not in node.program.log.read_text()


def test_a_renewed_certificate_ends_the_alert(watched, authority, receiver):
    node = watched()
    request = node.request_certificate()
    node.import_certificate(authority.sign(request, days=10))
    wait_until(lambda: len(receiver.messages) == 1)
    assert ready(node)["alerts"]
    node.import_certificate(authority.sign(request))
    wait_until(lambda: not ready(node)["alerts"])
    assert node.metric("larder_certificate_days_left") > 85


def test_an_intermediate_that_ends_first_is_told(tmp_path, origin):
    brief = Authority(tmp_path / "ca", intermediate_days=10)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME], client_trust=[str(brief.root)]).start()
    try:
        chain = brief.sign(node.request_certificate(), days=90)
        imported = node.cli("cert", "import", chain)
        assert "active" in imported.stdout and "\"CN=Test Issuing\" ends before the certificate itself" in imported.stdout
        alert = wait_until(lambda: ready(node)["alerts"])[0]
        assert alert.startswith('intermediate certificate "CN=Test Issuing" in the chain of certificate ')
        assert "in 9 days" in alert and "intermediate certificate" in alerts_logged(node)[0]
        assert 9 < node.metric("larder_certificate_days_left") < 10, "when clients begin to refuse it"
        ending = node.metric("larder_certificate_expiry_timestamp_seconds")
        assert 9 < (ending - time.time()) / 86400 < 10
    finally:
        node.stop()


def test_a_chosen_certificate_that_cannot_be_served_is_told_until_it_can(watched, authority, receiver):
    node = watched()
    chain = node.serve_https(authority)
    node.stop()
    key = next((node.state / "certificates").glob("*/key.pem"))
    key.rename(key.with_suffix(".away"))
    for _ in range(2):
        node = watched()  # started anew
        alert = wait_until(lambda: ready(node)["alerts"])[0]
        assert alert.startswith(f"certificate {key.parent.name} (") and "is not served" in alert and str(key) in alert
    assert ready(node)["https"] == "none" and node.metric("larder_alerts") == 1
    assert node.metric("larder_certificate_days_left") is None, "nobody is shown it"
    wait_until(lambda: len(receiver.messages) == 1, what="one alert for two starts")
    assert receiver.alerts[0]["kind"] == "certificate-unusable" and receiver.alerts[0]["text"] == alert
    key.with_suffix(".away").rename(key)
    node.import_certificate(chain)
    wait_until(lambda: not ready(node)["alerts"])
    assert ready(node)["https"] == "pki"


def test_a_certificate_that_is_lost_is_dropped_as_the_alert_says(watched, authority):
    node = watched()
    chain = node.serve_https(authority)
    other = node.serve_https(authority, name="rsa", algorithm="rsa", size=2048)
    lost = node.state / "certificates" / "delivery" / f"{fingerprint(chain)}.crt"
    lost.unlink()
    node.stop()
    node = watched()
    alert = wait_until(lambda: ready(node)["alerts"])[0]
    node.cli("cert", "disable")
    enabled = node.cli("cert", "enable", check=False).stderr
    assert "the change is stored, but the node could not take over all: delivery" in enabled and str(lost) in enabled
    assert served_certificate(node.address, node.https_port, NAME) == fingerprint(other)
    advice = re.search(r"larder (cert retire [0-9a-f]+)$", alert)
    node.cli(*advice[1].split())
    wait_until(lambda: "certificate-unusable" not in json.dumps(watch(node)) and not any(
        str(lost) in each for each in ready(node)["alerts"]))
    assert "cannot be served" not in node.cli("cert", "list").stdout


def test_a_connection_name_that_no_certificate_covers_is_told(watched, authority, receiver):
    node = watched()
    node.serve_https(authority)
    node.config.write_text(node.config.read_text().replace(f'"{NAME}"', f'"{NAME}", "{OTHER}"'))
    node.cli("node", "reload")
    wait_until(lambda: len(receiver.messages) == 1, what="an alert")
    assert receiver.alerts[0]["kind"] == "certificate-name-missing" and receiver.alerts[0]["name"] == OTHER
    assert ready(node)["alerts"] == [receiver.alerts[0]["text"]] and OTHER in receiver.alerts[0]["text"]
    node.import_certificate(authority.sign(node.request_certificate(name="other", dns=[OTHER])))
    wait_until(lambda: not ready(node)["alerts"])


def test_a_receiver_that_is_down_holds_nothing_up(tmp_path, origin, authority):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME],
                alert_webhook=f"https://127.0.0.1:{free_port()}/").start()
    try:
        chain = authority.sign(node.request_certificate(), days=5)
        node.import_certificate(chain)
        wait_until(lambda: node.metric("larder_alerts_waiting") == 1)
        data = origin.write("served.bin", 10_000)
        assert node.get_tls("/served.bin", authority.root).body == data
        wait_until(lambda: "could not be delivered" in node.program.log.read_text())
    finally:
        node.stop()
    state = json.loads((node.state / "alerts.json").read_text())
    assert len(state["waiting"]) == 1 and state["told"]["certificate-expiry"] == {fingerprint(chain): "7"}


def test_clients_that_refuse_are_counted_and_reported(watched, authority, receiver, origin):
    node = watched()
    node.serve_https(authority)
    (other := node.folder / "other").mkdir(exist_ok=True)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "9",
        "-keyout", other / "key.pem", "-out", other / "ca.pem", "-subj", "/CN=Other")
    for _ in range(3):
        answer = node.get_tls("/x", other / "ca.pem")
        assert answer.exit_code == 60, answer
    wait_until(lambda: len(receiver.messages) == 1)
    alert = receiver.alerts[0]
    assert alert["kind"] == "certificate-refused" and "unknown_ca" in alert["text"] and "127.0.0.1" in alert["text"]
    wait_until(lambda: watch(node)["handshake_failures"]["by_cause"].get("unknown_ca") == 3)
    client = watch(node)["handshake_failures"]["clients"][0]
    assert (client["address"], client["cause"], client["failures"]) == ("127.0.0.1", "unknown_ca", 3)
    assert any("1 client refused certificate" in text for text in ready(node)["alerts"])
    assert 'larder_tls_handshake_failures_by_cause_total{cause="unknown_ca"} 3' in node.admin("/metrics").body.decode()
    assert "handshake failed: 127.0.0.1, 3 times" in node.cli("cert", "list").stdout
    assert node.is_ready(), "an alert is no failure of the node"


def refused(node):
    return watch(node)["handshake_failures"]["by_cause"]


@pytest.mark.parametrize("priority", [
    "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM",
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"])
def test_a_refusal_after_the_handshake_counts_by_its_name(watched, authority, receiver, priority):
    node = watched()
    chain = node.serve_https(authority)
    refuse_after_handshake(node.address, node.https_port, NAME, "unknown_ca", priority)
    wait_until(lambda: refused(node) == {"unknown_ca": 1})
    assert node.metric("larder_tls_handshake_failures_total") == 1
    assert node.metric("larder_tls_closed_without_request_total") == 0
    wait_until(lambda: len(receiver.messages) == 1)
    assert receiver.alerts[0]["kind"] == "certificate-refused" and receiver.alerts[0]["certificate"] == fingerprint(chain)


def test_the_certificate_that_was_refused_is_told_once_a_day_each(watched, authority, receiver):
    node = watched(names=(NAME, OTHER))
    chains = {}
    for name in (NAME, OTHER):
        chains[name] = authority.sign(node.request_certificate(name.split(".")[0], common_name=name, dns=[name]))
        node.import_certificate(chains[name], "--partial")

    def refuse(name, alert):
        before = sum(refused(node).values())
        refuse_after_handshake(node.address, node.https_port, name, alert)
        wait_until(lambda: sum(refused(node).values()) == before + 1)

    def heard():
        return [alert for alert in receiver.alerts if alert["kind"] == "certificate-refused"]

    refuse(OTHER, "unknown_ca")
    wait_until(lambda: len(heard()) == 1)
    alert = heard()[0]
    assert alert["certificate"] == fingerprint(chains[OTHER]) and f"for {OTHER}: 1 handshake ended by" in alert["text"]
    told = [text for text in ready(node)["alerts"] if "1 client refused certificate" in text]
    assert len(told) == 1 and OTHER in told[0]
    # The same address fails for another reason: it has refused all the same.
    with socket.create_connection((node.address, node.https_port)) as cut:
        cut.sendall(b"\x16\x03\x01")
    wait_until(lambda: "closed_by_the_client" in refused(node))
    assert told[0] in ready(node)["alerts"]

    # One within the minute waits for the next report, and is told by its own cause.
    refuse(NAME, "unknown_ca")
    watched.clock.advance(2 / 1440)
    refuse(NAME, "bad_certificate")
    wait_until(lambda: len(heard()) == 2)
    alert = heard()[1]
    assert alert["certificate"] == fingerprint(chains[NAME]), "one of another certificate was told today"
    assert '1 handshake ended by "bad_certificate", 1 handshake ended by "unknown_ca"' in alert["text"]


def close_without_request(node, authority, *options, source="127.0.0.1"):
    answer = curl(f"https://wrong.test:{node.https_port}/x", "--cacert", authority.root, "--interface", source,
                  "--resolve", f"wrong.test:{node.https_port}:{node.address}", *options)
    assert answer.exit_code == 60, answer


def test_clients_that_close_without_a_request_are_counted_apart(watched, authority, receiver, origin):
    """A wrong name: curl finds it after the handshake, and closes. So does a load balancer that looks whether the port
    is open, and that alone is no alarm."""
    node = watched()
    chain = node.serve_https(authority)
    closed = "larder_tls_closed_without_request_total"
    assert node.metric(closed) == 0, "the proof at the import is no client"
    for count, version in enumerate((("--tls-max", "1.2"), ("--tlsv1.3",)), 1):
        close_without_request(node, authority, *version)
        wait_until(lambda: node.metric(closed) == count)
    assert node.metric("larder_tls_handshake_failures_total") == 0 and refused(node) == {}
    silent = watch(node)["closed_without_request"]
    assert silent["connections"] == 2
    assert {name: silent["clients"][0][name] for name in ("address", "connections", "certificate")} == {
        "address": "127.0.0.1", "connections": 2, "certificate": fingerprint(chain)}
    assert "without a request: 2 times, last" in node.cli("cert", "list").stdout
    assert ready(node)["alerts"] == []
    assert receiver.messages == [] and node.is_ready()

    for source in ("127.0.0.2", "127.0.0.3"):
        close_without_request(node, authority, source=source)
    wait_until(lambda: len(receiver.messages) == 1)
    alert = receiver.alerts[0]
    assert alert["kind"] == "certificate-unused" and alert["certificate"] == fingerprint(chain)
    assert "it may be that clients refuse" in alert["text"] and "3 clients closed" in alert["text"]
    assert ready(node)["alerts"] == [alert["text"]]

    # One that goes on shows that the certificate is good for somebody, also over a reload.
    origin.write("seen.bin", 1000)
    assert node.get_tls("/seen.bin", authority.root).status == 200
    assert ready(node)["alerts"] == []
    node.cli("node", "reload")
    close_without_request(node, authority)
    wait_until(lambda: node.metric(closed) == 5)
    assert ready(node)["alerts"] == []


def test_list_says_since_when_and_why(watched, authority):
    node = watched()
    chain = node.serve_https(authority)
    one = json.loads(node.cli("cert", "list", "--json").stdout)["certificates"][0]
    assert one["sha256"] == fingerprint(chain) and len(one["sha1"]) == 40 and one["key"] == "EC P-256"
    assert one["state"] == "active" and one["since"].startswith("20") and one["why"]
    assert one["not_before"] and one["not_after"] and one["days_left"] in (89, 90) and one["dns_names"] == [NAME]
    table = node.cli("cert", "list").stdout
    for heading in ("SINCE", "WHY", "KEY", "SHA-1", "SHA-256"):
        assert heading in table.splitlines()[0]


def revocation(node):
    found = watch(node)["revocation"]
    return found[0] if found else {}


def look_again(node):
    """A look is made at once for a certificate that was not looked at: import it, or start anew."""
    node.stop()
    node.start()


def test_ocsp_answer_is_stapled(watched, authority, issuer):
    node = watched()
    request = node.request_certificate()
    chain = authority.sign(request, extensions=issuer.extensions(crl=False))
    issuer.record(chain)
    issuer.answer()
    node.import_certificate(chain)
    found = wait_until(lambda: revocation(node).get("state") == "good" and revocation(node))
    assert found["source"] == f"http://127.0.0.1:{issuer.port}/" and found["stapled_until"]
    for version in ("-tls1_2", "-tls1_3"):
        printed = s_client(node.address, node.https_port, "-status", version, "-CAfile", authority.root,
                           name=NAME).stdout
        assert "OCSP Response Status: successful" in printed and "Cert Status: good" in printed
    answer = node.get_tls("/none", authority.root, "--cert-status", host="packages.test")
    assert answer.exit_code == 0, answer
    assert node.metric("larder_certificate_revoked") == 0
    assert node.metric("larder_certificate_staple_expiry_timestamp_seconds") > 1.7e9
    issuer.responder.kill()
    assert "Cert Status: good" in s_client(node.address, node.https_port, "-status", name=NAME).stdout


def test_revoked_by_ocsp_is_told_once_and_not_stapled(watched, authority, issuer, receiver):
    node = watched()
    chain = authority.sign(node.request_certificate(), extensions=issuer.extensions())
    issuer.record(chain, revoked="261101000000Z,keyCompromise")
    issuer.answer()
    node.import_certificate(chain)
    wait_until(lambda: revocation(node).get("state") == "revoked")
    wait_until(lambda: len(receiver.messages) == 1)
    alert = receiver.alerts[0]
    assert alert["kind"] == "certificate-revoked" and "keyCompromise" in alert["text"]
    assert alert["certificate"] == fingerprint(chain)
    assert any("is revoked" in text for text in ready(node)["alerts"])
    assert node.metric("larder_certificate_revoked") == 1
    assert "OCSP response: no response sent" in s_client(node.address, node.https_port, "-status", name=NAME).stdout
    look_again(node)
    wait_until(lambda: revocation(node).get("state") == "revoked")
    assert len(alerts_logged(node)) == 1 and len(receiver.messages) == 1
    assert node.get("/none").status == 404, "nothing is disabled without the setting"


def test_revoked_by_list_disables_where_that_is_wanted(watched, authority, issuer, receiver):
    node = watched(disable_when_revoked=True)
    chain = authority.sign(node.request_certificate(), extensions=issuer.extensions(ocsp=False))
    issuer.record(chain)
    node.import_certificate(chain)
    wait_until(lambda: revocation(node).get("state") == "good")
    assert revocation(node)["source"].endswith("issuing.crl")

    issuer.record(chain, revoked="261101000000Z")
    look_again(node)
    # HTTPS ends first, the certificate is put away after it.
    listed = wait_until(lambda: (found := json.loads(node.cli("cert", "list", "--json").stdout))
                        ["certificates"][0]["state"] == "retired" and found)
    assert listed["disabled"]
    assert curl(f"https://127.0.0.1:{node.https_port}/", "--insecure").exit_code == 35
    wait_until(lambda: "then run larder cert enable" in node.program.log.read_text())
    assert node.is_ready()
    wait_until(lambda: sorted(one["kind"] for one in receiver.alerts) == ["certificate-revoked", "https-disabled"])
    assert ready(node)["alerts"] == [one["text"] for one in receiver.alerts if one["kind"] == "https-disabled"]
    assert "no certificate is there to serve: `larder cert import` one" in node.cli("cert", "list").stdout

    # What the log says to do.
    good = authority.sign(node.request_certificate("next"), extensions=issuer.extensions(ocsp=False))
    issuer.record(good)
    node.import_certificate(good)
    node.cli("cert", "enable")
    assert served_certificate(node.address, node.https_port, NAME) == fingerprint(good)


def test_the_setting_counts_at_once_for_what_is_known_to_be_revoked(watched, authority, issuer):
    node = watched(disable_when_revoked=False)
    chain = authority.sign(node.request_certificate(), extensions=issuer.extensions(ocsp=False))
    issuer.record(chain, revoked="261101000000Z")
    node.import_certificate(chain)
    wait_until(lambda: revocation(node).get("state") == "revoked")
    assert node.metric("larder_certificate_days_left") is not None, "served all the same"
    written = node.config.read_text()
    assert "disable_when_revoked = false" in written
    node.config.write_text(written.replace("disable_when_revoked = false", "disable_when_revoked = true"))
    node.cli("node", "reload")
    wait_until(lambda: "then run larder cert enable" in node.program.log.read_text())
    assert json.loads(node.cli("cert", "list", "--json").stdout)["certificates"][0]["state"] == "retired"
    wait_until(lambda: any("HTTPS is disabled, because the only certificate is revoked" in text
                           for text in ready(node)["alerts"]))
    said = node.cli("cert", "enable").stdout
    assert "HTTPS is not disabled any more, but nothing serves it." in said and "No certificate is active" in said
    assert "HTTPS is enabled" not in said


@pytest.mark.parametrize("has_record", [True, False])
def test_only_the_revoked_one_of_several_is_taken_out_of_service(watched, authority, issuer, has_record):
    node = watched(names=(NAME, OTHER), disable_when_revoked=True)
    chains = {}
    for name in (NAME, OTHER):
        request = node.request_certificate(name.split(".")[0], common_name=name, dns=[name])
        chains[name] = authority.sign(request, extensions=issuer.extensions(ocsp=False))
        issuer.record(chains[name])
        node.import_certificate(chains[name], "--partial")
    wait_until(lambda: [one["state"] for one in watch(node)["revocation"]] == ["good", "good"])

    issuer.record(chains[NAME], revoked="261101000000Z")
    if not has_record:
        (node.state / "certificates" / "node1" / f"{fingerprint(chains[NAME])}.json").unlink()
    look_again(node)

    def states():
        listed = json.loads(node.cli("cert", "list", "--json").stdout)
        return listed["disabled"], {one["sha256"]: one["state"] for one in listed["certificates"]}

    wait_until(lambda: states() == (False, {fingerprint(chains[NAME]): "retired",
                                            fingerprint(chains[OTHER]): "active"}))
    # Written down first, and then in effect.
    wait_until(lambda: served_certificate(node.address, node.https_port, NAME) == fingerprint(chains[OTHER]))
    assert served_certificate(node.address, node.https_port, OTHER) == fingerprint(chains[OTHER])


def test_looks_and_alerts_go_through_the_proxy(watched, authority, issuer, receiver, tmp_path):
    """It alone can be asked: no_proxy names other hosts."""
    proxy = Tinyproxy(tmp_path / "proxy", "127.0.0.1", free_port(), None).start()
    try:
        node = watched(proxy=proxy.url, no_proxy=["direct.test"])
        chain = authority.sign(node.request_certificate(), days=10, extensions=issuer.extensions())
        issuer.record(chain)
        node.import_certificate(chain)  # nobody answers where the certificate says: the list is asked next
        wait_until(lambda: revocation(node).get("state") == "good")
        wait_until(lambda: len(receiver.messages) == 1)
        asked = "\n".join(proxy.requests())
        assert f"POST http://127.0.0.1:{issuer.port}/" in asked
        assert f"GET {issuer.web.url}/issuing.crl" in asked
        assert f"CONNECT {receiver.url.split('/')[2]}" in asked

        before = len(proxy.requests())
        node = watched(proxy=proxy.url, no_proxy=["127.0.0.0/8"])
        wait_until(lambda: revocation(node).get("state") == "good")
        assert len(proxy.requests()) == before
    finally:
        proxy.stop()


def test_an_answer_that_nobody_may_believe(watched, authority, issuer):
    """A list signed by somebody else says nothing about the certificate."""
    other = issuer.folder / "other"
    other.mkdir()
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "9",
        "-keyout", other / "key.pem", "-out", other / "ca.pem", "-subj", "/CN=Test Issuing")
    node = watched()
    chain = authority.sign(node.request_certificate(), extensions=issuer.extensions(ocsp=False))
    issuer.record(chain, revoked="261101000000Z")
    run("openssl", "ca", "-config", issuer.config, "-gencrl", "-keyfile", other / "key.pem", "-cert", other / "ca.pem",
        "-out", issuer.web.files / "issuing.crl")
    node.import_certificate(chain)
    found = wait_until(lambda: revocation(node).get("error") and revocation(node))
    assert found["state"] == "unknown" and "not signed by" in found["error"]
    assert "not known whether delivery is revoked" in node.cli("cert", "list").stdout
    assert re.search(r"^larder_certificate_revoked\{.*\} -1$", node.admin("/metrics").body.decode(), re.M)
    shutil.copy(issuer.folder / "crl.pem", issuer.web.files / "issuing.crl")  # PEM is read too
    look_again(node)
    wait_until(lambda: revocation(node).get("state") == "revoked")
