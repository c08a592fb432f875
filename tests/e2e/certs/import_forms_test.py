"""What administrators hand to `larder cert import`: every form is told by its content, everything wrong has its own
message and exit code, and what is wrong changes nothing."""

import base64
import datetime
import json
import os
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.authority import Authority
from support.curl import curl
from support.larder import PROGRAM, Node, origin_table
from support.program import run
from support.tls import fingerprint, served_certificate
from support.wait import wait_until

NAME = "node1.larder.test"
NOW = datetime.datetime.utcnow()
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def host(folder, origin, authority):
    """A node that serves HTTPS already, for clients that trust the test's authority."""
    node = Node(folder / "imports", origins=[origin_table(origin)], names=[NAME],
                client_trust=[str(authority.root)]).start()
    node.request_path = node.request_certificate()
    node.import_certificate(authority.sign(node.request_path))
    yield node
    node.stop()


def shown(node):
    return served_certificate(node.address, node.https_port, NAME)


def openssl(*arguments):
    return run("openssl", *arguments)


def pem_parts(chain):
    return re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----\n", chain.read_text(), re.S)


def as_der(chain, path):
    openssl("x509", "-in", chain, "-outform", "DER", "-out", path)


def as_p7b(form):
    def convert(chain, path):
        openssl("crl2pkcs7", "-nocrl", "-certfile", chain, "-outform", form, "-out", path)
    return convert


def as_p7b_under_a_certificate_label(chain, path):
    as_p7b("DER")(chain, path)
    body = base64.encodebytes(path.read_bytes()).decode()
    path.write_text(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")


def as_reversed(chain, path):
    path.write_text("some words\n" + "".join(reversed(pem_parts(chain))))


def as_utf16(chain, path):
    path.write_bytes(chain.read_text().replace("\n", "\r\n").encode("utf-16"))


def as_base64(chain, path):
    path.write_text("".join(line + "\n" for line in pem_parts(chain)[0].splitlines() if "-----" not in line))


def as_it_is(chain, path):
    path.write_bytes(chain.read_bytes())


@pytest.mark.parametrize("convert", [
    as_it_is, as_reversed, as_der, as_utf16, as_base64, as_p7b("PEM"), as_p7b("DER"),
    as_p7b_under_a_certificate_label,
], ids=["pem", "reversed", "der", "utf16", "base64", "p7b-pem", "p7b-der", "p7b-labelled"])
def test_every_form_is_told_by_its_content(host, authority, tmp_path, convert):
    chain = authority.sign(host.request_path)
    file = tmp_path / "wrong-name.txt"
    convert(chain, file)
    host.import_certificate(file)
    wait_until(lambda: shown(host) == fingerprint(chain))


def test_a_certificate_comes_by_standard_input_or_a_pipe(host, authority, tmp_path):
    chain = authority.sign(host.request_path)
    host.import_certificate("-", input=chain.read_text())
    wait_until(lambda: shown(host) == fingerprint(chain))
    chain = authority.sign(host.request_path)
    run("bash", "-c", f'"$0" cert import --config "{host.config}" <(cat "{chain}")', PROGRAM)
    wait_until(lambda: shown(host) == fingerprint(chain))
    refused(host, "-", 10, "the file is empty")


def test_what_is_no_file_is_refused_and_not_waited_for(host, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(host, tmp_path / "pipe", 1, "is a pipe that nobody writes to; give a file, or -")
    refused(host, tmp_path, 1, "is a folder")
    refused(host, "/dev/zero", 1, "is a device, not a file")
    refused(host, "-", 2, "cannot be both", "--password-file", "-")


def pfx(chain, key, path, *options, password="p\u00e4ss"):
    openssl("pkcs12", "-export", "-in", chain, "-out", path, "-passout", f"pass:{password}",
            *(["-inkey", key] if key else ["-nokeys"]), *options)


@pytest.mark.parametrize("options", [(), ("-legacy", "-certpbe", "PBE-SHA1-RC2-40")], ids=["aes", "rc2"])
@pytest.mark.parametrize("given", ["file", "stdin"])
def test_pkcs12_gives_its_certificates_and_never_its_key(host, authority, tmp_path, options, given):
    key = host.request_path.parent / "key.pem"
    before = key.read_bytes()
    chain = authority.sign(host.request_path)
    pfx(chain, key, tmp_path / "node.pfx", *options)
    secret = tmp_path / "password"
    secret.write_bytes("p\u00e4ss\r\n".encode("utf-8-sig"))  # as Windows writes it
    source = ("--password-file", secret) if given == "file" else ("--password-file", "-")
    done = host.import_certificate(tmp_path / "node.pfx", *source, input=None if given == "file" else "p\u00e4ss\n")
    assert "holds a private key as well" in done.stdout
    wait_until(lambda: shown(host) == fingerprint(chain))
    assert key.read_bytes() == before


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("form", ["pem", "p7b", "pfx"])
def test_order_of_leaves_and_issuers_does_not_matter(tmp_path, origin, form, order):
    """Of the same request signed twice, and of the issuing CA before and after its renewal, the one that lasts."""
    renewed = Authority(tmp_path / "ca", intermediate_days=5)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME], client_trust=[str(renewed.root)])
    request = node.request_certificate()
    parts = [pem_parts(renewed.sign(request, days=days))[0] for days in (4, 60)]
    parts.append(renewed.intermediate.read_text())
    renewed.renew_intermediate()
    parts.append(renewed.intermediate.read_text())
    chain, file, password = tmp_path / "all.pem", tmp_path / f"all.{form}", tmp_path / "password"
    chain.write_text("".join(parts[::order]))
    password.write_text("p\u00e4ss")
    if form == "pem":
        chain.rename(file)
    elif form == "p7b":
        as_p7b("DER")(chain, file)
    else:
        pfx(chain, None, file)
    printed = node.cli("cert", "import", file, "--password-file", password).stdout
    assert "expires soon" not in printed and "ends before the certificate itself" not in printed
    stored = node.state / "certificates" / "delivery" / f"{fingerprint(renewed.folder / 'leaf-2.pem')}.crt"
    assert pem_parts(stored) == [parts[1], parts[3]]


