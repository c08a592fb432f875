"""A device's OAuth side written a second time, from RFC 7515, 7638 and 9449 alone: what any library could do."""

import base64
import hashlib
import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from support import secrets_used


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    """Header and claims of a JWS, unverified."""
    header, claims, _ = token.split(".")
    return json.loads(from_base64url(header)), json.loads(from_base64url(claims))


def new_key(path):
    """A P-256 key in a PEM file of mode 0600."""
    key = ec.generate_private_key(ec.SECP256R1())
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    secrets_used.register_key_file(path)
    return path


class OauthClient:
    """Speaks to a site with the key in `key_file`; trusts `root` alone."""

    def __init__(self, site_url, root, key_file):
        self.site_url = site_url
        self._context = ssl.create_default_context(cafile=root)
        with open(key_file, "rb") as file:
            self._key = serialization.load_pem_private_key(file.read(), None)
        self.nonce = None

    @property
    def jwk(self):
        point = self._key.public_key().public_numbers()
        return {"crv": "P-256", "kty": "EC", "x": base64url(point.x.to_bytes(32, "big")),
                "y": base64url(point.y.to_bytes(32, "big"))}

    def proof(self, method, url, nonce=None, access_token=None, **changes):
        """A DPoP proof; `changes` replace claims, to make wrong ones."""
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}
        claims = {"jti": base64url(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time())}
        if nonce:
            claims["nonce"] = nonce
        if access_token:
            claims["ath"] = base64url(hashlib.sha256(access_token.encode()).digest())
        claims.update(changes)
        text = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(claims).encode())
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def send(self, method, path, body, content_type, headers=None, proof=None):
        """Status, fields and body of one request."""
        request = urllib.request.Request(self.site_url + path, body, method=method, headers={
            "Content-Type": content_type, **(headers or {}), **({"DPoP": proof} if proof else {})})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=self._context))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def call(self, path, body, content_type="application/json", access_token=None):
        """POST with a proof; on a demand for a nonce once more with it, as RFC 9449 section 8 says."""
        headers = {"Authorization": f"DPoP {access_token}"} if access_token else {}
        for _ in range(2):
            proof = self.proof("POST", self.site_url + path, self.nonce, access_token)
            status, fields, answer = self.send("POST", path, body, content_type, headers, proof)
            self.nonce = fields.get("DPoP-Nonce", self.nonce)
            if status not in (400, 401) or b"use_dpop_nonce" not in answer:
                break
        return status, json.loads(answer) if answer else None

    def register(self, secret, name, hardware_id="test-hardware"):
        status, answer = self.call("/client/v1/register", json.dumps(
            {"registration_secret": secret, "name": name, "hardware_id": hardware_id}).encode())
        if status == 200 and "client_token" in answer:
            secrets_used.register_token(answer["client_token"], f"client token of {name}")
        return status, answer

    def content_token(self, certificate_der):
        status, answer = self.call("/oauth2/token", urllib.parse.urlencode(
            {"grant_type": "client_credentials", "scope": "content",
             "client_certificate": base64url(certificate_der)}).encode(), "application/x-www-form-urlencoded")
        if status == 200:
            secrets_used.register_token(answer["access_token"], "content token")
        return status, answer
