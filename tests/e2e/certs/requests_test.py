"""Certificate requests: every algorithm, every kind of name, as openssl reads them."""

import pytest

from support.larder import Node
from support.program import run

NAME = "node1.larder.test"


@pytest.fixture(scope="module")
def host(folder):
    return Node(folder / "requests", names=[NAME])


def text_of(printed):
    return run("openssl", "req", "-in", printed.strip().splitlines()[-1], "-noout", "-text", "-verify", "-nameopt",
               "RFC2253,utf8,-esc_msb").stdout


@pytest.mark.parametrize("algorithm, size, shown", [
    ("rsa", "2048", "Public-Key: (2048 bit)"), ("rsa", "3072", "Public-Key: (3072 bit)"),
    ("rsa", "4096", "Public-Key: (4096 bit)"), ("ec", "P-256", "NIST CURVE: P-256"),
    ("EC", "prime256v1", "NIST CURVE: P-256"), ("ec", "secp384r1", "NIST CURVE: P-384"),
    ("ED25519", "", "ED25519 Public-Key"), ("ed448", "", "ED448 Public-Key")])
def test_every_algorithm(host, algorithm, size, shown):
    size = ("--size-or-curve", size) if size else ()
    name = "-".join(["k", algorithm.lower(), *(value.lower() for value in size[1:])])
    printed = host.cli("cert", "request", "--name", name, "--algorithm", algorithm, *size).stdout
    text = text_of(printed)
    assert shown in text and f"DNS:{NAME}" in text
    assert ("Windows" in printed) == algorithm.lower().startswith("ed")


def test_subject_and_every_kind_of_name(host):
    text = text_of(host.cli(
        "cert", "request", "--name", "all", "--common-name", NAME, "--country", "DE", "--state", "Th\u00fcringen",
        "--organization", "M\u00fcller, GmbH", "--san-dns", f"{NAME}, *.cache.larder.test", "--san-ip", "10.0.0.5 , fd00::5",
        "--san-uri", "https://node1.larder.test/x", "--san-email", "admin@larder.test", "--san-rid", "1.2.3.4",
        "--san-dir-name", "CN=node1,O=A\\, B", "--san-other-name", "1.3.6.1.4.1.311.20.2.3;node1@larder.test").stdout)
    for part in ("C=DE", "ST=Th\u00fcringen", "O=M\u00fcller\\, GmbH", f"CN={NAME}", f"DNS:{NAME}", "DNS:*.cache.larder.test",
                 "IP Address:10.0.0.5", "IP Address:FD00:0:0:0:0:0:0:5", "URI:https://node1.larder.test/x",
                 "email:admin@larder.test", "Registered ID:1.2.3.4", "DirName:",
                 "othername: UPN::node1@larder.test"):
        assert part in text, (part, text)


@pytest.mark.parametrize("option, value, words", [
    ("--san-dns", "not a name", "not a DNS name"), ("--san-dns", "a.*.test", "not a DNS name"),
    ("--san-ip", "10.0.0.256", "not an IP address"), ("--san-uri", "nothing", "not a URI"),
    ("--san-email", "nobody", "not an e-mail address"), ("--san-rid", "one.two", "registered id"),
    ("--san-dir-name", "node1", "directory name"), ("--san-dir-name", "XX=node1", "directory name"),
    ("--san-other-name", "1.2.3.4", "other name"), ("--country", "Germany", "two letters"),
    ("--size-or-curve", "P-521", "P-384"), ("--name", "../outside", "the name of a key")])
def test_what_cannot_be_requested_is_said(host, option, value, words):
    chosen = () if option == "--name" else ("--name", "wrong")
    done = host.cli("cert", "request", *chosen, option, value, check=False)
    assert done.returncode in (1, 2) and words in done.stderr, done.stderr
    assert not list((host.state / "certificates").glob("wrong/request.csr"))
