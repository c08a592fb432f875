"""`larder doctor` against nodes that are well, and against each way of being ill."""

import json
import os
import socket

import pytest

from support.authority import Authority
from support.faketime import at_another_time
from support.larder import PROGRAM, Node, larder, origin_table
from support.network import Namespace, require_root
from support.origin import Origin
from support.ports import free_port
from support.program import run
from support.wait import wait_until

NAME = "node1.larder.test"
OBJECT = "http://packages.test/big.bin"
SIZE = 3 << 20


@pytest.fixture(scope="module")
def served(folder, origin, authority):
    """A node over HTTPS with an object behind it."""
    origin.write("big.bin", SIZE)
    node = Node(folder / "served", origins=[origin_table(origin)], names=["127.0.0.1", NAME],
                client_trust=[str(authority.root)]).start()
    node.serve_https(authority, dns=[NAME], addresses=["127.0.0.1"])
    yield node
    node.stop()


def examined(*arguments, environment=None, code=None, namespace=None):
    """What the doctor found, as check -> finding of the last target."""
    done = larder("doctor", *arguments, "--json", check=False, environment=environment, namespace=namespace)
    assert done.stdout.startswith("{"), done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    if code is not None:
        assert done.returncode == code, done.stdout
    return {one["check"]: one for one in found["targets"][-1]["checks"]}


def remote(node, authority, *more, port=None, **options):
    return examined(f"https://{NAME}:{port or node.https_port}", "--address", "127.0.0.1", "--trust", authority.root,
                    *more, **options)


def wrong(found):
    return {check for check, one in found.items() if one["verdict"] == "wrong"}


def test_a_node_that_is_well(served, authority):
    found = remote(served, authority, "--object", OBJECT, code=0)
    assert {check for check, one in found.items() if one["verdict"] == "ok"} == {
        "proxy", "port", "handshake", "chain", "dates", "name", "usage", "clock", "way", "range", "speed"}
    assert "TLSv1.3" in found["handshake"]["text"]
    assert f"1048576 of {SIZE}" in found["range"]["text"]
    assert str(SIZE) in found["speed"]["text"] and "MB/s" in found["speed"]["text"]
    assert not any(one["fix"] for one in found.values())


def test_the_doctor_itself_is_no_client_that_failed(served, authority):
    failures = "larder_tls_handshake_failures_total"
    before = served.metric(failures)
    remote(served, authority, code=0)
    assert served.metric(failures) == before


def test_every_address_of_a_name_is_tried_and_none_is_left_in_the_middle(tmp_path, origin, authority):
    require_root()
    space = Namespace(f"doctor-{os.getpid()}")
    try:
        space.set_hosts({NAME: [f"127.0.0.{number}" for number in (1, 2, 3, 4)]})
        port = free_port()
        node = Node(tmp_path / "node", names=[NAME], namespace=space, http_listen=[f"127.0.0.3:{port}"],
                    https_listen=[f"127.0.0.1:{port}", f"127.0.0.2:{port}"]).start()
        try:
            node.serve_https(authority)
            found = examined(f"https://{NAME}:{port}", "--trust", authority.root, namespace=space)
            assert wrong(found) == {"port"}
            assert "open at 127.0.0.1; 127.0.0.2; 127.0.0.3, but not at 127.0.0.4" in found["port"]["text"]
            assert node.metric("larder_tls_handshake_failures_total") == 0
            printed = larder("doctor", f"https://{NAME}:{port}", "--trust", authority.root, check=False,
                             namespace=space).stdout
            assert "  wrong   handshake  at 127.0.0.3: " in printed and "  ok      handshake  TLSv1.3" in printed
        finally:
            node.stop()
    finally:
        space.remove()


def test_the_same_over_http(served):
    found = examined(f"http://127.0.0.1:{served.http_port}", "--object", OBJECT, code=0)
    assert found["range"]["verdict"] == "ok" and "chain" not in found


def test_on_the_node_every_way_is_tried(served):
    done = served.cli("doctor", "--object", OBJECT, "--json", check=False)
    targets = {one["target"]: one for one in json.loads(done.stdout)["targets"]}
    http, https = f"http://127.0.0.1:{served.http_port}", f"https://127.0.0.1:{served.https_port}"
    assert targets[http]["ok"] and targets[https]["ok"], done.stdout
    inspection = [one for one in targets[https]["checks"] if one["check"] == "inspection"]
    assert inspection[0]["verdict"] == "ok", "compared with what the node itself says"
    named = targets[f"https://{NAME}:{served.https_port}"]
    assert [one["check"] for one in named["checks"] if one["verdict"] == "wrong"] == ["address"], "no DNS knows it"
    assert done.returncode == 1


