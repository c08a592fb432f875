"""An ACME server that does what no real one can be made to do. It checks nothing that it is sent but the nonces.

It also speaks of renewals (RFC 9773), which neither Pebble nor Caddy of Debian 12 does."""

import base64
import json
import pathlib
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509

from support.program import run


def _decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class MisbehavingAcme:
    """`mistake` is one of: "" (none), "limited", "silent", "another-key", "other-names", "stale-nonce",
    "not-json", "endless", "elsewhere", "at-the-cloud", "other-identifier", "never-looks" (at the answer to its challenge), "forgetful",
    "replaced-already". It may be changed while it runs."""

    def __init__(self, folder, authority, mistake=""):
        self.folder, self.authority, self.mistake = pathlib.Path(folder), authority, mistake
        self.folder.mkdir(parents=True)
        self.asked, self.bad_nonces = [], 0
        self.orders, self.issued = [], {}  # what was ordered; certificates by the id that RFC 9773 gives them
        self.renewal_window, self.retry_after = None, None  # as `suggestedWindow`; in seconds
        self._nonces, self._first_nonce = set(), None
        self._csr = None
        self._lock, self._end = threading.Lock(), threading.Event()
        identity = authority.issue(f"acme-{secrets.token_hex(4)}.test", "IP:127.0.0.1")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                outer._answer(self, 200, b"")

            def do_GET(self):
                outer._get(self)

            def do_POST(self):
                outer._post(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.chain, identity.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.directory = f"{self.url}/directory"

    def start(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    def _nonce(self):
        with self._lock:
            if self.mistake == "stale-nonce" and self._first_nonce:
                stale, self._first_nonce = self._first_nonce, None  # once more what was used already
                return stale
            nonce = secrets.token_urlsafe(16)
            self._nonces.add(nonce)
            self._first_nonce = self._first_nonce or nonce
            return nonce

    def _answer(self, handler, status, body, **fields):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Replay-Nonce", self._nonce())
        for name, value in fields.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def _get(self, handler):
        if handler.path.startswith("/renewal-info/"):
            return self._renewal_info(handler, handler.path.rsplit("/", 1)[1])
        self.asked.append("directory")
        if self.mistake == "silent":
            self._end.wait(60)
        if self.mistake == "not-json":
            return self._answer(handler, 200, b"<html>maintenance</html>")
        names = {name: f"{self.url}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
        if self.renewal_window:
            names["renewalInfo"] = f"{self.url}/renewal-info"
        if self.mistake == "elsewhere":
            names["newOrder"] = "http://127.0.0.1/order"
        if self.mistake == "at-the-cloud":
            names["newOrder"] = "https://169.254.169.254/order"
        return self._answer(handler, 200, names)

    def _post(self, handler, message):
        path = handler.path.strip("/")
        nonce = json.loads(_decode(message["protected"]))["nonce"]
        with self._lock:
            known = nonce in self._nonces
            self._nonces.discard(nonce)
            self.bad_nonces += not known
        if not known:
            return self._answer(handler, 400, {"type": "urn:ietf:params:acme:error:badNonce", "detail": "used"})
        self.asked.append(path)
        if path == "newAccount":
            return self._answer(handler, 201, {"status": "valid"}, Location=f"{self.url}/account")
        if path == "newOrder" and self.mistake == "limited":
            return self._answer(handler, 429, {"type": "urn:ietf:params:acme:error:rateLimited",
                                               "detail": "too many certificates already issued"}, Retry_After="7200")
        if path == "newOrder":
            self.orders.append(json.loads(_decode(message["payload"])))
            if self.mistake == "replaced-already" and "replaces" in self.orders[-1]:
                return self._answer(handler, 409, {"type": "urn:ietf:params:acme:error:alreadyReplaced",
                                                   "detail": "by another order"})
        if path == "finalize":
            self._csr = _decode(json.loads(_decode(message["payload"]))["csr"])
        if path == "authorization":
            name = "other.test" if self.mistake == "other-identifier" else "node1.larder.test"
            return self._answer(handler, 200, {
                "status": "pending", "identifier": {"type": "dns", "value": name},
                "challenges": [{"type": kind, "url": f"{self.url}/challenge", "token": "token"}
                               for kind in ("http-01", "tls-alpn-01")]})
        if path == "challenge":
            return self._answer(handler, 200, {})
        if path == "newOrder" and self.mistake in ("other-identifier", "never-looks"):
            return self._answer(handler, 201, {"status": "pending", "authorizations": [f"{self.url}/authorization"],
                                               "finalize": f"{self.url}/finalize"}, Location=f"{self.url}/order")
        if path == "order" and self.mistake == "forgetful":
            return self._answer(handler, 404, {"type": "urn:ietf:params:acme:error:malformed", "detail": "no such order"})
        if path in ("newOrder", "order", "finalize"):
            status = "processing" if self.mistake == "endless" and self._csr else "valid" if self._csr else "ready"
            return self._answer(handler, 201, {"status": status, "authorizations": [], "finalize": f"{self.url}/finalize",
                                               "certificate": f"{self.url}/certificate"},
                                Location=f"{self.url}/order", Retry_After="1")
        return self._answer(handler, 200, self._certificate())

    def _renewal_info(self, handler, certificate):
        self.asked.append("renewal-info")
        if certificate not in self.issued:
            return self._answer(handler, 404, {"type": "urn:ietf:params:acme:error:malformed", "detail": "not known"})
        fields = {"Retry_After": str(self.retry_after)} if self.retry_after is not None else {}
        return self._answer(handler, 200, {"suggestedWindow": self.renewal_window,
                                           "explanationURL": "https://example.org/why"}, **fields)

    def _certificate(self):
        chain = self._sign()
        leaf = x509.load_pem_x509_certificate(chain)
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        serial = leaf.serial_number
        parts = (issuer, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
        self.issued[".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)] = chain
        return chain

    def _sign(self):
        if self.mistake == "another-key":
            return self.authority.issue("stranger.test", "DNS:node1.larder.test").chain.read_bytes()
        der, request = self.folder / "request.der", self.folder / "request.pem"
        der.write_bytes(self._csr)
        run("openssl", "req", "-inform", "DER", "-in", der, "-out", request)
        names = "DNS:other.test" if self.mistake == "other-names" else None
        return self.authority.sign(request, names=names).read_bytes()
