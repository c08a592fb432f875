"""An origin that answers as a test says, for what no real server can be made to send."""

import dataclasses
import email.utils
import http.server
import threading
import time

from support.ports import free_port


def conditional(tag, fields, body):
    """An answer: 304 for the tag, else 200 with it."""
    def answer(seen):
        if seen.headers.get("if-none-match") == tag:
            return 304, [*fields, ("ETag", tag)], b""
        return 200, [*fields, ("ETag", tag)], body
    return answer


@dataclasses.dataclass
class Seen:
    method: str
    target: str
    headers: dict  # names in lower case
    body: bytes


class ScriptedOrigin:
    """`answer(seen)` gives status, a list of (name, value) fields and the body's bytes, or an iterator of them;
    Content-Length is added unless the fields frame the body. Every request is kept in `seen`."""

    def __init__(self, answer):
        self.answer, self.seen, self.changed = answer, [], threading.Condition()
        self.address, self.port = "127.0.0.1", free_port()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    self.raw_requestline = self.rfile.readline(65537)
                except ConnectionError:
                    self.raw_requestline = b""
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                length = int(self.headers.get("Content-Length", 0))
                seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()},
                            self.rfile.read(length))
                with origin.changed:
                    origin.seen.append(seen)
                    origin.changed.notify_all()
                status, fields, body = origin.answer(seen)
                self.send_response_only(status)
                names = {name.lower() for name, _ in fields}
                if "date" not in names:
                    self.send_header("Date", email.utils.formatdate(time.time(), usegmt=True))
                for name, value in fields:
                    self.send_header(name, value)
                if not names & {"content-length", "transfer-encoding"} and status not in (204, 304):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD" and status not in (204, 304):
                    for piece in [body] if isinstance(body, bytes) else body:
                        self.wfile.write(piece)
                self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((self.address, self.port), Handler)
        self.server.daemon_threads = True

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def requests(self, target):
        return [seen for seen in self.seen if seen.target == target]

    def wait_for(self, target, count, seconds=10):
        """The requests for `target` once there are `count` of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests(target)) >= count, seconds), self.requests(target)
        return self.requests(target)
