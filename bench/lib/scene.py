"""What most works need: a namespace, an authority, an origin with its files, a node and its peers."""

import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

from lib import peers
from support.authority import Authority
from support.larder import PROGRAM, Node, origin_table
from support.network import Link, Namespace
from support.origin import Origin
from support.program import run

HOST = "bench.test"
SMALL, BIG = "/small.bin", "/big.bin"
SMALL_SIZE = 4096


class Scene:
    """A context manager: `with Scene(big_mib=256) as scene`. Everything runs in a network namespace of its own
    (as root), servers on core 0; `add_node` and `add_peer` may be called as often as a work wants.

    `hosts`: clients have a namespace of their own, behind a virtual cable of MTU 1500, and what arrives at a side is
    handled on that side's core, as if they were two machines. Over loopback much of what a server's machine does with
    acknowledgements, and all that a client's does with what arrives, is done on the other's core."""

    def __init__(self, big_mib=0, folder=None, hosts=False):
        self.big_mib, self.big_size, self._folder, self._hosts = big_mib, big_mib << 20, folder, hosts
        self._cleanup, self._count = contextlib.ExitStack(), 0

    def __enter__(self):
        if os.cpu_count() < 2:
            sys.exit("needs two cores: one for the server, one for the client")
        if not PROGRAM.exists():
            sys.exit(f"{PROGRAM} is missing: ./run --build-only")
        with contextlib.ExitStack() as cleanup:
            self._cleanup = cleanup
            self._set_up()
            self._cleanup = cleanup.pop_all()
        return self

    def _set_up(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="larder-bench-", dir=self._folder))
        self.folder.chmod(0o755)
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.namespace = self.client_namespace = None
        self.address = "127.0.0.1"
        if self._hosts:
            self._lay_cable()
        elif os.getuid() == 0:
            self.namespace = self.client_namespace = Namespace(f"larder-bench-{os.getpid()}")
            self._cleanup.callback(self.namespace.remove)
        else:
            print("not root: measured on the machine's own loopback, not in a namespace", file=sys.stderr)
        self.authority = Authority(self.folder / "ca")
        self.certificate = self.authority.issue(HOST, f"DNS:{HOST}")
        self.origin = Origin(self.folder / "origin", namespace=self.namespace)
        self._cleanup.callback(self.origin.stop)
        self.origin.write(SMALL[1:], SMALL_SIZE)
        if self.big_mib:
            with open(self.origin.files / BIG[1:], "wb") as big:
                for _ in range(self.big_mib):
                    big.write(os.urandom(1 << 20))
            # Old enough that no server asks again while it is measured.
            os.utime(self.origin.files / BIG[1:], (0, 1_600_000_000))
        self.origin.start()

    def _lay_cable(self):
        if os.getuid() != 0:
            sys.exit("a client host of its own needs root")
        link = Link("larder-bench", "larder-bench-client")
        self._cleanup.callback(link.remove)
        self.namespace, self.client_namespace, self.address = link.left, link.right, link.left_address
        for space, device, core in ((link.left, link.left_device, 0), (link.right, link.right_device, 1)):
            run("sh", "-c", f"echo {1 << core} >/sys/class/net/{device}/queues/rx-0/rps_cpus", namespace=space)

    def __exit__(self, *_):
        self._cleanup.close()

    def add_node(self, name="larder", cores="0", threads=1, tls=True, **settings):
        self._count += 1
        settings.setdefault("drive_size", f"{self.big_mib * 2 + 1024}MB")
        node = Node(self.folder / f"{name}-{self._count}", origins=[origin_table(self.origin, "bench", [HOST])],
                    names=[HOST], address=self.address, namespace=self.namespace, prefix=["taskset", "-c", cores] if cores else [],
                    threads=threads, **settings)
        self._cleanup.callback(node.stop)
        node.start()
        if tls:
            node.serve_https(self.authority)
        return peers.Larder(node, name)

    def add_peer(self, name, **options):
        self._count += 1
        options.setdefault("store_mib", self.big_mib * 2 + 512)
        options.setdefault("ram_mib", self.big_mib + 512)
        peer = peers.ALL[name](self.folder / f"{name}-{self._count}", (self.origin.address, self.origin.port),
                               self.certificate, address=self.address, namespace=self.namespace, files=self.origin.files, **options)
        self._cleanup.callback(peer.stop)
        return peer.start()

    def warm(self, server, path=SMALL):
        """Twice, over HTTP: afterwards it is a hit."""
        size = SMALL_SIZE if path == SMALL else self.big_size
        for _ in range(2):
            done = run("curl", "-sS", "--noproxy", "", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H",
                       f"Host: {HOST}", f"http://{server.address}:{server.http_port}{path}", namespace=self.client_namespace,
                       timeout=600).stdout
            if done != f"200 {size}":
                sys.exit(f"{server.name}, warming {path}: got {done}, expected 200 {size}")

    def suite(self, server):
        """The cipher suite that it agrees on with openssl."""
        printed = run("openssl", "s_client", "-connect", f"{server.address}:{server.https_port}", "-servername", HOST,
                      namespace=self.client_namespace, check=False).stdout
        found = re.search(r"Cipher is (\S+)", printed)
        if not found or found[1] == "(NONE)":
            sys.exit(f"{server.name}: no TLS on port {server.https_port}:\n{printed[-2000:]}")
        return found[1]

    def require_equal(self, servers):
        """The same cipher suite and the same congestion control everywhere; returns both as facts."""
        suites = {server.name: self.suite(server) for server in servers if server.https_port}
        controls = {server.name: self._congestion_control(server) for server in servers}
        for what, found in (("cipher suites", suites), ("congestion controls", controls)):
            if len(set(found.values())) > 1:
                sys.exit(f"unequal {what}: {found}")
        return {"cipher_suite": next(iter(suites.values()), None),
                "congestion_control": next(iter(controls.values()), None)}

    def _congestion_control(self, server):
        """Of a connection that the server has just accepted."""
        script = (f"exec 3<>/dev/tcp/{server.address}/{server.http_port}; "
                  f"printf 'GET {SMALL} HTTP/1.1\\r\\nHost: {HOST}\\r\\n\\r\\n' >&3; read -r <&3; "
                  f"ss -tinH state established sport = :{server.http_port}")
        printed = run("bash", "-c", script, namespace=self.namespace).stdout
        found = re.search(r"\b(bbr|cubic|reno|dctcp|vegas|westwood|htcp)\b", printed)
        return found[1] if found else "unknown"