def test_pkcs12_of_a_foreign_key_leaves_nothing_behind(host, authority, tmp_path):
    issued = authority.issue("stranger.test", f"DNS:{NAME}")
    pfx(issued.chain, issued.key, tmp_path / "foreign.pfx")
    (tmp_path / "password").write_text("p\u00e4ss")
    refused(host, tmp_path / "foreign.pfx", 13, "matches no key held here", "--password-file", tmp_path / "password")
    assert_nowhere(host, issued.key)


@pytest.mark.parametrize("given, words", [((), "it is protected by a password"),
                                          (("--password-file", "-"), "the password does not open it")])
def test_pkcs12_needs_its_password(host, authority, tmp_path, given, words):
    pfx(authority.sign(host.request_path), None, tmp_path / "node.pfx")
    refused(host, tmp_path / "node.pfx", 12, words, *given, input="wrong\n")


# ---- What is wrong ------------------------------------------------------------------------------


def refused(node, file, code, words, *options, input=None):
    """Refused as a dry run and in earnest; what was served still is, and nothing was stored."""
    before, stored = shown(node), sorted(node.state.glob("certificates/**/*"))
    for more in (("--dry-run",), ()):
        done = node.import_certificate(file, *options, *more, check=False, input=input)
        assert done.returncode == code, done.stdout + done.stderr
        assert words in done.stderr, done.stderr
    assert shown(node) == before
    assert sorted(node.state.glob("certificates/**/*")) == stored


def assert_nowhere(node, key):
    """Nothing of a private key is in the node's folder, its log or its answers."""
    body = [line for line in key.read_text().splitlines() if "-----" not in line]
    raw = base64.b64decode("".join(body))
    for path in [*node.folder.rglob("*"), node.program.log]:
        if path.is_file():
            content = path.read_bytes()
            assert raw[-32:] not in content and body[0].encode() not in content, path


