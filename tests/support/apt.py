"""A small Debian repository in an origin's folder, and a private apt that uses it."""

import gzip
import hashlib
import os
import pathlib
import pwd

from support.program import run

PACKAGE = "larder-test-package"
FILE = f"{PACKAGE}_1.0_all.deb"
PATH = f"/debian/pool/{FILE}"


def make_package(folder, size):
    """A real .deb with `size` random bytes in it; returns its path."""
    root = folder / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/share/larder-test").mkdir(parents=True)
    (root / "usr/share/larder-test/data").write_bytes(os.urandom(size))
    (root / "DEBIAN/control").write_text(
        f"Package: {PACKAGE}\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@packages.test>\n"
        "Description: A package for a test\n")
    os.chmod(root / "DEBIAN", 0o755)
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, folder / FILE)
    return folder / FILE


def publish(origin, folder, size=3_000_000):
    """Makes the repository in the origin's files; returns the package's bytes."""
    file = make_package(folder, size)
    data = file.read_bytes()
    origin.write(PATH[1:], data)
    name = PATH.removeprefix("/debian/")
    packages = (run("dpkg-deb", "--field", file).stdout
                + f"Filename: {name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n").encode()
    binary = "dists/stable/main/binary-amd64"
    files = {f"{binary}/Packages": packages, f"{binary}/Packages.gz": gzip.compress(packages, mtime=0)}
    sums = "".join(f" {hashlib.sha256(text).hexdigest()} {len(text)} {path.removeprefix('dists/stable/')}\n"
                   for path, text in files.items())
    files["dists/stable/Release"] = (
        "Origin: Test\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
        f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n{sums}").encode()
    for path, text in files.items():
        origin.write(f"debian/{path}", text)
    return data


class Apt:
    """An apt of its own: sources, lists, caches and configuration in one folder."""

    def __init__(self, folder, proxy, trust=None, namespace=None):
        self.folder, self.namespace = pathlib.Path(folder), namespace
        for name in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/apt.conf.d",
                     "etc/preferences.d", "log", "download"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "status").write_text("")
        (self.folder / "etc/sources.list").write_text(
            "deb [trusted=yes arch=amd64] http://packages.test/debian stable main\n")
        user = pwd.getpwuid(os.getuid()).pw_name
        self._conf = self.folder / "apt.conf"
        self._conf.write_text(
            f'Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";\n'
            f'Dir::Etc "{folder}/etc"; Dir::Log "{folder}/log"; APT::Architecture "amd64"; APT::Architectures "amd64";\n'
            f'APT::Sandbox::User "{user}"; Acquire::Languages "none"; Acquire::Retries "0";\n'
            f'Acquire::http::Proxy "{proxy}"; Acquire::http::Timeout "20";\n'
            # Of a proxy reached over HTTPS the certificate is checked against this root.
            + (f'Acquire::https::CAInfo "{trust}"; Acquire::https::Verify-Peer "true";\n' if trust else ""))

    def get(self, *arguments):
        """`apt-get ARGUMENTS` in the folder download/."""
        return run("env", "-C", self.folder / "download", "apt-get", *arguments, namespace=self.namespace,
                   environment={"APT_CONFIG": str(self._conf), "http_proxy": "", "https_proxy": ""}, timeout=120)

    def download(self):
        """Updates, then downloads the package; returns its bytes."""
        self.get("update")
        self.get("download", PACKAGE)
        return (self.folder / "download" / FILE).read_bytes()
