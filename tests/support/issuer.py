"""The test's authority as one that says which of its certificates are revoked."""

import re

from support.origin import Origin
from support.ports import free_port
from support.program import Program, run


class Issuer:
    """The test's authority as one that can be asked: an OCSP responder of openssl, a revocation list on nginx."""

    def __init__(self, folder, authority, **web):
        """`web`: where the list is published, as for Origin."""
        self.folder, self.authority = folder, authority
        folder.mkdir()
        self.key = authority.folder / "intermediate.key"
        self.index = folder / "index.txt"
        self.index.write_text("")
        (folder / "crlnumber").write_text("01\n")
        self.web = Origin(folder / "web", **web).start()
        self.port = free_port()
        self.responder, self.logs = None, []
        self.config = folder / "ca.conf"
        self.config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.index}\ncrlnumber={folder}/crlnumber\n"
                               "default_md=sha256\ndefault_crl_days=7\n")
        self.publish()

    def extensions(self, ocsp=True, crl=True):
        lines = [f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{self.port}/"] if ocsp else []
        lines += [f"crlDistributionPoints=URI:{self.web.url}/issuing.crl"] if crl else []
        return "\n".join(lines) + "\n"

    def record(self, chain, revoked=None):
        """A line of openssl's data base."""
        printed = run("openssl", "x509", "-in", chain, "-noout", "-serial", "-enddate", "-dateopt", "iso_8601").stdout
        serial = re.search(r"serial=(\w+)", printed)[1]
        end = re.sub(r"\D", "", re.search(r"notAfter=(.*)", printed)[1])[2:] + "Z"
        lines = [line for line in self.index.read_text().splitlines() if f"\t{serial}\t" not in line]
        lines.append("\t".join(["R" if revoked else "V", end, revoked or "", serial, "unknown", f"/CN={serial}"]))
        self.index.write_text("\n".join(lines) + "\n")
        self.publish()
        if self.responder:
            self.answer()

    def publish(self):
        pem = self.folder / "crl.pem"
        run("openssl", "ca", "-config", self.config, "-gencrl", "-keyfile", self.key,
            "-cert", self.authority.intermediate, "-out", pem)
        run("openssl", "crl", "-in", pem, "-outform", "DER", "-out", self.web.files / "issuing.crl")

    def answer(self):
        """(Re)starts the responder, which reads its data base at its start."""
        if self.responder:
            self.responder.kill()
        self.responder = Program(["openssl", "ocsp", "-index", self.index, "-port", self.port, "-rsigner",
                                  self.authority.intermediate, "-rkey", self.key, "-CA", self.authority.intermediate,
                                  "-nmin", "90", "-ignore_err"], self.folder / f"ocsp-{len(self.logs)}.log")
        self.logs.append(self.responder.log)
        self.responder.start()
        # Not by a connection: it waits for ever for the request of one that sends none.
        self.responder.wait_for(lambda: "waiting for" in self.logs[-1].read_text())

    def stop(self):
        if self.responder:
            self.responder.kill()
        self.web.stop()
