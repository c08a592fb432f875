"""A node that is not root, and the administrator's program as a user of its own behind a socket."""

import getpass
import json
import os
import pathlib
import pwd
import socket

import pytest

from support.larder import PROGRAM, Node, origin_table
from support.program import run
from support.signing_socket import SigningSocket, as_user, open_to_all
from support.tls import fingerprint, served_certificate
from support.wait import wait_until

NAME = "node1.larder.test"
NODE_USER, SIGNER_USER = "daemon", "nobody"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: two users besides it")


def write_script(path, text):
    path.write_text("#!/bin/sh\nset -eu\n" + text)
    path.chmod(0o755)
    return path


def renewal(node):
    listed = json.loads(node.cli("cert", "list", "--json").stdout)["renewals"]
    return next((entry for entry in listed if entry["name"] == "delivery"), {})


def shown(node):
    return served_certificate(node.address, node.https_port, NAME)


def make_node(folder, origin, path, prefix=(), **signer):
    values = {"certificate": "delivery", "type": "command", "socket": str(path), **signer}
    return Node(folder, origins=[origin_table(origin)], names=[NAME], signers=[values], prefix=prefix)


def own_user():
    """Who listens in these tests, where that is not root."""
    return {} if os.geteuid() == 0 else {"user": getpass.getuser()}


@needs_root
def test_the_program_has_its_own_user_and_cannot_read_the_key(tmp_path, origin, authority, running):
    open_to_all(tmp_path)
    secret, out, issuer = tmp_path / "secret", tmp_path / "out", tmp_path / "issuer"
    secret.write_text("token of the authority")
    out.mkdir()
    issuer.mkdir()
    for name in ("intermediate.pem", "intermediate.key"):
        (issuer / name).write_bytes((authority.folder / name).read_bytes())
    signer = pwd.getpwnam(SIGNER_USER)
    for path in (secret, out, issuer, *issuer.iterdir()):
        os.chown(path, signer.pw_uid, signer.pw_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
    folder = tmp_path / "node"
    folder.mkdir()
    daemon = pwd.getpwnam(NODE_USER)
    os.chown(folder, daemon.pw_uid, daemon.pw_gid)
    script = write_script(tmp_path / "sign", f"""
id -un > {out}/who
env > {out}/environment
cat {secret} > {out}/secret
if cat {folder}/state/certificates/delivery/key.pem > {out}/key; then exit 1; fi
cat > {out}/request.pem
cat > {out}/extensions <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
END
openssl x509 -req -in {out}/request.pem -CA {issuer}/intermediate.pem -CAkey {issuer}/intermediate.key -days 90 \\
  -copy_extensions copy -extfile {out}/extensions -out {out}/leaf.pem
cat {out}/leaf.pem {issuer}/intermediate.pem
""")
    signing = SigningSocket(tmp_path, script, peer=NODE_USER, user=SIGNER_USER)
    signing.program.environment |= {"LARDER_TEST_SECRET": "do-not-pass-on"}
    running.append(signing.start())
    node = make_node(folder, origin, signing.path, prefix=as_user(NODE_USER))
    running.append(node.start())
    assert pathlib.Path(f"/proc/{node.program.pid}").stat().st_uid == daemon.pw_uid
    wait_until(lambda: shown(node) and shown(node) == fingerprint(out / "leaf.pem"))
    assert (out / "who").read_text() == f"{SIGNER_USER}\n"
    assert (out / "secret").read_text() == "token of the authority"
    assert (out / "key").read_text() == ""
    assert "do-not-pass-on" not in (out / "environment").read_text()
    assert "PRIVATE" not in (out / "request.pem").read_text()
    answer = node.get_tls("/", authority.root)
    assert answer.exit_code == 0, answer.error


@needs_root
def test_only_the_node_may_ask(tmp_path, running):
    open_to_all(tmp_path)
    script = write_script(tmp_path / "sign", f"touch {tmp_path}/ran")
    signing = SigningSocket(tmp_path, script, peer=NODE_USER)
    running.append(signing.start())
    asked = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); " \
            "s.shutdown(socket.SHUT_WR); print(s.makefile().read())"
    ask = ["/usr/bin/python3", "-c", asked, signing.path]
    refused = run(*as_user(SIGNER_USER), *ask, check=False)
    assert "PermissionError" in refused.stderr, "the socket belongs to the node"
    signing.path.chmod(0o666)
    refused = run(*as_user(SIGNER_USER), *ask)
    assert "only daemon and root may ask here" in refused.stdout
    assert not (tmp_path / "ran").exists()


@needs_root
def test_the_node_asks_nobody_who_listens_in_the_programs_place(tmp_path, origin, running):
    """A socket of another user's: nothing is said to it."""
    path = tmp_path / "false.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.seteuid(pwd.getpwnam(SIGNER_USER).pw_uid)
        try:
            listener.listen()
        finally:
            os.seteuid(0)
        listener.settimeout(20)
        node = make_node(tmp_path / "node", origin, path)
        running.append(node.start())
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            assert connection.recv(1) == b""
    wait_until(lambda: renewal(node).get("failures", 0) >= 1)
    assert "and not root" in renewal(node)["reason"]


@pytest.mark.parametrize("script, words", [
    ("echo 'waits for an officer' >&2; exit 75", "not signed yet (exit code 75): waits for an officer"),
    ("exit 77", "refused (exit code 77)"),
    ("yes", "more than 64 KiB"),
    ("exec sleep 1000", "did not end within 3 s"),
], ids=["pending", "refused", "endless", "hanging"])
def test_failures_read_as_those_of_a_program_of_the_node(tmp_path, origin, running, script, words):
    signing = SigningSocket(tmp_path, write_script(tmp_path / "sign", script), peer=getpass.getuser())
    running.append(signing.start())
    node = make_node(tmp_path / "node", origin, signing.path, timeout="5s", **own_user())
    running.append(node.start())
    wait_until(lambda: renewal(node).get("failures", 0) >= 1)
    assert words in renewal(node)["reason"]
    assert words in node.cli("cert", "list").stdout
    assert shown(node) is None and node.is_ready()


def test_a_service_that_is_not_there_is_explained(tmp_path, origin, running):
    node = make_node(tmp_path / "node", origin, tmp_path / "absent.socket")
    running.append(node.start())
    wait_until(lambda: renewal(node).get("failures", 0) >= 1)
    assert "is larder-signer.socket started?" in renewal(node)["reason"]


def test_the_program_ends_with_the_node(tmp_path, origin, running):
    script = write_script(tmp_path / "sign", f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    signing = SigningSocket(tmp_path, script, peer=getpass.getuser())
    running.append(signing.start())
    node = make_node(tmp_path / "node", origin, signing.path, **own_user())
    running.append(node.start())
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    node.stop()
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists())


def test_answers_nobody_but_at_a_socket():
    done = run(PROGRAM, "signer", "answer", "--peer", getpass.getuser(), "--", "/bin/true", check=False)
    assert done.returncode == 1 and "unix socket" in done.stderr
