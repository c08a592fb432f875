"""Network namespaces: a device that reaches the servers over a link of its own. Root only."""

import ipaddress
import os
import pathlib
import shutil

import pytest

from support.program import run

# Addresses that are public by their look, for origins inside of namespaces; nothing of them is sent anywhere else.
PUBLIC, PUBLIC2, PUBLIC6 = "93.184.216.34", "93.184.216.35", "2606:4700::1111"


def require_root():
    if os.getuid() != 0:
        pytest.skip("network namespaces need root: run the tests as root to include this one")
    for tool in ("ip", "nft"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed: packaging/install_missing test")


class Namespace:
    """One host of a test."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        self._etc = pathlib.Path("/etc/netns") / name

    def set_hosts(self, hosts):
        """Maps names to an address, or to several. `ip netns exec` lays these files over /etc for what it starts."""
        self._etc.mkdir(parents=True, exist_ok=True)
        lines = ["127.0.0.1 localhost"] + [
            f"{address} {name}" for name, several in hosts.items()
            for address in ([several] if isinstance(several, str) else several)]
        (self._etc / "hosts").write_text("\n".join(lines) + "\n")
        (self._etc / "resolv.conf").write_text("")

    def set_resolver(self, address):
        """Names of programs started in it are asked for there."""
        (self._etc / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")

    def add_address(self, address, device="lo"):
        run("ip", "-n", self.name, "address", "add", address, "dev", device,
            *(["nodad"] if ":" in address else []))

    def add_route(self, network, gateway):
        run("ip", "-n", self.name, *(["-6"] if ":" in network else []), "route", "add", network, "via", gateway)

    def set_trust(self, *roots):
        """The system's trust store of programs started in it, instead of the machine's."""
        folder = self._etc / "ssl/certs"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca-certificates.crt").write_text("".join(pathlib.Path(root).read_text() for root in roots))

    def accepts(self, address, port):
        return run("bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}", namespace=self, check=False).returncode == 0

    def drop_tcp(self, port):
        """Packets to this port vanish from now on; returns a function that ends it."""
        table = f"drop_{port}"
        chains = "".join(f"chain {hook} {{\ntype filter hook {hook} priority 0;\ntcp dport {port} drop;\n}}\n"
                         for hook in ("input", "output"))
        rules = f"table inet {table} {{\n{chains}}}\n"
        run("nft", "-f", "-", namespace=self, input=rules)
        return lambda: run("nft", "delete", "table", "inet", table, namespace=self)

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self._etc, ignore_errors=True)


class Link:
    """Two namespaces joined by a cable: `left` is .1, `right` is .2 of a /24."""

    _count = 0

    def __init__(self, left_name, right_name):
        Link._count += 1
        tag = f"{os.getpid() % 100000}-{Link._count}"
        network = ipaddress.ip_network(f"10.213.{Link._count % 250}.0/24")
        self.left, self.right = Namespace(f"{left_name}-{tag}"), Namespace(f"{right_name}-{tag}")
        self.left_address, self.right_address = str(network[1]), str(network[2])
        ends = (f"lv{tag}l"[:15], f"lv{tag}r"[:15])
        self.left_device, self.right_device = ends
        run("ip", "link", "add", ends[0], "netns", self.left.name, "type", "veth",
            "peer", "name", ends[1], "netns", self.right.name)
        for space, end, address in ((self.left, ends[0], self.left_address),
                                    (self.right, ends[1], self.right_address)):
            run("ip", "-n", space.name, "address", "add", f"{address}/24", "dev", end)
            run("ip", "-n", space.name, "link", "set", end, "up")

    def remove(self):
        self.left.remove()
        self.right.remove()
