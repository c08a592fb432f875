"""Real HTTP proxies between a node and its origins: tinyproxy, and squid as one that inspects TLS."""

import pathlib
import pwd
import os
import shutil
import tempfile

import pytest

from support.program import Program, accepts, run


class Tinyproxy:
    """With `credentials` as "user:password" it answers 407 to whoever has none."""

    def __init__(self, folder, address, port, namespace, credentials=None):
        if not shutil.which("tinyproxy"):
            pytest.skip("tinyproxy is not installed: packaging/install_missing test")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.address, self.port, self.namespace = address, port, namespace
        lines = [f"Port {port}", f"Listen {address}", "Timeout 60", "MaxClients 100", "LogLevel Connect",
                 f'LogFile "{self.folder}/tinyproxy.log"', "DisableViaHeader No"]
        if credentials:
            lines.append("BasicAuth " + credentials.replace(":", " ", 1))
        conf = self.folder / "tinyproxy.conf"
        conf.write_text("\n".join(lines) + "\n")
        self.program = Program(["tinyproxy", "-d", "-c", conf], self.folder / "output.log", namespace)

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: self.namespace.accepts(self.address, self.port) if self.namespace
                              else accepts(self.port, self.address))
        return self

    def stop(self):
        self.program.stop()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def requests(self):
        """The request lines that it was sent."""
        log = self.folder / "tinyproxy.log"
        return [line.split("): ", 1)[1] for line in log.read_text().splitlines() if "Request (" in line]


class InspectingSquid:
    """squid that opens every CONNECT and makes certificates of its own; `root` is what clients must trust."""

    def __init__(self, folder, address, port, namespace, origin_root, secure_port=None, identity=None):
        """With `secure_port` it can also be asked over TLS, under `identity`, and opens nothing there."""
        helper = "/usr/lib/squid/security_file_certgen"
        if not shutil.which("squid") or not os.path.exists(helper):
            pytest.skip("squid-openssl is not installed: packaging/install_missing test")
        # squid drops to its own user, who may not look into pytest's folders.
        self._place = pathlib.Path(tempfile.mkdtemp(prefix="larder-squid-"))
        user = pwd.getpwnam("proxy")
        self.address, self.port, self.namespace = address, port, namespace
        key, certificate, trust = (self._place / name for name in ("ca.key", "ca.pem", "trust.pem"))
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", certificate, "-days",
            "30", "-subj", "/CN=Inspection", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")
        shutil.copy(origin_root, trust)
        conf = self._place / "squid.conf"
        conf.write_text(f"""
http_port {address}:{port} ssl-bump tls-cert={certificate} tls-key={key} generate-host-certificates=on
sslcrtd_program {helper} -s {self._place}/certificates -M 4MB
sslcrtd_children 1
tls_outgoing_options cafile={trust}
ssl_bump bump all
http_access allow all
cache deny all
cache_log {self._place}/cache.log
access_log stdio:{self._place}/access.log
pid_filename {self._place}/squid.pid
coredump_dir {self._place}
hosts_file /etc/hosts
dns_nameservers {address}
shutdown_lifetime 1 seconds
""" + (f"https_port {address}:{secure_port} tls-cert={self._place}/proxy.pem\n" if secure_port else ""))
        if secure_port:
            (self._place / "proxy.pem").write_text(identity.key.read_text() + identity.chain.read_text())
        for path in (self._place, *self._place.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
        run("runuser", "-u", "proxy", "--", helper, "-c", "-s", self._place / "certificates", "-M", "4MB")
        self.root = pathlib.Path(folder) / "inspection.pem"
        self.root.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, self.root)
        self.program = Program(["squid", "-N", "-f", conf], pathlib.Path(folder) / "squid.log", namespace)

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: self.namespace.accepts(self.address, self.port))
        return self

    def stop(self):
        self.program.kill()  # its own shutdown waits for idle connections
        shutil.rmtree(self._place, ignore_errors=True)

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def requests(self):
        log = self._place / "access.log"
        return log.read_text().splitlines() if log.exists() else []
