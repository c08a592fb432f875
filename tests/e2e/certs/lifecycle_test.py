"""A host's certificate from request to renewal, signed by an outside authority run by openssl."""

import concurrent.futures
import json
import os
import pathlib
import pwd
import shutil
import stat
import tempfile

import pytest

from support.curl import curl
from support.larder import PROGRAM, Node, origin_table
from support.program import accepts, run
from support.tls import alert, fingerprint, negotiated, s_client, served_certificate
from support.wait import measure, wait_until

NAME = "node1.larder.test"


@pytest.fixture
def fresh(tmp_path, origin):
    """A node without any certificate."""
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME]).start()
    yield node
    node.stop()


def shown(node):
    return served_certificate(node.address, node.https_port, NAME)


def test_without_a_certificate_the_port_answers_with_an_alert(fresh):
    assert accepts(fresh.https_port)
    assert alert(fresh.address, fresh.https_port, NAME) is not None
    assert fresh.is_ready(), "HTTP is served all the same"


@pytest.mark.parametrize("algorithm, size", [("ec", "P-256"), ("ec", "P-384"), ("rsa", 2048)])
def test_request_sign_import(fresh, authority, origin, algorithm, size):
    request = fresh.request_certificate(algorithm=algorithm, size=size)
    text = run("openssl", "req", "-in", request, "-noout", "-text", "-verify").stdout
    assert f"DNS:{NAME}" in text
    keys = [file for file in request.parent.iterdir() if b" PRIVATE KEY-----" in file.read_bytes()]
    assert len(keys) == 1 and stat.S_IMODE(keys[0].stat().st_mode) == 0o600

    chain = authority.sign(request)
    seconds = measure_import(fresh, chain)
    print(f"{algorithm} {size}: in effect {seconds * 1000:.0f} ms after the import began")
    data = origin.write(f"{algorithm}{size}.bin", 100_000)
    answer = fresh.get_tls(f"/{algorithm}{size}.bin", authority.root)
    assert (answer.exit_code, answer.body) == (0, data), answer.error


def measure_import(node, chain):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(node.import_certificate, chain)
        seconds = measure(lambda: shown(node) == fingerprint(chain), 5, "the new certificate")
        done.result()
    return seconds


def test_new_certificate_during_a_download_breaks_nothing(fresh, authority, origin):
    request = fresh.request_certificate()
    fresh.import_certificate(authority.sign(request))
    before = shown(fresh)
    data = origin.write("long.bin", 8 << 20)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        download = pool.submit(fresh.get_tls, "/long.bin", authority.root, "--limit-rate", "4M")
        again = authority.sign(request)  # the same request, signed once more
        fresh.import_certificate(again)
        wait_until(lambda: shown(fresh) == fingerprint(again) != before)
        assert not download.done()
        answer = download.result()
    assert (answer.exit_code, answer.body) == (0, data), answer.error


def test_disable_ends_handshakes_and_enable_brings_them_back(fresh, authority, origin):
    chain = fresh.serve_https(authority)
    assert shown(fresh) == fingerprint(chain)

    fresh.cli("cert", "disable")
    wait_until(lambda: shown(fresh) is None)
    assert accepts(fresh.https_port)
    assert alert(fresh.address, fresh.https_port, NAME) is not None
    listed = json.loads(fresh.cli("cert", "list", "--json").stdout)
    assert listed, "disabling deletes nothing"

    fresh.cli("cert", "enable")
    wait_until(lambda: shown(fresh) == fingerprint(chain))


def test_certificate_survives_a_restart(fresh, authority):
    chain = fresh.serve_https(authority)
    fresh.kill()
    fresh.start()
    assert shown(fresh) == fingerprint(chain)


def test_disable_survives_a_restart(fresh, authority):
    fresh.serve_https(authority)
    fresh.cli("cert", "disable")
    fresh.stop()
    fresh.start()
    assert shown(fresh) is None


def test_list_names_domain_issuer_dates_and_thumbprint(fresh, authority):
    chain = fresh.serve_https(authority)
    text = fresh.cli("cert", "list", "--json").stdout
    assert NAME in text and "Test Issuing" in text and fingerprint(chain) in text.lower().replace(":", "")
    assert NAME in fresh.cli("cert", "list").stdout


def test_nobody_finds_out_by_a_client_that_the_last_certificate_was_retired(fresh, authority):
    request = fresh.request_certificate()
    earlier, chain = authority.sign(request), authority.sign(request)
    fresh.import_certificate(earlier)
    fresh.import_certificate(chain)
    said = "No certificate is active"
    assert said not in fresh.cli("cert", "list").stdout
    thumbprint = run("openssl", "x509", "-in", chain, "-noout", "-fingerprint", "-sha1").stdout.split("=")[1].strip()
    assert said in fresh.cli("cert", "retire", thumbprint).stdout, "as consoles show it"
    listed = fresh.cli("cert", "list").stdout
    assert said in listed and "larder cert rollback" in listed
    fresh.cli("cert", "retire", fingerprint(earlier))
    listed = fresh.cli("cert", "list").stdout
    assert said in listed and "larder cert import" in listed
    assert "larder cert rollback" not in listed, "there is none to go back to"
    assert fresh.cli("cert", "rollback", check=False).returncode != 0
    fresh.cli("cert", "disable")
    assert said not in fresh.cli("cert", "list").stdout, "that is said already"


