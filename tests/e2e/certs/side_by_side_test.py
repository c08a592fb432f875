"""Several certificates of one node: by server name, by address, RSA and EC for the same names; and what clients keep
over a change."""

import concurrent.futures
import json
import socket
import ssl
import subprocess

import pytest

from support.curl import curl
from support.larder import Node, origin_table
from support.ports import free_port
from support.tls import fingerprint, negotiated, s_client, served_certificate
from support.wait import wait_until

NAMES = ["one.larder.test", "two.larder.test"]


@pytest.fixture(scope="module")
def several(folder, origin, authority):
    """RSA and EC for the first name and 127.0.0.1, EC for the second name and 127.0.0.2."""
    port = free_port()
    node = Node(folder / "several", origins=[origin_table(origin)], names=NAMES, client_trust=[str(authority.root)],
                https_listen=[f"127.0.0.1:{port}", f"127.0.0.2:{port}", f"127.0.0.3:{port}"])
    node.https_port = port
    node.start()
    node.chains = {}
    for key, algorithm, size, name, address in (("rsa", "rsa", 2048, NAMES[0], "127.0.0.1"),
                                                ("ec", "ec", "P-256", NAMES[0], "127.0.0.1"),
                                                ("second", "ec", "P-384", NAMES[1], "127.0.0.2")):
        request = node.request_certificate(key, algorithm, size, name, [name], [address])
        node.chains[key] = authority.sign(request)
        node.import_certificate(node.chains[key], "--partial")
    yield node
    node.stop()


def shows(node, key, *options, name=None, address="127.0.0.1"):
    printed = s_client(address, node.https_port, *options, name=name).stdout
    assert "BEGIN CERTIFICATE" in printed, printed
    file = node.folder / "shown.pem"
    file.write_text(printed[printed.index("-----BEGIN CERTIFICATE"):])
    return fingerprint(file) == fingerprint(node.chains[key])


def test_all_are_active(several):
    listed = json.loads(several.cli("cert", "list", "--json").stdout)["certificates"]
    assert {one["name"]: one["state"] for one in listed} == {"rsa": "active", "ec": "active", "second": "active"}
    assert several.metric("larder_certificate_expiry_timestamp_seconds") > 3 * 1.7e9, "one for each"


def test_server_name_chooses(several):
    assert shows(several, "ec", name=NAMES[0])
    assert shows(several, "second", name=NAMES[1])
    assert shows(several, "second", name=NAMES[1].upper())


@pytest.mark.parametrize("version, options", [
    ("-tls1_3", ("-sigalgs", "RSA-PSS+SHA256")), ("-tls1_2", ("-cipher", "ECDHE-RSA-AES128-GCM-SHA256"))])
def test_client_that_knows_no_elliptic_signatures_gets_rsa(several, version, options):
    assert shows(several, "rsa", version, *options, name=NAMES[0])
    assert shows(several, "ec", version, name=NAMES[0])


@pytest.mark.parametrize("exact, wild", [("ec", "rsa"), ("rsa", "ec")])
def test_the_whole_name_of_one_kind_and_the_wildcard_of_the_other(tmp_path, authority, exact, wild):
    node = Node(tmp_path / "node", names=[NAMES[0]], client_trust=[str(authority.root)]).start()
    try:
        node.chains = {}
        sizes = {"ec": ("ec", "P-256"), "rsa": ("rsa", 2048)}
        for key, name in ((wild, "*.larder.test"), (exact, NAMES[0])):
            node.chains[key] = authority.sign(node.request_certificate(key, *sizes[key], name, [name]))
            node.import_certificate(node.chains[key])
        for version, only_rsa in (("-tls1_3", ("-sigalgs", "RSA-PSS+SHA256")),
                                  ("-tls1_2", ("-cipher", "ECDHE-RSA-AES128-GCM-SHA256"))):
            assert shows(node, "rsa", version, *only_rsa, name=NAMES[0])
            assert shows(node, "ec", version, "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256", name=NAMES[0])
            assert shows(node, wild, version, name=NAMES[1]), "nobody else has that name"
    finally:
        node.stop()


def test_without_server_name_the_address_chooses(several):
    assert shows(several, "ec", address="127.0.0.1")
    assert shows(several, "second", address="127.0.0.2")
    assert shows(several, "rsa", "-sigalgs", "RSA-PSS+SHA256", address="127.0.0.1")


