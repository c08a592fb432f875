"""A real origin: nginx with a folder of files, over HTTP and, with a certificate, HTTPS."""

import os
import pathlib
import time

from support.ports import free_port
from support.program import Program, accepts
from support.wait import wait_until

_conf = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  types {{ text/plain txt; application/vnd.debian.binary-package deb; }} default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  sendfile on; keepalive_timeout 60s; keepalive_requests 1000000;
  # scheme, method, target, status, Range, Host, bytes: what tests count and look at
  log_format seen '$scheme $request_method $request_uri $status "$http_range" $host $body_bytes_sent';
  log_format headers '$request_uri|auth=$http_authorization|dpop=$http_dpop|cookie=$http_cookie|xff=$http_x_forwarded_for|via=$http_via';
  access_log {folder}/access.log seen;
  access_log {folder}/headers.log headers;
  server {{
    listen {address}:{port} backlog=1024; {tls}
    root {files};
    location /slow/ {{ alias {files}/; limit_rate {slow_rate}; }}
    location /status/ {{ rewrite ^/status/404 /none-such last; return 503; }}
    location /fresh/ {{ alias {files}/; add_header Cache-Control "max-age=3600"; }}
    location /weak/ {{ etag off; add_header Cache-Control "max-age=3600"; }}
    location /never/ {{ alias {files}/; add_header Cache-Control "no-store"; }}
  }}
}}
"""


class Origin:
    def __init__(self, folder, certificate=None, address="127.0.0.1", namespace=None, slow_rate="2m", port=None,
                 tls_port=None, extra=""):
        """`extra` are further lines of the server's configuration; IPv6 addresses have no brackets."""
        self.folder = pathlib.Path(folder)
        self.files = self.folder / "files"
        self.files.mkdir(parents=True)
        # nginx's worker stays root here, yet a folder that nobody else can read is a common trap.
        os.chmod(self.folder, 0o755)
        self.address = address
        self.port = port or free_port()
        self.tls_port = (tls_port or free_port()) if certificate else None
        at = self._bracketed
        tls = ""
        if certificate:
            tls = (f"listen {at}:{self.tls_port} ssl backlog=1024; "
                   f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};")
        conf = self.folder / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        conf.write_text(user + _conf.format(folder=self.folder, files=self.files, port=self.port,
                                            address=at, tls=tls + extra, slow_rate=slow_rate))
        self.namespace = namespace
        self.program = Program(["nginx", "-p", self.folder, "-c", conf, "-e", self.folder / "error.log"],
                               self.folder / "output.log", namespace)

    def start(self):
        self.program.start()
        if self.namespace:
            self.program.wait_for(lambda: self.namespace.accepts(self.address, self.port))
        else:
            self.program.wait_for(lambda: accepts(self.port, self.address))
        return self

    @property
    def _bracketed(self):
        return f"[{self.address}]" if ":" in self.address else self.address

    def stop(self):
        self.program.stop()

    @property
    def url(self):
        return f"http://{self._bracketed}:{self.port}"

    @property
    def tls_url(self):
        return f"https://{self._bracketed}:{self.tls_port}"

    def write(self, name, content, age=30 * 86400):
        """A file with these bytes, or with that many random ones; returns its bytes. It was last
        changed `age` seconds ago: a cache may guess that it stays fresh for a tenth of that."""
        data = os.urandom(content) if isinstance(content, int) else content
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # What is being sent of an older file of that name goes on: only a name changes.
        new = path.with_name(f".{os.urandom(8).hex()}")
        new.write_bytes(data)
        then = time.time() - age
        os.utime(new, (then, then))
        new.rename(path)
        return data

    def requests(self, target=None):
        """Lines of the access log as dictionaries, in order; those of one target only if named."""
        found = []
        log = self.folder / "access.log"
        for line in log.read_text().splitlines() if log.exists() else []:
            before, wanted_range, after = line.split('"')
            scheme, method, uri, status = before.split()
            host, sent = after.split()
            if target is None or uri.split("?")[0] == target:
                found.append({"scheme": scheme, "method": method, "target": uri, "status": int(status),
                              "range": None if wanted_range == "-" else wanted_range, "host": host,
                              "bytes": int(sent)})
        return found

    def saw(self, target, count=1):
        """requests(target) once there are `count`: nginx writes a line after the client has the last byte."""
        wait_until(lambda: len(self.requests(target)) >= count, what=f"{count} requests for {target}")
        return self.requests(target)

    def fields_of(self, target):
        """The line of headers_seen() for the last request of that target."""
        lines = wait_until(lambda: [line for line in self.headers_seen().splitlines() if line.startswith(target + "|")])
        return lines[-1]

    def headers_seen(self):
        log = self.folder / "headers.log"
        return log.read_text() if log.exists() else ""
