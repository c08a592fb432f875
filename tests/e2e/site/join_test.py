"""A node joins a site and gets its role certificate; what a site's mode changes."""

import json
import socket
import ssl

import pytest

from support.curl import curl
from support.dpop import base64url, from_base64url
from support.larder import larder
from support.program import run
from support.tls import served_certificate
from support.wait import measure, wait_until


def issuer_of(address, port, name=None):
    """Issuer of what a content listener shows, or None."""
    done = run("bash", "-c", f"openssl s_client -connect {address}:{port} {'-servername ' + name if name else ''} "
               "</dev/null 2>/dev/null | openssl x509 -noout -issuer -ext subjectAltName", check=False)
    return done.stdout if done.returncode == 0 else None


def test_root_is_constrained_to_the_sites_names(site):
    text = run("openssl", "x509", "-in", site.root, "-noout", "-text").stdout
    assert "CA:TRUE" in text
    assert "DNS:larder.test" in text and "IP:127.0.0.0" in text


def test_joined_node_serves_its_role_certificate(site, joined):
    wait_until(lambda: served_certificate(joined.address, joined.content_port) is not None)
    shown = issuer_of(joined.address, joined.content_port)
    assert "DNS:node1.larder.test" in shown and "IP Address:127.0.0.1" in shown
    verified = curl(f"https://node1.larder.test:{joined.content_port}/content/none/1/none", "--cacert", site.root,
                    "--resolve", f"node1.larder.test:{joined.content_port}:127.0.0.1")
    assert verified.status == 401, verified.error


def test_node_answers_where_its_certificate_says_the_revocation_list_is(site, joined, tmp_path):
    """Windows refuses a certificate whose list cannot be fetched."""
    shown = wait_until(lambda: run(
        "bash", "-c", f"openssl s_client -connect {joined.address}:{joined.content_port} </dev/null 2>/dev/null | "
        "openssl x509 -noout -ext crlDistributionPoints", check=False).stdout.strip())
    url = shown.split("URI:")[1].split()[0]
    assert url.startswith((f"http://node1.larder.test:{joined.http_port}/", f"http://127.0.0.1:{joined.http_port}/"))
    answer = wait_until(lambda: (got := curl(url, "--resolve", f"node1.larder.test:{joined.http_port}:127.0.0.1"))
                        .status == 200 and got)
    (tmp_path / "list.crl").write_bytes(answer.body)
    text = run("openssl", "crl", "-inform", "DER", "-in", tmp_path / "list.crl", "-noout", "-text").stdout
    assert "Next Update" in text
    head = curl(f"http://127.0.0.1:{joined.http_port}/nothing", "--head")
    assert head.status == 404

    # The node does not ask itself to know what it says.
    joined.cli("node", "reload")
    found = wait_until(lambda: json.loads(joined.cli("cert", "list", "--json").stdout)["watch"]["revocation"])
    assert [(one["name"], one["state"], one["source"]) for one in found] == [("site-role", "good", url)]

    # Nor need its settings allow this machine's addresses for the doctor.
    done = larder("doctor", f"https://127.0.0.1:{joined.content_port}", "--trust", site.root, "--config", joined.config,
                  "--json", check=False)
    looked = [one for one in json.loads(done.stdout)["targets"][0]["checks"] if one["check"] == "revocation"]
    assert [one["verdict"] for one in looked] == ["ok"] and f"not revoked, says {url}" in looked[0]["text"], looked


def test_second_node_joins_and_appears(site, joined, make_node):
    second = make_node("node2")
    site.join(second)
    site.wait_for_node("node2")
    assert set(site.nodes()) >= {"node1", "node2"}
    wait_until(lambda: served_certificate(second.address, second.content_port) is not None)


def test_join_token_is_good_once(site, make_node):
    token = site.join_token("node3", ["node3.larder.test"])
    first, again = make_node("node3"), make_node("node3-again")
    first.cli("node", "join", "--token-file", "-", input=token)
    done = again.cli("node", "join", "--token-file", "-", input=token, check=False)
    assert done.returncode == 1
    assert token not in done.stdout + done.stderr


def test_join_token_of_another_site_is_refused_before_the_secret_is_sent(site, make_node):
    """The token pins the root: a site that shows another one gets nothing."""
    token = site.join_token("node4", ["node4.larder.test"])
    kind, _, text = token.partition(".")
    facts = json.loads(from_base64url(text))
    facts["root_sha256"] = "0" * 64
    forged = f"{kind}.{base64url(json.dumps(facts).encode())}"
    node = make_node("node4")
    assert node.cli("node", "join", "--token-file", "-", input=forged, check=False).returncode == 1
    # The token was not spent by that.
    node.cli("node", "join", "--token-file", "-", input=token)


def test_token_is_never_an_argument():
    done = larder("node", "join", "--help")
    assert "--token " not in done.stdout


def test_node_keeps_its_place_after_both_were_killed(site, joined):
    joined.kill()
    site.kill()
    site.start()
    joined.start()
    wait_until(lambda: served_certificate(joined.address, joined.content_port) is not None)
    site.wait_for_node("node1")


def test_https_only_refuses_site_issued_certificates_and_enhanced_brings_them_back(site, joined):
    wait_until(lambda: served_certificate(joined.address, joined.content_port) is not None)
    site.cli("site", "mode", "https-only")
    wait_until(lambda: served_certificate(joined.address, joined.content_port) is None)
    site.cli("site", "mode", "enhanced")
    seconds = measure(lambda: served_certificate(joined.address, joined.content_port) is not None, 10)
    print(f"role certificate in effect {seconds * 1000:.0f} ms after enhanced mode was set")


@pytest.mark.parametrize("path", ["/node/v1/changes?after=0&wait=0", "/node/v1/report", "/node/v1/role-certificate"])
def test_node_routes_need_a_nodes_identity(site, path):
    answer = curl(f"{site.url}{path}", "--cacert", site.root)
    assert answer.status in (401, 403, 405), answer


def test_listeners_do_not_share_ports(site):
    """PKI is plain HTTP with the root and the list of revoked certificates, and nothing else."""
    base = f"http://{site.address}:{site.pki_port}"
    assert curl(f"{base}/.larder/pki/root.crt").status == 200
    assert curl(f"{base}/oauth2/token", "--request", "POST").status in (403, 404, 405)
    assert curl(f"{base}/api/v1/status").status == 404


def test_admin_page_refuses_changes_and_other_hosts(site):
    assert site.page("/api/v1/status").status == 200
    assert site.page("/api/v1/site/mode", "--request", "PUT", "--data", '{"mode":"https-only"}').status in (403, 404, 405)
    assert site.page("/", "-H", "Host: rebound.example.org").status in (400, 403, 421)


def test_bad_handshakes_do_not_hurt_the_site(site):
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
        with socket.create_connection((site.address, site.port), 5) as connection:
            connection.sendall(junk)
    context = ssl.create_default_context(cafile=site.root)
    with socket.create_connection((site.address, site.port), 5) as raw:
        context.wrap_socket(raw, server_hostname=site.address).close()
