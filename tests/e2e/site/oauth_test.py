"""The site's OAuth side, spoken to by a client that shares no code with it."""

import base64
import hashlib
import json
import os
import ssl

import pytest

from support.curl import curl
from support.dpop import OauthClient, base64url, claims_of, from_base64url, new_key
from support.program import run
from support.wait import wait_until


class Outsider:
    """A device made of openssl, curl and the RFCs."""

    def __init__(self, folder, site, name="outsider"):
        self.key = new_key(folder / f"{name}.key")
        self.certificate = folder / f"{name}.pem"
        run("openssl", "req", "-x509", "-new", "-key", self.key, "-subj", f"/CN={name}", "-days", "30",
            "-out", self.certificate)
        self.der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        self.oauth = OauthClient(site.url, site.root, self.key)
        self.name = name

    def register(self, token):
        secret = json.loads(from_base64url(token.partition(".")[2]))["secret"]
        return self.oauth.register(secret, self.name)

    def get(self, url, root, token, folder):
        field = folder / f"{self.name}.authorization"
        field.write_text(f"Authorization: Bearer {token}\n")
        return curl(url, "--cacert", root, "--cert", self.certificate, "--key", self.key, "--header", f"@{field}")


@pytest.fixture
def outsider(site, tmp_path):
    outsider = Outsider(tmp_path, site)
    status, answer = outsider.register(site.registration_token())
    assert status == 200, answer
    return outsider


@pytest.fixture(scope="module")
def package(site, joined, folder):
    file = folder / "open.bin"
    file.write_bytes(os.urandom(50_000))
    site.add_content("open", "1", file)
    return file


def test_metadata_names_the_endpoints(site):
    facts = json.loads(curl(f"{site.url}/.well-known/oauth-authorization-server", "--cacert", site.root).body)
    assert facts["issuer"] == site.url
    assert facts["token_endpoint"] == f"{site.url}/oauth2/token"
    assert "ES256" in facts["dpop_signing_alg_values_supported"]


def test_client_token_has_the_documented_claims(site, tmp_path):
    outsider = Outsider(tmp_path, site)
    status, answer = outsider.register(site.registration_token())
    assert status == 200, answer
    header, claims = claims_of(answer["client_token"])
    assert header["typ"] == "larder-client+jwt" and header["alg"] == "ES256"
    assert claims["iss"] == site.url and claims["sub"] == answer["client_id"]
    assert claims["aud"] == "management-point"
    thumbprint = base64url(hashlib.sha256(json.dumps(outsider.oauth.jwk, separators=(",", ":"), sort_keys=True)
                                          .encode()).digest())
    assert claims["cnf"] == {"jkt": thumbprint}
    keys = json.loads(curl(f"{site.url}/.well-known/jwks.json", "--cacert", site.root).body)["keys"]
    assert header["kid"] in [key["kid"] for key in keys]


def test_content_token_opens_content_for_its_certificate(site, joined, outsider, package, tmp_path):
    status, answer = outsider.oauth.content_token(outsider.der)
    assert status == 200, answer
    assert answer["token_type"] == "Bearer" and 0 < answer["expires_in"] <= 8 * 3600
    header, claims = claims_of(answer["access_token"])
    assert header["typ"] == "at+jwt" and claims["aud"] == "content"
    assert claims["cnf"] == {"x5t#S256": base64url(hashlib.sha256(outsider.der).digest())}
    url = f"https://127.0.0.1:{joined.content_port}/content/open/1/{package.name}"

    def known_to_the_node():  # 404 until it has heard of the package, 503 until it has fetched it
        got = outsider.get(url, site.root, answer["access_token"], tmp_path)
        return got.status not in (404, 503) and got

    got = wait_until(known_to_the_node)
    assert (got.status, got.body) == (200, package.read_bytes())


def test_altered_token_is_refused(site, joined, outsider, package, tmp_path):
    _, answer = outsider.oauth.content_token(outsider.der)
    head, claims, signature = answer["access_token"].split(".")
    changed = json.loads(from_base64url(claims))
    changed["exp"] += 3600
    none = base64url(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    url = f"https://127.0.0.1:{joined.content_port}/content/open/1/{package.name}"
    for token in (f"{head}.{base64url(json.dumps(changed).encode())}.{signature}", f"{none}.{claims}.",
                  f"{head}.{claims}.{base64url(bytes(64))}", "x" * 5000, ".." , ""):
        assert outsider.get(url, site.root, token, tmp_path).status in (400, 401), token[:40]


@pytest.mark.parametrize("name, changes", [
    ("other method", {"htm": "GET"}),
    ("other address", {"htu": "https://elsewhere.test/oauth2/token"}),
    ("old", {"iat": 1000000000}),
    ("from the future", {"iat": 4000000000}),
    ("invented nonce", {"nonce": "invented"}),
])
def test_wrong_proof_is_refused(site, outsider, name, changes):
    outsider.oauth.content_token(outsider.der)  # learns a nonce
    proof = outsider.oauth.proof("POST", f"{site.url}/oauth2/token", **{"nonce": outsider.oauth.nonce, **changes})
    body = f"grant_type=client_credentials&scope=content&client_certificate={base64url(outsider.der)}".encode()
    status, _, answer = outsider.oauth.send("POST", "/oauth2/token", body, "application/x-www-form-urlencoded",
                                            proof=proof)
    assert status in (400, 401), answer
    assert b"access_token" not in answer


def test_proof_is_good_once(site, outsider):
    outsider.oauth.content_token(outsider.der)
    proof = outsider.oauth.proof("POST", f"{site.url}/oauth2/token", outsider.oauth.nonce)
    body = f"grant_type=client_credentials&scope=content&client_certificate={base64url(outsider.der)}".encode()
    answers = [outsider.oauth.send("POST", "/oauth2/token", body, "application/x-www-form-urlencoded", proof=proof)[0]
               for _ in range(2)]
    assert answers[0] == 200 and answers[1] in (400, 401)


def test_without_a_proof_there_is_no_token(site, outsider):
    body = b"grant_type=client_credentials&scope=content"
    status, _, answer = outsider.oauth.send("POST", "/oauth2/token", body, "application/x-www-form-urlencoded")
    assert status in (400, 401) and "error" in json.loads(answer)


def test_unregistered_key_gets_no_token(site, tmp_path):
    stranger = Outsider(tmp_path, site, "stranger")
    status, answer = stranger.oauth.content_token(stranger.der)
    assert status in (400, 401) and "access_token" not in answer


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"[" * 5000, base64.b64encode(os.urandom(3000)), b"null"],
                         ids=["empty", "open", "twice", "deep", "noise", "null"])
def test_malformed_registration_is_refused(site, outsider, body):
    proof = outsider.oauth.proof("POST", f"{site.url}/client/v1/register", outsider.oauth.nonce)
    status, _, _ = outsider.oauth.send("POST", "/client/v1/register", body, "application/json", proof=proof)
    assert 400 <= status < 500
