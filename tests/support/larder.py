"""Larder's own programs as a test starts them: a node, a site, the command line."""

import ipaddress
import json
import os
import pathlib
import re

from support import secrets_used
from support.curl import curl
from support.ports import free_port
from support.program import ROOT, Program, run
from support.wait import wait_until

PROGRAM = pathlib.Path(os.environ.get("LARDER", ROOT / "build/release/larder"))


def larder(*arguments, check=True, input=None, namespace=None, environment=None, timeout=120):
    """`larder ARGUMENTS` to its end."""
    return run(PROGRAM, *arguments, check=check, input=input, namespace=namespace, environment=environment,
               timeout=timeout)


def _toml(value):
    """A TOML value: strings, whole numbers, booleans and lists are written as JSON writes them."""
    return json.dumps(value)


def _table(name, values, array=False):
    lines = [f"[[{name}]]" if array else f"[{name}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def origin_table(origin, name="packages", hosts=("packages.test",), tls=False, **settings):
    """An [[origin]] that fetches from a test's nginx, which lives on this machine."""
    values = {"name": name, "hosts": list(hosts), "url": origin.tls_url if tls else origin.url,
              "allow_addresses": [f"{origin.address}/{128 if ':' in origin.address else 32}"]}
    if not tls:
        values["scheme"] = "http"
    values.update(settings)
    return values


class Node:
    """A cache node with its configuration, its folder and its listeners on free ports."""

    def __init__(self, folder, name="node1", origins=(), names=("node1.larder.test",), address="127.0.0.1",
                 namespace=None, prefix=(), drive_size="4GB", drive_path=None, drives=None, http_port=None,
                 signers=(), environment=None, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.names, self.address, self.namespace = name, list(names), address, namespace
        self.http_port = http_port or free_port()
        self.https_port, self.content_port, self.admin_port = (free_port() for _ in range(3))
        self.state = self.folder / "state"
        self.config = self.folder / "larder.toml"
        values = {"name": name, "state_dir": str(self.state),
                  "http_listen": [f"{address}:{self.http_port}"],
                  "https_listen": [f"{address}:{self.https_port}"],
                  "content_listen": [f"{address}:{self.content_port}"],
                  "admin_listen": f"127.0.0.1:{self.admin_port}",
                  "connection_names": self.names, "profiles": []}
        values.update(settings)
        self.config.write_text(
            _table("node", values)
            + "".join(_table("node.drive", {"path": str(path), "size": size}, array=True) for path, size in (
                drives or [(drive_path or self.folder / "cache", drive_size)]))
            + "".join(_table("node.signer", signer, array=True) for signer in signers)
            + "".join(_table("origin", origin, array=True) for origin in origins))
        self.program = Program([*prefix, PROGRAM, "node", "run", "--config", self.config],
                               self.folder / "node.log", namespace, environment)
        secrets_used.register_log(self.state / "log")

    def start(self):
        self.program.start()
        self.program.wait_for(self.is_ready, what=f"{self.name} ready")
        secrets_used.register_keys_under(self.state)
        return self

    def stop(self):
        return self.program.stop()

    def kill(self):
        self.program.kill()

    def is_ready(self):
        return self.admin("/readyz").status == 200

    def admin(self, path, *options):
        return curl(f"http://127.0.0.1:{self.admin_port}{path}", *options, namespace=self.namespace)

    def metric(self, name):
        """The sum of a metric's samples."""
        found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+]+)$",
                           self.admin("/metrics").body.decode(), re.M)
        return sum(map(float, found)) if found else None

    def stored_of(self, path, host="packages.test"):
        """How many objects are stored of that URL: one for each variant."""
        listed = json.loads(self.cli("cache", "list", "--json").stdout)["objects"]
        return len([item for item in listed if item["url"] == f"http://{host}{path}"])

    def wait_until_stored(self):
        """Until all that has come is on the drives: hits before that may come from memory."""
        wait_until(lambda: self.metric("larder_fills_running") == 0, what="all that came is stored")

    @property
    def http(self):
        return f"http://{self.address}:{self.http_port}"

    def get(self, path, *options, host="packages.test", **more):
        """GET over HTTP in the Host form."""
        return curl(self.http + path, "-H", f"Host: {host}", *options, **more)

    def get_tls(self, path, trust, *options, host="packages.test", name=None, **more):
        """GET over HTTPS, verified for the node's name by the root in `trust`."""
        name = name or self.names[0]
        return curl(f"https://{name}:{self.https_port}{path}", "--cacert", trust,
                    "--resolve", f"{name}:{self.https_port}:{self.address}", "-H", f"Host: {host}", *options, **more)

    def cli(self, *arguments, **options):
        """`larder GROUP VERB --config <this node's file> ...`"""
        return larder(*arguments, "--config", self.config, namespace=self.namespace, **options)

    def request_certificate(self, name="delivery", algorithm="ec", size="P-256", common_name=None, dns=None,
                            addresses=()):
        """Returns the path of the CSR."""
        options = ["--name", name, "--algorithm", algorithm, "--common-name", common_name or self.names[0]]
        if dns := dns or [each for each in self.names if not is_address(each)]:
            options += ["--san-dns", ",".join(dns)]
        if size:
            options += ["--size-or-curve", str(size)]
        if addresses:
            options += ["--san-ip", ",".join(addresses)]
        printed = self.cli("cert", "request", *options).stdout
        request = pathlib.Path(printed.strip().splitlines()[-1].split()[-1])
        secrets_used.register_keys_under(request.parent)
        return request

    def import_certificate(self, chain, *options, **more):
        return self.cli("cert", "import", chain, *options, **more)

    def serve_https(self, authority, **request):
        """Asks for a certificate, has it signed, imports it; returns the chain's path."""
        chain = authority.sign(self.request_certificate(**request))
        self.import_certificate(chain)
        return chain


