"""A real DNS server for programs of a test: dnsmasq with the names that the test sets."""

import pathlib
import shutil
import signal

import pytest

from support.program import Program


class Dns:
    def __init__(self, folder, address, namespace, hosts=()):
        """`hosts` are (address, name) pairs; a name may have several addresses. Nothing else is known."""
        if not shutil.which("dnsmasq"):
            pytest.skip("dnsmasq is not installed: packaging/install_missing test")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self._hosts = self.folder / "hosts"
        self._queries = self.folder / "dnsmasq.log"
        self._write(hosts)
        self.program = Program(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--conf-file=/dev/null",
             f"--listen-address={address}", "--bind-interfaces", f"--addn-hosts={self._hosts}", "--log-queries",
             "--log-facility=-", "--pid-file", "--local=/test/", "--local-ttl=0", "--filterwin2k"],
            self._queries, namespace)

    def _write(self, hosts):
        self._hosts.write_text("".join(f"{address} {name}\n" for address, name in hosts))

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: "started" in self.log())
        return self

    def stop(self):
        self.program.stop()

    def log(self):
        return self._queries.read_text() if self._queries.exists() else ""

    def set(self, hosts):
        """From now on these are the names."""
        before = self.log().count("read ")
        self._write(hosts)
        self.program.process.send_signal(signal.SIGHUP)
        self.program.wait_for(lambda: self.log().count("read ") > before)