def test_people_read_what_is_wrong_and_the_fix(served, authority):
    done = larder("doctor", f"https://{NAME}:{served.https_port}", "--address", "127.0.0.1", "--trust",
                  authority.root, "--name", "other.test", check=False)
    assert done.returncode == 1
    assert f"covers {NAME}, 127.0.0.1, not other.test" in done.stdout
    assert "    fix: request a certificate with that name" in done.stdout


def test_wrong_name(served, authority):
    assert wrong(remote(served, authority, "--name", "other.test", "--object", OBJECT)) == {"name"}


def test_unknown_authority(served, tmp_path):
    found = remote(served, Authority(tmp_path / "other", "Other"), "--object", OBJECT)
    assert wrong(found) == {"chain"}
    assert "CN=Test Root" in found["chain"]["text"]


def test_missing_intermediate(tmp_path, origin, authority):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME]).start()
    try:
        chain = authority.sign(node.request_certificate())
        end = "-----END CERTIFICATE-----\n"
        leaf = tmp_path / "leaf.pem"
        leaf.write_text(chain.read_text().split(end)[0] + end)
        node.import_certificate(leaf)
        found = remote(node, authority, "--object", "http://packages.test/big.bin")
    finally:
        node.stop()
    assert wrong(found) == {"chain"}
    assert '"CN=Test Issuing" is missing' in found["chain"]["text"]
    assert "together with its intermediates" in found["chain"]["fix"]


def test_expired_and_not_yet_valid_certificate(tmp_path, authority):
    """Shown by nginx, so that the clock is right."""
    for shift, words in (("-200d", "expired on"), ("+30d", "valid only from")):
        folder = tmp_path / shift
        folder.mkdir()
        key, request, leaf = folder / "key.pem", folder / "request.pem", folder / "leaf.pem"
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", key,
            "-out", request, "-subj", f"/CN={NAME}")
        (folder / "extensions").write_text(f"subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n")
        run(*at_another_time(shift), "openssl", "x509", "-req", "-in", request, "-CA", authority.intermediate,
            "-CAkey", authority.folder / "intermediate.key", "-out", leaf, "-days", "90",
            "-extfile", folder / "extensions")
        leaf.write_text(leaf.read_text() + authority.intermediate.read_text())
        server = between(folder, type("Issued", (), {"chain": leaf, "key": key}), "return 200 hello;")
        try:
            found = remote(None, authority, port=server.tls_port)
        finally:
            server.stop()
        assert wrong(found) == {"dates"}, found
        assert words in found["dates"]["text"]


def test_clocks_that_differ(served, authority):
    done = run(*at_another_time("+2h"), str(PROGRAM), "doctor", f"https://{NAME}:{served.https_port}",
               "--address", "127.0.0.1", "--trust", authority.root, "--json", check=False)
    found = {one["check"]: one for one in json.loads(done.stdout)["targets"][0]["checks"]}
    assert wrong(found) == {"clock"} and done.returncode == 1
    assert "7200 s behind" in found["clock"]["text"] or "7199 s behind" in found["clock"]["text"]



def test_closed_port_and_a_port_that_never_answers(served, authority):
    found = remote(served, authority, port=free_port())
    assert wrong(found) == {"port"} and "refused" in found["port"]["text"]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        found = remote(served, authority, port=silent.getsockname()[1])
    assert wrong(found) == {"handshake"} and "does not end" in found["handshake"]["text"]


def test_no_certificate_and_no_tls(tmp_path, origin, authority):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME]).start()
    try:
        found = remote(node, authority)
        assert wrong(found) == {"handshake"} and "larder cert list" in found["handshake"]["fix"]
        found = remote(node, authority, port=node.http_port)
        assert wrong(found) == {"handshake"} and "speaks no TLS" in found["handshake"]["fix"]
    finally:
        node.stop()


def test_a_name_that_nobody_knows():
    found = examined("https://no-such-node.invalid", code=1)
    assert wrong(found) == {"address"}


def between(folder, identity, lines):
    """nginx with a certificate in front of something."""
    return Origin(folder / "between", certificate=identity, extra=f" location = /big.bin {{ {lines} }} "
                  f"location = / {{ return 200 hello; }}").start()


