"""Real ACME servers: Pebble, which misbehaves on purpose, and Caddy."""

import json
import os
import pathlib
import shutil

import pytest

from support.curl import curl
from support.ports import free_port
from support.program import Program, accepts


class Pebble:
    """Comes for http-01 to `http_port` and for tls-alpn-01 to `tls_port`; all names lead to 127.0.0.1.
    `believes_late`: believes everybody without coming, and takes up to some seconds for that."""

    def __init__(self, folder, authority, http_port, tls_port, external_keys=None, validity=None, reject_nonces=30,
                 alternate_roots=0, believes_late=False):
        if not shutil.which("pebble"):
            pytest.skip("pebble is not installed: packaging/install_missing test")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port, self.management_port, self.dns_port, self.dns_management = (free_port() for _ in range(4))
        identity = authority.issue(f"pebble-{self.port}.test", "IP:127.0.0.1")
        self.server_root = authority.root
        settings = {"listenAddress": f"127.0.0.1:{self.port}",
                    "managementListenAddress": f"127.0.0.1:{self.management_port}",
                    "certificate": str(identity.chain), "privateKey": str(identity.key),
                    "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "",
                    "externalAccountBindingRequired": bool(external_keys),
                    "externalAccountMACKeys": external_keys or {}}
        if validity:
            settings["certificateValidityPeriod"] = validity
        conf = self.folder / "pebble.json"
        conf.write_text(json.dumps({"pebble": settings}))
        self._names = Program(["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
                               "-dns01", f"127.0.0.1:{self.dns_port}", "-http01", "", "-https01", "", "-tlsalpn01", "",
                               "-management", f"127.0.0.1:{self.dns_management}"], self.folder / "names.log")
        self.program = Program(["pebble", "-config", conf, "-dnsserver", f"127.0.0.1:{self.dns_port}", "-strict"],
                               self.folder / "pebble.log",
                               environment={"PEBBLE_WFE_NONCEREJECT": str(reject_nonces),
                                            "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
                                            **({"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_VA_SLEEPTIME": "5"}
                                               if believes_late else {"PEBBLE_VA_NOSLEEP": "1"})})

    def start(self):
        self._names.start()
        self._names.wait_for(lambda: accepts(self.dns_management))
        self.program.start()
        self.program.wait_for(lambda: accepts(self.port) and accepts(self.management_port))
        return self

    def stop(self):
        self.program.kill()
        self._names.kill()

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    def root(self, number=0):
        """The root that it issues under, made anew at each start, as a file."""
        answer = curl(f"https://127.0.0.1:{self.management_port}/roots/{number}", "--cacert", self.server_root)
        assert answer.status == 200, answer
        path = self.folder / f"root-{number}.pem"
        path.write_bytes(answer.body)
        return path

    def said(self):
        return (self.folder / "pebble.log").read_text(errors="replace")


class Caddy:
    """Comes to ports 80 and 443, so the node has to be there."""

    def __init__(self, folder, authority):
        if not shutil.which("caddy"):
            pytest.skip("caddy is not installed: packaging/install_missing test")
        if os.geteuid() != 0:
            pytest.skip("needs root: Caddy comes to ports 80 and 443")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        identity = authority.issue(f"caddy-{self.port}.test", "IP:127.0.0.1")
        conf = self.folder / "Caddyfile"
        conf.write_text(f"""{{
  admin off
  skip_install_trust
  auto_https off
  storage file_system {self.folder}/storage
}}
https://127.0.0.1:{self.port} {{
  tls {identity.chain} {identity.key}
  acme_server
}}
""")
        self.program = Program(["caddy", "run", "--config", conf, "--adapter", "caddyfile"], self.folder / "caddy.log",
                               environment={"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)})

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: accepts(self.port) and self.root.exists())
        return self

    def stop(self):
        self.program.kill()

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/acme/local/directory"

    @property
    def root(self):
        return self.folder / "storage/pki/authorities/local/root.crt"