def craft(authority, request, path, **changes):
    """A certificate for the request as no decent CA would make it, with the intermediate behind it."""
    csr = x509.load_pem_x509_csr(request.read_bytes())
    issuer = x509.load_pem_x509_certificate(authority.intermediate.read_bytes())
    issuer_key = serialization.load_pem_private_key((authority.folder / "intermediate.key").read_bytes(), None)
    names = changes.get("names", [NAME])
    builder = (x509.CertificateBuilder()
               .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
               .issuer_name(issuer.subject).public_key(csr.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(changes.get("start", NOW - DAY)).not_valid_after(changes.get("end", NOW + 90 * DAY))
               .add_extension(x509.BasicConstraints(ca=changes.get("ca", False), path_length=None), critical=True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    usages = changes.get("usages", [ExtendedKeyUsageOID.SERVER_AUTH])
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    if "key_usage" in changes:
        builder = builder.add_extension(changes["key_usage"], True)
    certificate = builder.sign(issuer_key, changes.get("digest", hashes.SHA256()))
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + authority.intermediate.read_bytes())
    return path


KEY_AGREEMENT = x509.KeyUsage(
    key_agreement=True, digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False)


@pytest.mark.filterwarnings("ignore:SHA1")
@pytest.mark.parametrize("changes, code, words", [
    ({"start": NOW - 90 * DAY, "end": NOW - DAY}, 14, "expired on"),
    ({"start": NOW + DAY}, 15, "not valid before"),
    ({"usages": [ExtendedKeyUsageOID.CLIENT_AUTH]}, 16, "lacks serverAuth"),
    ({"usages": []}, 16, "lacks serverAuth"),
    ({"key_usage": KEY_AGREEMENT}, 16, "lacks digitalSignature"),
    ({"ca": True}, 17, "a CA's own"),
    ({"names": ["other.test"]}, 19, f"do not cover {NAME}"),
    ({"names": []}, 19, f"do not cover {NAME}"),
    ({"names": ["*.test"]}, 19, f"do not cover {NAME}"),
    ({"digest": hashes.SHA1()}, 20, "which clients refuse"),
    ({"digest": hashes.SHA224()}, 20, "which clients refuse"),
], ids=["expired", "not-yet", "client-only", "no-usage", "no-signatures", "ca", "other-names", "no-names", "wide-wildcard", "sha1", "sha224"])
def test_each_mistake_of_a_ca_has_its_own_answer(host, authority, tmp_path, changes, code, words):
    refused(host, craft(authority, host.request_path, tmp_path / "leaf.pem", **changes), code, words)


def test_self_signed_certificate_is_refused(host, tmp_path):
    key = host.request_path.parent / "key.pem"
    openssl("req", "-x509", "-key", key, "-subj", f"/CN={NAME}", "-out", tmp_path / "own.pem", "-addext",
            f"subjectAltName=DNS:{NAME}", "-addext", "extendedKeyUsage=serverAuth",
            "-addext", "basicConstraints=critical,CA:FALSE")
    refused(host, tmp_path / "own.pem", 18, "self-signed")


def test_certificate_for_another_key_is_refused(host, authority):
    refused(host, authority.issue("stranger.test", f"DNS:{NAME}").chain, 13, "matches no key held here")


def test_forged_signature_is_refused(host, authority, tmp_path):
    """The chain is broken where a signature does not verify."""
    parts = pem_parts(authority.sign(host.request_path))
    der = bytearray(base64.b64decode("".join(parts[0].splitlines()[1:-1])))
    der[-1] ^= 1
    forged = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    (tmp_path / "forged.pem").write_text(forged + parts[1])
    refused(host, tmp_path / "forged.pem", 21, "signature")


@pytest.mark.parametrize("constraints, usage", [("CA:FALSE", "keyCertSign,cRLSign"), ("CA:TRUE,pathlen:0", "cRLSign")],
                         ids=["no-ca", "no-keyCertSign"])
def test_intermediate_that_may_not_sign_is_a_broken_chain(host, tmp_path, constraints, usage):
    """Also where its root is not known here, so that nothing else could be said of the chain."""
    careless = Authority(tmp_path / "ca")
    leaf = pem_parts(careless.sign(host.request_path))[0]
    careless.renew_intermediate(constraints=constraints, usage=usage)
    (tmp_path / "chain.pem").write_text(leaf + careless.intermediate.read_text())
    refused(host, tmp_path / "chain.pem", 21, '"CN=Test Issuing" signed a certificate of it and may not')


def test_leaf_alone_is_completed_from_the_chain_before(host, authority, tmp_path):
    host.import_certificate(authority.sign(host.request_path))
    chain = authority.sign(host.request_path)
    (tmp_path / "leaf.pem").write_text(pem_parts(chain)[0])
    done = host.import_certificate(tmp_path / "leaf.pem")
    assert 'warning: the chain was not complete: "CN=Test Issuing" was added to it' in done.stdout
    wait_until(lambda: shown(host) == fingerprint(chain))
    assert curl(f"https://{NAME}:{host.https_port}/", "--cacert", authority.root, "--resolve",
                f"{NAME}:{host.https_port}:{host.address}").exit_code == 0, "a client builds the path to the root"


def test_leaf_whose_ca_is_unknown_becomes_active_unproven(host, authority, tmp_path):
    """As the original's script would have it; the intermediate is missing here, so no path leads to the root."""
    stranger = Authority(tmp_path / "ca")
    chain = stranger.sign(host.request_path)
    (tmp_path / "leaf.pem").write_text(pem_parts(chain)[0])
    done = host.import_certificate(tmp_path / "leaf.pem")
    assert "warning: unproven" in done.stdout and "intermediate" in done.stdout
    wait_until(lambda: shown(host) == fingerprint(chain))
    assert "active, unproven" in done.stdout and "  active, unproven  " in host.cli("cert", "list").stdout
    assert '"proven": false' in host.cli("cert", "show", "--json").stdout
    host.import_certificate(authority.sign(host.request_path))
    assert '"proven": true' in host.cli("cert", "show", "--json").stdout


@pytest.mark.parametrize("content, words", [
    (b"", "empty"),
    (os.urandom(10 << 20), "larger than"),
    (os.urandom(100_000), "neither PEM nor DER"),
    (b"-----BEGIN CERTIFICATE-----\n" + b"A" * 500_000 + b"\n-----END CERTIFICATE-----\n", ""),
    (b"<html>The CA is busy</html>\n", "neither PEM nor DER"),
], ids=["empty", "10MB", "noise", "padded", "web-page"])
def test_what_is_no_certificate_is_refused(host, tmp_path, content, words):
    (tmp_path / "file").write_bytes(content)
    refused(host, tmp_path / "file", 10, words)


def test_request_is_not_taken_for_its_certificate(host):
    refused(host, host.request_path, 10, "this is the request")


def as_jwk(key, file):
    """EC P-256, as RFC 7518 writes it."""
    numbers = serialization.load_pem_private_key(key.read_bytes(), None).private_numbers()
    public = numbers.public_numbers
    parts = {name: base64.urlsafe_b64encode(value.to_bytes(32, "big")).decode().rstrip("=")
             for name, value in (("x", public.x), ("y", public.y), ("d", numbers.private_value))}
    file.write_text(json.dumps({"kty": "EC", "crv": "P-256", **parts}))


@pytest.mark.parametrize("form", ["pem", "der", "beside the certificate", "encrypted", "sec1", "jwk"])
def test_private_key_by_mistake_is_refused_and_kept_nowhere(host, authority, tmp_path, form):
    issued = authority.issue(f"mistake-{form.replace(' ', '-')}.test", f"DNS:{NAME}")
    file = tmp_path / "certificate.pem"
    if form == "der":
        openssl("pkey", "-in", issued.key, "-outform", "DER", "-out", file)
    elif form == "encrypted":
        openssl("pkey", "-in", issued.key, "-aes128", "-passout", "pass:x", "-out", file)
    elif form == "sec1":
        openssl("ec", "-in", issued.key, "-out", file)
    elif form == "jwk":
        as_jwk(issued.key, file)
    else:
        file.write_text((issued.chain.read_text() if form != "pem" else "") + issued.key.read_text())
    refused(host, file, 11, "this is a private key")
    assert_nowhere(host, issued.key)


# ---- The folder ---------------------------------------------------------------------------------


def test_loose_key_permissions_are_refused_with_the_mend(host, authority):
    key = host.request_path.parent / "key.pem"
    chain = authority.sign(host.request_path)
    key.chmod(0o644)
    try:
        done = host.import_certificate(chain, check=False)
        assert done.returncode == 1 and f"chmod 600 {key}" in done.stderr, done.stderr
    finally:
        key.chmod(0o600)
    host.import_certificate(chain)


@pytest.fixture
def small_folder(tmp_path, authority):
    """A node's state on a drive of its own that can be filled or made read-only."""
    state = tmp_path / "node/state"
    state.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", state)
    node = Node(tmp_path / "node", names=[NAME], client_trust=[str(authority.root)], drive_path=tmp_path / "cache")
    try:
        yield node
    finally:
        run("umount", "-l", state)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("trouble", ["read-only", "full"])
def test_folder_that_cannot_be_written_keeps_what_is_active(small_folder, authority, trouble):
    node = small_folder
    request = node.request_certificate()
    node.import_certificate(authority.sign(request))
    before = node.cli("cert", "list", "--json").stdout
    chain = authority.sign(request)
    filler = node.state / "filler"
    if trouble == "full":
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
    else:
        run("mount", "-o", "remount,ro", node.state)
    done = node.import_certificate(chain, check=False)
    assert done.returncode == 1, done.stdout
    assert ("No space left" if trouble == "full" else "Read-only") in done.stderr, done.stderr
    assert node.cli("cert", "list", "--json").stdout == before
    assert not list(node.state.glob("certificates/**/*.new-*"))
    if trouble == "full":
        filler.unlink()
    else:
        run("mount", "-o", "remount,rw", node.state)
    node.import_certificate(chain)
    assert fingerprint(chain) in node.cli("cert", "list", "--json").stdout