def test_a_proxy_that_strips_ranges(served, authority, tmp_path):
    server = between(tmp_path, authority.issue(NAME, f"DNS:{NAME},IP:127.0.0.1"),
                     f"proxy_pass http://127.0.0.1:{served.http_port}; proxy_set_header Host $host; "
                     'proxy_set_header Range "";')
    try:
        found = remote(served, authority, "--object", OBJECT, port=server.tls_port)
        assert wrong(found) == {"range"}
        assert "answered with 200" in found["range"]["text"]

        # Seen from the node: what answers at its port shows another certificate than the node does.
        config = tmp_path / "larder.toml"
        config.write_text(served.config.read_text().replace(f"127.0.0.1:{served.https_port}",
                                                            f"127.0.0.1:{server.tls_port}"))
        done = larder("doctor", "--config", config, "--json", check=False)
        targets = {one["target"]: one for one in json.loads(done.stdout)["targets"]}
        ill = targets[f"https://127.0.0.1:{server.tls_port}"]["checks"]
        assert [one["check"] for one in ill if one["verdict"] == "wrong"] == ["inspection"]
    finally:
        server.stop()


def test_something_else_answers(served, authority, tmp_path):
    server = between(tmp_path, authority.issue(NAME, f"DNS:{NAME}"), "return 200 hello;")
    try:
        found = remote(served, authority, "--object", OBJECT, port=server.tls_port)
        assert wrong(found) == {"way", "range"}
    finally:
        server.stop()


def test_a_proxy_in_the_environment(served, authority):
    environment = {"https_proxy": "http://user:secret-word@proxy.test:3128", "no_proxy": ""}
    found = remote(served, authority, "--object", OBJECT, environment=environment)
    assert wrong(found) == {"proxy"} and "proxy.test:3128" in found["proxy"]["text"]
    assert "secret-word" not in json.dumps(found)
    environment["no_proxy"] = ".larder.test"
    assert not wrong(remote(served, authority, environment=environment))


def test_an_object_that_the_node_does_not_give(served, authority):
    found = remote(served, authority, "--object", "http://foreign.test/x")
    assert wrong(found) == {"answer"} and "403" in found["answer"]["text"]


def test_wrong_usage():
    assert larder("doctor", "ftp://node1", check=False).returncode == 2
    assert larder("doctor", "https://node1", "--address", "node1", check=False).returncode == 2
    assert larder("doctor", "https://node1", "--trust", "/absent.pem", check=False).returncode == 1


# Revocation: `issuer` is asked on this machine, which the node's settings have to allow.

def findings(done, target, *checks):
    found = {one["target"]: one for one in json.loads(done.stdout)["targets"]}[target]
    return [(one["verdict"], one["text"], one["fix"]) for one in found["checks"] if one["check"] in checks]


@pytest.fixture
def published(tmp_path, authority, issuer):
    """A node whose certificate names a responder and a list, and its certificate."""
    node = Node(tmp_path / "node", names=["127.0.0.1"], client_trust=[str(authority.root)],
                request_allow_addresses=["127.0.0.1"]).start()
    chain = authority.sign(node.request_certificate(addresses=["127.0.0.1"]), extensions=issuer.extensions())
    issuer.record(chain)
    issuer.answer()
    node.import_certificate(chain)
    yield node, chain
    node.stop()


def test_responder_list_and_staple_are_looked_at(published, issuer):
    node, chain = published
    target = f"https://127.0.0.1:{node.https_port}"
    responder, published_list = f"http://127.0.0.1:{issuer.port}/ (OCSP)", f"{issuer.web.url}/issuing.crl"

    def look(*checks):
        return findings(node.cli("doctor", "--json", check=False), target, *checks)

    wait_until(lambda: look("staple")[0][0] == "ok")
    assert "says good, until 20" in look("staple")[0][1]
    by_responder, by_list = look("revocation")
    assert by_responder[0] == by_list[0] == "ok"
    assert f"is not revoked, says {responder}, until" in by_responder[1] and published_list in by_list[1]

    issuer.record(chain, "261101000000Z,keyCompromise")
    for verdict, text, fix in look("revocation"):
        assert verdict == "wrong" and "is revoked since 2026-11-01T00:00:00Z (keyCompromise)" in text
        assert "larder cert request" in fix
    printed = node.cli("doctor", check=False)
    assert printed.returncode == 1 and "  wrong   revocation \"" in printed.stdout

    issuer.responder.kill()
    (issuer.web.files / "issuing.crl").unlink()
    refused, missing = look("revocation")
    assert refused[0] == missing[0] == "warning"
    assert "cannot be had from here" in refused[1] and f"127.0.0.1:{issuer.port}" in refused[1]
    assert f"{published_list}: answered with 404" in missing[1] and "firewall and proxy" in missing[2]
    assert node.cli("doctor", check=False).returncode == 0, "a doubt is no mistake"

    (issuer.web.files / "issuing.crl").write_text("no list")
    assert "answers, and says nothing" in look("revocation")[1][1]


