"""apt-get with the node as its proxy, over HTTP and over HTTPS, from a real repository."""

import gzip
import hashlib
import os
import pathlib
import pwd

import pytest

from support.program import run

PACKAGE = "larder-test-package"


@pytest.fixture(scope="module")
def repository(folder, origin):
    """A repository of one package, as nginx serves it; apt is told to trust it."""
    root = folder / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/share/larder-test").mkdir(parents=True)
    (root / "usr/share/larder-test/data").write_bytes(os.urandom(3_000_000))
    (root / "DEBIAN/control").write_text(
        f"Package: {PACKAGE}\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@packages.test>\n"
        "Description: A package for a test\n")
    os.chmod(root / "DEBIAN", 0o755)
    name = f"pool/{PACKAGE}_1.0_all.deb"
    (origin.files / "debian/pool").mkdir(parents=True)
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, origin.files / "debian" / name)
    data = (origin.files / "debian" / name).read_bytes()
    packages = ((root / "DEBIAN/control").read_text()
                + f"Filename: {name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n").encode()
    binary = "dists/stable/main/binary-amd64"
    files = {f"{binary}/Packages": packages, f"{binary}/Packages.gz": gzip.compress(packages, mtime=0)}
    sums = "".join(f" {hashlib.sha256(text).hexdigest()} {len(text)} {file.removeprefix('dists/stable/')}\n"
                   for file, text in files.items())
    files["dists/stable/Release"] = (
        "Origin: Test\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
        f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n{sums}").encode()
    for file, text in files.items():
        origin.write(f"debian/{file}", text)
    return data


def apt_root(folder, proxy, trust=None):
    """A private apt: its own sources, lists, caches and configuration."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/apt.conf.d",
                 "etc/preferences.d", "log", "download"):
        (folder / name).mkdir(parents=True)
    (folder / "status").write_text("")
    (folder / "etc/sources.list").write_text("deb [trusted=yes arch=amd64] http://packages.test/debian stable main\n")
    user = pwd.getpwuid(os.getuid()).pw_name
    conf = folder / "apt.conf"
    conf.write_text(
        f'Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";\n'
        f'Dir::Etc "{folder}/etc"; Dir::Log "{folder}/log"; APT::Architecture "amd64"; APT::Architectures "amd64";\n'
        f'APT::Sandbox::User "{user}"; Acquire::Languages "none"; Acquire::Retries "0";\n'
        f'Acquire::http::Proxy "{proxy}"; Acquire::http::Timeout "20";\n'
        # The proxy's certificate is checked against the customer's root.
        + (f'Acquire::https::CAInfo "{trust}"; Acquire::https::Verify-Peer "true";\n' if trust else ""))
    return conf


def apt_get(conf, *arguments):
    return run("apt-get", *arguments, environment={"APT_CONFIG": str(conf), "http_proxy": "", "https_proxy": ""},
               timeout=120)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_package_comes_through_the_node(tls_node, origin, repository, authority, folder, scheme):
    port = tls_node.http_port if scheme == "http" else tls_node.https_port
    conf = apt_root(folder / f"apt-{scheme}", f"{scheme}://127.0.0.1:{port}", authority.root)
    os.chmod(authority.folder, 0o755)
    apt_get(conf, "update")
    before = tls_node.metric("larder_requests_total")
    target = folder / f"apt-{scheme}" / "download"
    run("bash", "-c", f"cd {target} && APT_CONFIG={conf} apt-get download {PACKAGE}", timeout=120)
    found = pathlib.Path(target, f"{PACKAGE}_1.0_all.deb")
    assert found.read_bytes() == repository
    assert len(origin.requests(f"/debian/pool/{PACKAGE}_1.0_all.deb")) <= 4
    if before is not None:
        assert tls_node.metric("larder_requests_total") > before