def test_revoked_certificate_does_not_come_back_with_the_next_scheduled_import(fresh, authority):
    chain = authority.sign(fresh.request_certificate())
    fresh.import_certificate(chain)
    fresh.cli("cert", "retire", fingerprint(chain), "--revoked", "--reason", "the key was seen")
    done = fresh.import_certificate(chain, check=False)
    assert done.returncode == 23 and "is revoked" in done.stderr and "the key was seen" in done.stderr
    assert shown(fresh) is None


def test_certificate_whose_key_cannot_be_used_is_listed_as_such(fresh, authority):
    chain = fresh.serve_https(authority)
    key = fresh.state / "certificates/delivery/key.pem"
    assert "cannot be served" not in fresh.cli("cert", "list").stdout
    key.chmod(0o644)
    listed = fresh.cli("cert", "list").stdout
    assert f"delivery {fingerprint(chain)[:16]} cannot be served" in listed and f"chmod 600 {key}" in listed
    key.rename(key.with_suffix(".away"))
    damaged = json.loads(fresh.cli("cert", "list", "--json").stdout)["damaged"]
    assert len(damaged) == 1 and str(key) in damaged[0]


def test_request_that_makes_no_sense_is_wrong_usage_and_leaves_no_key(fresh):
    done = fresh.cli("cert", "request", "--name", "new", "--country", "Germany", check=False)
    assert done.returncode == 2 and "two letters" in done.stderr
    assert not (fresh.state / "certificates/new").exists()
    fresh.cli("cert", "request", "--name", "new", "--algorithm", "rsa")
    text = run("openssl", "req", "-in", fresh.state / "certificates/new/request.csr", "-noout", "-subject").stdout
    assert f"CN = {fresh.names[0]}" in text, "AD CS refuses an empty subject"


def test_file_that_is_not_there_is_named(fresh, tmp_path):
    done = fresh.import_certificate(tmp_path / "absent.pem", check=False)
    assert done.returncode == 1 and "absent.pem" in done.stderr


def test_dry_run_changes_nothing(fresh, authority):
    chain = authority.sign(fresh.request_certificate())
    fresh.import_certificate(chain, "--dry-run")
    assert shown(fresh) is None


def test_handshake_is_modern(tls_node):
    printed = s_client(tls_node.address, tls_node.https_port, "-alpn", "h2,http/1.1", name=NAME).stdout
    assert "TLSv1.3" in printed
    assert negotiated(printed, "ALPN protocol") == "http/1.1"
    old = s_client(tls_node.address, tls_node.https_port, "-tls1_1", name=NAME)
    assert "Cipher is (NONE)" in old.stdout


def test_no_client_certificate_is_asked_for_on_the_delivery_port(tls_node):
    """Windows' WinHTTP gives up where one is even optional."""
    printed = s_client(tls_node.address, tls_node.https_port, name=NAME).stdout
    assert "No client certificate CA names sent" in printed
    assert "Client Certificate Types" not in printed and "Requested Signature Algorithms" not in printed


def test_client_without_a_server_name_is_served_by_address(tls_node, origin, authority):
    data = origin.write("address.bin", 1000)
    answer = curl(f"https://127.0.0.1:{tls_node.https_port}/address.bin", "--cacert", authority.root,
                  "-H", "Host: packages.test")
    assert answer.body == data, answer.error


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path, origin, authority):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME]).start()
    try:
        chain = node.serve_https(authority)
        active = node.state / "certificates" / "active.json"
        active.write_text("{")
        done = node.cli("cert", "list", check=False)
        assert done.returncode == 1 and "unknown" in done.stdout and fingerprint(chain) in done.stdout
        assert "it cannot be read which certificates are to be served" in done.stderr and str(active) in done.stderr
        assert "move it away and import the certificate again" in done.stderr
        listed = node.cli("cert", "list", "--json", check=False)
        facts = json.loads(listed.stdout)
        assert listed.returncode == 1 and str(active) in facts["error"]
        assert [one["state"] for one in facts["certificates"]] == ["unknown"]
        assert served_certificate(node.address, node.https_port, NAME) == fingerprint(chain), "the node goes on"
        active.unlink()
        node.import_certificate(chain)
        assert json.loads(node.cli("cert", "list", "--json").stdout)["error"] is None
    finally:
        node.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_may_not_read_the_files_is_told_who_may():
    with tempfile.TemporaryDirectory(prefix="larder-user-") as place:
        folder = pathlib.Path(place)
        folder.chmod(0o755)
        node = Node(folder / "node", names=[NAME])
        request = node.request_certificate()
        program = folder / "larder"
        shutil.copy(PROGRAM, program)
        who = "run this as root or as the node's user"

        def as_nobody(*arguments):
            nobody = pwd.getpwnam("nobody")
            return run("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
                       program, "cert", *arguments, "--config", node.config, check=False)

        def let_everybody_see(*paths):
            for path in paths:
                path.chmod(0o755 if path.is_dir() else 0o644)

        let_everybody_see(folder / "node", node.config)
        for verb in (("list",), ("disable",), ("show",)):
            done = as_nobody(*verb)
            assert done.returncode == 1 and "Permission denied" in done.stderr and who in done.stderr, (verb, done)
        let_everybody_see(node.state, node.state / "certificates")
        done = as_nobody("list")
        assert done.returncode == 1 and f"damaged: {request.parent}: Permission denied" in done.stdout
        assert "the list is not complete" in done.stderr and who in done.stderr
        done = as_nobody("disable")
        assert done.returncode == 1 and who in done.stderr, done