def test_address_that_a_certificate_names_is_judged_as_the_nodes_requests_are(published, issuer, authority):
    """Whoever runs the examined server wrote it: this machine's own is not asked unless settings say so."""
    node, _ = published
    target = f"https://127.0.0.1:{node.https_port}"
    wait_until(lambda: json.loads(node.cli("cert", "list", "--json").stdout)["watch"]["revocation"])  # it asked
    issuer.responder.kill()
    asked = len(issuer.web.requests())
    done = larder("doctor", target, "--trust", authority.root, "--json", check=False)
    for verdict, text, _ in findings(done, target, "revocation"):
        assert verdict == "warning" and "was not asked for" in text and "own and not allowed" in text
    assert len(issuer.web.requests()) == asked
    done = larder("doctor", target, "--trust", authority.root, "--config", node.config, "--json", check=False)
    assert [one[0] for one in findings(done, target, "revocation")] == ["warning", "ok"]
    assert len(issuer.web.requests()) == asked + 1


def test_proxy_of_the_environment_is_not_the_way_of_a_nodes_requests(published, issuer, authority):
    """The settings say by which way they leave; without any, the examining machine's environment does."""
    node, _ = published
    target = f"https://127.0.0.1:{node.https_port}"
    environment = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": ""}
    for named in ((), (target, "--trust", authority.root)):
        done = node.cli("doctor", *named, "--json", check=False, environment=environment)
        assert [one[0] for one in findings(done, target, "revocation")] == ["ok", "ok"], done.stdout
    done = larder("doctor", target, "--trust", authority.root, "--json", check=False, environment=environment)
    assert all("was not asked for" in one[1] for one in findings(done, target, "revocation")), "no proxy opens what is not allowed"


def test_places_of_a_chain_that_is_not_trusted_are_not_asked(published, issuer, tmp_path):
    """Anybody can write addresses into certificates of his own."""
    node, _ = published
    target = f"https://127.0.0.1:{node.https_port}"
    wait_until(lambda: json.loads(node.cli("cert", "list", "--json").stdout)["watch"]["revocation"])  # it asked
    asked = len(issuer.web.requests())
    done = node.cli("doctor", "--trust", Authority(tmp_path / "other", "Other").root, "--json", check=False)
    assert [one[:2] for one in findings(done, target, "revocation")] == [
        ("skipped", "responders and lists were not asked: the chain that names them is not trusted")]
    assert len(issuer.web.requests()) == asked


def test_staple_of_a_server_that_is_revoked_or_missing_where_it_is_demanded(tmp_path, authority, issuer):
    """Shown by nginx, which staples what it is told to."""
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", key,
        "-out", request, "-subj", f"/CN={NAME}")
    secret = "http://user:word@127.0.0.1/"  # an address that no request is made for
    extensions = issuer.extensions(crl=False).rstrip() + f",OCSP;URI:{secret}\ntlsfeature=status_request\n"
    chain = authority.sign(request, names=f"DNS:{NAME}", extensions=extensions)
    issuer.record(chain, "261101000000Z,superseded")
    issuer.answer()
    staple = tmp_path / "staple.der"
    run("openssl", "ocsp", "-issuer", authority.intermediate, "-cert", chain, "-url", f"http://127.0.0.1:{issuer.port}/",
        "-respout", staple, "-noverify")
    for number, (lines, words) in enumerate((
            (f"ssl_stapling on; ssl_stapling_file {staple};", "(superseded), says the stapled OCSP answer"),
            ("", "the certificate demands one (must-staple)"))):
        server = Origin(tmp_path / f"web{number}", certificate=type("Issued", (), {"chain": chain, "key": key}),
                        extra=lines).start()
        try:
            found = remote(None, authority, port=server.tls_port)
        finally:
            server.stop()
        assert found["staple"]["verdict"] == "wrong" and words in found["staple"]["text"], found["staple"]
        assert f"OCSP responder for \"CN={NAME}\" was not asked for: {secret}: its host" in found["revocation"]["text"]