def test_unknown_server_name_is_served_all_the_same(several):
    """A name of an origin, say; the client decides whether it trusts what it sees."""
    assert shows(several, "second", name="packages.test", address="127.0.0.2")
    assert several.chains and s_client("127.0.0.3", several.https_port, name="packages.test").stdout.count(
        "BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_host_may_name_the_origin(several, origin, authority, address):
    """The certificate is for the node, the Host for the origin: never 421."""
    data = origin.write(f"{address}.bin", 4000)
    answer = curl(f"https://{address}:{several.https_port}/{address}.bin", "--cacert", authority.root,
                  "-H", "Host: packages.test")
    assert (answer.status, answer.body) == (200, data), answer.error


def test_new_key_follows_the_old_one_and_rollback_returns(several, authority):
    request = several.request_certificate("second-new", "ec", "P-256", NAMES[1], [NAMES[1]], ["127.0.0.2"])
    chain = authority.sign(request)
    several.import_certificate(chain)  # the others cover the first name
    wait_until(lambda: served_certificate("127.0.0.2", several.https_port, NAMES[1]) == fingerprint(chain))
    assert shows(several, "ec", name=NAMES[0])
    assert "active" in several.cli("cert", "rollback").stdout
    wait_until(lambda: shows(several, "second", name=NAMES[1]))
    several.cli("cert", "rollback", "--name", "second-new")
    wait_until(lambda: not shows(several, "second", name=NAMES[1]))
    several.cli("cert", "rollback", "--name", "second")
    assert several.cli("cert", "rollback", "--name", "unknown", check=False).returncode == 1


def test_certificates_survive_a_restart(several):
    several.stop()
    several.start()
    assert shows(several, "ec", name=NAMES[0])
    assert shows(several, "second", name=NAMES[1])


# ---- Sessions -----------------------------------------------------------------------------------


def resumed(node, session, version, *options, name=NAMES[0]):
    printed = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{node.https_port}", "-servername", name, version,
         *map(str, options), *(["-sess_in", session] if session.exists() else []), "-sess_out", session],
        input=f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n", capture_output=True, text=True,
        timeout=20, check=False).stdout
    assert "200 OK" in printed or "ok" in printed, printed
    return "Reused, " in printed


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_sessions_are_resumed_over_a_change_of_certificates(several, authority, tmp_path, version):
    session = tmp_path / "session"
    assert not resumed(several, session, version, "-ign_eof")
    assert resumed(several, session, version, "-ign_eof")
    request = several.state / "certificates/ec/request.csr"
    several.chains["ec"] = authority.sign(request)
    several.import_certificate(several.chains["ec"])
    wait_until(lambda: shows(several, "ec", name=NAMES[0]))
    assert resumed(several, session, version, "-ign_eof"), "a ticket outlives the certificate"
    assert shows(several, "ec", name=NAMES[0])


def test_sessions_end_with_the_process(several, tmp_path):
    """The keys of tickets are nowhere but in memory."""
    session = tmp_path / "session"
    resumed(several, session, "-tls1_3", "-ign_eof")
    assert resumed(several, session, "-tls1_3", "-ign_eof")
    several.stop()
    several.start()
    assert not resumed(several, session, "-tls1_3", "-ign_eof")


def test_sessions_of_the_delivery_port_are_no_good_at_the_content_port(several, tmp_path):
    """Only the latter asks for client certificates; a ticket must not carry one over."""
    session = tmp_path / "session"
    assert not resumed(several, session, "-tls1_3", "-ign_eof")
    printed = s_client("127.0.0.1", several.content_port, "-tls1_3", "-sess_in", session, name=NAMES[0]).stdout
    assert "New, TLSv1.3" in printed, printed


# ---- Floods -------------------------------------------------------------------------------------


def test_flood_of_handshakes_does_not_hold_up_a_download(several, origin, authority):
    """Clients come and go as fast as four threads can make them; the download beside them is whole, and most of them
    are served as well."""
    data = origin.write("flood.bin", 64 << 20)
    warm = several.get("/flood.bin")
    assert warm.body == data
    context = ssl.create_default_context(cafile=str(authority.root))
    done = False

    def come_and_go():
        count = 0
        while not done:
            with socket.create_connection(("127.0.0.1", several.https_port), 10) as raw:
                with context.wrap_socket(raw, server_hostname=NAMES[0]):
                    count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(come_and_go) for _ in range(4)]
        try:
            answers = [several.get_tls("/flood.bin", authority.root) for _ in range(5)]
        finally:
            done = True
        counts = [flood.result() for flood in floods]
    assert all((answer.exit_code, answer.body) == (0, data) for answer in answers)
    assert min(counts) > 0