class Site:
    """A site with its control socket, its listeners on free ports and its own issuing root."""

    def __init__(self, folder, address="127.0.0.1", host=None, namespace=None, suffixes=("larder.test",),
                 ranges=("127.0.0.0/8",), mode=None, environment=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address, self.namespace = address, namespace
        self.port, self.admin_port, self.pki_port = (free_port() for _ in range(3))
        self.state, self.config = self.folder / "state", self.folder / "larder.toml"
        self.url = f"https://{host or address}:{self.port}"
        values = {"name": "Test", "state_dir": str(self.state), "public_url": self.url,
                  "listen": [f"{address}:{self.port}"], "admin_listen": [f"127.0.0.1:{self.admin_port}"],
                  "pki_listen": [f"{address}:{self.pki_port}"], "dns_suffixes": list(suffixes),
                  "address_ranges": list(ranges), "mode": mode}
        self.config.write_text(_table("site", values))
        self.program = Program([PROGRAM, "site", "run", "--config", self.config], self.folder / "site.log", namespace,
                               environment)
        secrets_used.register_log(self.state / "log")

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: self.page("/api/v1/status").status == 200, what="site ready")
        secrets_used.register_keys_under(self.state)
        return self

    def stop(self):
        return self.program.stop()

    def kill(self):
        self.program.kill()

    def page(self, path, *options):
        return curl(f"http://127.0.0.1:{self.admin_port}{path}", *options, namespace=self.namespace)

    def status(self):
        return json.loads(self.page("/api/v1/status").body)

    @property
    def root(self):
        """The issuing root, as a file for a client's trust."""
        path = self.folder / "root.crt"
        if not path.exists():
            answer = curl(f"https://{self.address}:{self.port}/.larder/pki/root.crt", "--insecure",
                          namespace=self.namespace)
            assert answer.status == 200, answer
            path.write_bytes(answer.body)
        return path

    def cli(self, *arguments, **options):
        return larder(*arguments, "--config", self.config, namespace=self.namespace, **options)


    def join_token(self, node, names):
        """The text of a token by which the node of that name may join, with these names and addresses."""
        options = ["--node", node]
        for name in names:
            options += ["--address" if is_address(name) else "--name", name]
        token = json.loads(self.cli("token", "create-join", *options, "--json").stdout)["token"]
        secrets_used.register_token(token, f"join token of {node}")
        return token

    def registration_token(self, uses=10):
        made = self.cli("token", "create-registration", "--uses", uses, "--lifetime-hours", 1, "--json").stdout
        token = json.loads(made)["token"]
        secrets_used.register_token(token, "registration token")
        return token

    def add_content(self, package, version, *files):
        self.cli("content", "add", package, version, *files)

    def join(self, node):
        node.cli("node", "join", "--token-file", "-", input=self.join_token(node.name, node.names))

    def nodes(self):
        return {node["name"]: node for node in self.status()["nodes"]}

    def wait_for_node(self, name):
        return self.program.wait_for(lambda: self.nodes().get(name), what=f"{name} in the site's list")

    def block(self, client_id):
        self.cli("client", "block", client_id)


class Device:
    """A device's side: a folder with its key, registration and downloads."""

    def __init__(self, folder, name, namespace=None):
        self.folder, self.name, self.namespace = pathlib.Path(folder), name, namespace
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"

    def register(self, token, check=True):
        done = larder("client", "register", "--dir", self.state, "--name", self.name, "--token-file", "-",
                      input=token, check=check, namespace=self.namespace)
        secrets_used.register_keys_under(self.state)
        for token_file in self.state.glob("*.token"):
            secrets_used.register_token(token_file.read_text(), f"client token of {self.name}")
        return done

    @property
    def client_id(self):
        return json.loads((self.state / "registration.json").read_text())["client_id"]

    def get(self, what, *options, check=True, timeout=120):
        """`larder get`; what was downloaded is in self.folder."""
        return larder("get", what, "--dir", self.state, "--output", self.folder, "--json", *options, check=check,
                      namespace=self.namespace, timeout=timeout)


def is_address(name):
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return False
