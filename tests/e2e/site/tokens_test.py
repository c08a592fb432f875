"""Who gets guarded content: token, bound to the certificate of the device; and for how long."""

import hashlib
import json
import os
import ssl

import pytest

from support.curl import curl
from support.dpop import OauthClient, base64url, from_base64url
from support.larder import Device
from support.tls import s_client
from support.wait import measure


@pytest.fixture(scope="module")
def package(site, joined, folder):
    file = folder / "tool.bin"
    file.write_bytes(os.urandom(3_000_000))
    site.add_content("tool", "1.0", file)
    return file


def test_registered_device_gets_the_package_from_the_node(device, package, joined):
    before = joined.metric("larder_content_bytes_total") or 0
    device.get("tool@1.0")
    assert (device.folder / package.name).read_bytes() == package.read_bytes()
    after = joined.metric("larder_content_bytes_total")
    if after is not None:
        assert after - before >= package.stat().st_size


def test_newest_version_is_the_default(device, package):
    device.get("tool")
    assert (device.folder / package.name).read_bytes() == package.read_bytes()


def test_anonymous_is_refused_with_advice(joined, package, site):
    answer = curl(f"https://127.0.0.1:{joined.content_port}/content/tool/1.0/{package.name}", "--cacert", site.root)
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert 'realm="larder"' in answer.headers["www-authenticate"]
    assert b"larder client register" in answer.body or b"token" in answer.body


def test_content_is_not_served_on_the_delivery_ports(joined, package):
    assert curl(f"{joined.http}/content/tool/1.0/{package.name}").status in (401, 403, 404, 421)


def test_content_listener_asks_for_a_client_certificate(joined, package):
    assert "Requested Signature Algorithms" in s_client(joined.address, joined.content_port).stdout


def test_device_without_token_is_refused(package, tmp_path):
    stranger = Device(tmp_path / "stranger", "stranger")
    done = stranger.get("tool@1.0", check=False)
    assert done.returncode == 1
    assert "register" in (done.stdout + done.stderr).lower()


def test_wrong_registration_secret_is_refused(site, tmp_path):
    token = site.registration_token()
    kind, _, text = token.partition(".")
    facts = json.loads(from_base64url(text))
    facts["secret"] = base64url(os.urandom(32))
    wrong = f"{kind}.{base64url(json.dumps(facts).encode())}"
    stranger = Device(tmp_path / "stranger", "stranger")
    assert stranger.register(wrong, check=False).returncode == 1


def test_registration_token_has_a_number_of_uses(site, tmp_path):
    token = site.registration_token(uses=1)
    Device(tmp_path / "one", "one").register(token)
    assert Device(tmp_path / "two", "two").register(token, check=False).returncode == 1


def test_blocked_device_is_refused_soon(site, device, package, joined, tmp_path):
    """Measured at the node, with the device's own token and certificate."""
    token = content_token(site, device)
    url = f"https://127.0.0.1:{joined.content_port}/content/tool/1.0/{package.name}"
    identity = client_identity(device, tmp_path)

    def ask():
        return curl(url, "--cacert", site.root, "--cert", identity, "--header", f"@{token}").status

    assert ask() == 200
    site.block(device.client_id)
    seconds = measure(lambda: ask() in (401, 403), 5, "the refusal")
    print(f"refused {seconds * 1000:.0f} ms after the block was confirmed")
    assert device.get("tool@1.0", check=False).returncode == 1


def client_identity(device, folder):
    """The device's certificate and key in one file, as curl takes them."""
    file = folder / "identity.pem"
    file.write_text((device.state / "device.pem").read_text() + (device.state / "device.key").read_text())
    file.chmod(0o600)
    return file


def content_token(site, device):
    """A file with the Authorization field of a content token, asked for with the device's own key."""
    der = ssl.PEM_cert_to_DER_cert((device.state / "device.pem").read_text())
    status, answer = OauthClient(site.url, site.root, device.state / "device.key").content_token(der)
    assert status == 200, answer
    file = device.folder / "authorization"
    file.write_text(f"Authorization: Bearer {answer['access_token']}\n")
    return file


def test_token_of_one_device_is_no_use_to_another(site, device, package, joined, tmp_path):
    other = Device(tmp_path / "other", "other")
    other.register(site.registration_token())
    answer = curl(f"https://127.0.0.1:{joined.content_port}/content/tool/1.0/{package.name}", "--cacert", site.root,
                  "--cert", client_identity(other, tmp_path), "--header", f"@{content_token(site, device)}")
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_condition_that_does_not_hold_gets_no_bytes(site, device, package, joined, tmp_path):
    """Who goes on with a file under If-Match would append those of another one."""
    token, identity = content_token(site, device), client_identity(device, tmp_path)
    known = f'"{hashlib.sha256(package.read_bytes()).hexdigest()}"'

    def ask(tag):
        return curl(f"https://127.0.0.1:{joined.content_port}/content/tool/1.0/{package.name}", "--cacert", site.root,
                    "--cert", identity, "--header", f"@{token}", "--header", f"If-Match: {tag}", "--range", "1-2")
    assert (ask(known).status, ask(known).body) == (206, package.read_bytes()[1:3])
    assert (ask('"another"').status, ask('"another"').body) == (412, b"")


def test_registering_again_is_the_same_client(site, device):
    first = device.client_id
    device.register(site.registration_token())
    assert device.client_id == first


def test_node_serves_while_the_site_is_away(site, device, package, joined, tmp_path):
    token, identity = content_token(site, device), client_identity(device, tmp_path)
    site.stop()
    try:
        answer = curl(f"https://127.0.0.1:{joined.content_port}/content/tool/1.0/{package.name}", "--cacert", site.root,
                      "--cert", identity, "--header", f"@{token}")
        assert answer.status == 200
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(package.read_bytes()).digest()
    finally:
        site.start()
