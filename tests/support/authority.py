"""A customer's certificate authority, run by openssl: a root, an intermediate, signed requests."""

import dataclasses
import pathlib

from support.program import run


@dataclasses.dataclass
class Issued:
    key: pathlib.Path
    certificate: pathlib.Path
    chain: pathlib.Path  # leaf and intermediate


class Authority:
    def __init__(self, folder, name="Test", intermediate_days=1825):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root, self.intermediate = self.folder / "root.pem", self.folder / "intermediate.pem"
        self._intermediate_key = self.folder / "intermediate.key"
        self._root_key, self._intermediate_request = self.folder / "root.key", self.folder / "intermediate.csr"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        run("openssl", "req", "-x509", *new_key, "-keyout", self._root_key, "-out", self.root, "-days", "3650",
            "-subj", f"/CN={name} Root", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run("openssl", "req", *new_key, "-keyout", self._intermediate_key, "-out", self._intermediate_request,
            "-subj", f"/CN={name} Issuing")
        self.renew_intermediate(intermediate_days)
        self._count = 0

    def renew_intermediate(self, days=1825, constraints="CA:TRUE,pathlen:0", usage="keyCertSign,cRLSign"):
        """Another certificate for the same name and key, in place of the one before."""
        self._sign(self._intermediate_request, self.root, self._root_key, self.intermediate, days,
                   f"basicConstraints=critical,{constraints}\nkeyUsage=critical,{usage}\n"
                   "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")

    def _sign(self, request, issuer, issuer_key, out, days, extensions, copy=False):
        file = pathlib.Path(f"{out}.ext")
        file.write_text(extensions)
        run("openssl", "x509", "-req", "-in", request, "-CA", issuer, "-CAkey", issuer_key, "-out", out,
            "-days", days, "-extfile", file, *(["-copy_extensions", "copy"] if copy else []))

    def sign(self, request, days=90, usage="serverAuth", names=None, extensions=""):
        """Signs a request with the names it asks for (or with `names`, as 'DNS:a,IP:b') and with further
        lines of openssl's configuration; returns the path of leaf and intermediate in one PEM file."""
        self._count += 1
        leaf = self.folder / f"leaf-{self._count}.pem"
        extensions += ("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
                      f"extendedKeyUsage={usage}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        if names:
            extensions += f"subjectAltName={names}\n"
        self._sign(request, self.intermediate, self._intermediate_key, leaf, days, extensions, copy=not names)
        chain = self.folder / f"chain-{self._count}.pem"
        chain.write_text(leaf.read_text() + self.intermediate.read_text())
        return chain

    def issue(self, common_name, names, days=90):
        """A key and certificate made here, for a peer that is not Larder."""
        key, request = self.folder / f"{common_name}.key", self.folder / f"{common_name}.csr"
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
            "-keyout", key, "-out", request, "-subj", f"/CN={common_name}")
        chain = self.sign(request, days=days, names=names)
        return Issued(key, chain, chain)
