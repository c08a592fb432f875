"""An HTTPS receiver of a test's: keeps what is posted to it, and refuses as often as it is told."""

import http.server
import json
import ssl
import threading


class Receiver:
    def __init__(self, identity, refusals=0):
        self.messages, self.attempts, self._refusals = [], 0, refusals
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.attempts += 1
                if outer.attempts <= outer._refusals:
                    self.send_response(503)
                else:
                    outer.messages.append((dict(self.headers), body))
                    self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.chain, identity.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def alerts(self):
        return [json.loads(body) for _, body in self.messages]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
