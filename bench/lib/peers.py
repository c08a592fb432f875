"""The node's peers, each started from its files in bench/peers.

A peer has `name`, `http_port`, `https_port` (None: it has no TLS), `pids` (whose CPU time and memory count, the
process that writes its access log included), `start()` and `stop()`. A `Larder` wraps a node of tests/support.
"""

import contextlib
import os
import re

from lib.paths import PEERS
from support.curl import curl
from support.ports import free_port
from support.program import Program


def fill_in(name, values):
    """The text of bench/peers/NAME with @key@ replaced; an unknown key is an error."""
    return re.sub(r"@([a-z_]+)@", lambda found: str(values[found[1]]), (PEERS / name).read_text())


class Peer:
    """`origin` is (address, port); `cores` is what taskset takes, None for all; `files` is the folder that
    the origin serves, for a peer without a cache."""

    name = ""
    has_tls = True

    def __init__(self, folder, origin, certificate, *, suite="TLS_AES_128_GCM_SHA256", namespace=None, cores="0",
                 workers=1, store_mib=8192, ram_mib=1024, address="127.0.0.1", files=None):
        self.folder, self.namespace, self.address = folder, namespace, address
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self.http_port, self.https_port = free_port(), free_port()
        self._prefix = ["taskset", "-c", cores] if cores else []
        self._values = {
            "folder": folder, "address": address, "http_port": self.http_port, "https_port": self.https_port,
            "origin": f"{origin[0]}:{origin[1]}", "origin_host": origin[0], "origin_port": origin[1],
            "chain": certificate.chain, "key": certificate.key, "suite": suite, "workers": workers,
            "store_mib": store_mib, "ram_mib": ram_mib, "ram_bytes": ram_mib << 20, "files": files,
            "user": "root" if os.getuid() == 0 else "nobody"}
        if not self.has_tls:
            self.https_port = None
        self._programs = []

    def _write(self, source, target=None):
        path = self.folder / (target or source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fill_in(source, self._values))
        return path

    def _run(self, *arguments, environment=None):
        program = Program([*self._prefix, *arguments], self.folder / f"output{len(self._programs)}.log",
                          self.namespace, environment)
        self._programs.append(program)
        return program.start()

    def _wait(self, program, path="/"):
        """Until it answers, whatever it says."""
        program.wait_for(lambda: curl(f"http://{self.address}:{self.http_port}{path}", "-H", "Host: bench.test",
                                      namespace=self.namespace).status > 0, seconds=40)
        return self

    @property
    def pids(self):
        return [program.pid for program in self._programs]

    def stop(self):
        for program in reversed(self._programs):
            with contextlib.suppress(AssertionError):  # a peer that is slow to stop has been killed
                program.stop()
        self._programs = []


class Nginx(Peer):
    name = "nginx"

    def start(self):
        conf = self._write("nginx.conf")
        return self._wait(self._run("nginx", "-p", self.folder, "-c", conf, "-e", self.folder / "error.log"))


class Varnish(Peer):
    """Keeps everything in memory; its access log is written by varnishncsa, whose CPU time counts."""

    name = "varnish"
    has_tls = False

    def start(self):
        vcl, cli, work = self._write("varnish.vcl"), self._write("varnish.cli"), self.folder / "work"
        program = self._run("varnishd", "-F", "-j", "none", "-a", f"{self.address}:{self.http_port}", "-f", vcl,
                            "-I", cli, "-s", f"malloc,{self._values['store_mib']}M", "-n", work)
        self._wait(program)
        self._run("varnishncsa", "-n", work, "-w", self.folder / "access.log")
        return self


class TrafficServer(Peer):
    name = "trafficserver"
    _files = ("records.config", "remap.config", "storage.config", "ssl_multicert.config", "logging.yaml",
              "ip_allow.yaml", "plugin.config")

    def start(self):
        for name in self._files:
            self._write(f"trafficserver/{name}", f"etc/{name}")
        runroot = self._write("trafficserver/runroot.yaml", "runroot.yaml")
        for name in ("run", "log", "cache", "var", "share"):
            (self.folder / name).mkdir(exist_ok=True)
        return self._wait(self._run("traffic_server", f"--run-root={runroot}"))


class H2o(Peer):
    """Serves the origin's files itself: it has no cache."""

    name = "h2o"

    def start(self):
        openssl = self._write("h2o-openssl.cnf")
        return self._wait(self._run("h2o", "-m", "worker", "-c", self._write("h2o.conf"),
                                    environment={"OPENSSL_CONF": str(openssl)}))


class Larder:
    """A node of tests/support/larder.py, seen as a peer."""

    def __init__(self, node, name="larder"):
        self.node, self.name = node, name
        self.address, self.http_port, self.https_port = node.address, node.http_port, node.https_port

    @property
    def pids(self):
        return [self.node.program.pid]

    def stop(self):
        self.node.stop()


ALL = {peer.name: peer for peer in (Nginx, Varnish, TrafficServer, H2o)}
