"""Certificates signed by a program of the administrator: a real authority run by openssl, asked with nobody there."""

import datetime
import http.server
import json
import os
import pathlib
import re
import socketserver
import stat
import threading

import pytest

from support.authority import Authority
from support.faketime import FakeTime
from support.larder import Node, origin_table
from support.tls import fingerprint, served_certificate
from support.wait import wait_for_the_next_second, wait_until

NAME = "node1.larder.test"


def write_script(path, text):
    path.write_text("#!/bin/sh\nset -eu\n" + text)
    path.chmod(0o755)
    return path


def signing_script(authority, folder, clock="", days=90):
    """An authority as a script: request on standard input, chain on standard output. Each answer is also kept."""
    issued = folder / "issued"
    issued.mkdir()
    folder.chmod(0o755)
    return write_script(folder / "sign", f"""
{clock}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/request.pem"
openssl req -in "$work/request.pem" -verify -noout >&2
cat > "$work/extensions" <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
END
openssl x509 -req -in "$work/request.pem" -CA {authority.intermediate} -CAkey {authority.folder}/intermediate.key \\
  -days {days} -copy_extensions copy -extfile "$work/extensions" -out "$work/leaf.pem" >&2
cat "$work/leaf.pem" {authority.intermediate} > "$work/chain.pem"
cp "$work/chain.pem" "{issued}/$(ls {issued} | wc -l).pem"
cat "$work/chain.pem"
"""), issued


def latest(issued):
    return max(issued.iterdir(), key=lambda file: int(file.stem))


def renewals(node):
    return {renewal["name"]: renewal for renewal in json.loads(node.cli("cert", "list", "--json").stdout)["renewals"]}


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def wait_until_left_alone(node, reason):
    wait_until(lambda: reason in renewals(node)["delivery"]["reason"], what=reason,
               seen=lambda: node.cli("cert", "list", "--json").stdout)


def make_node(tmp_path, origin, script, environment=None, **signer):
    values = {"certificate": "delivery", "type": "command", "command": [str(script)], **signer}
    return Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME], signers=[values],
                environment=environment)


def shown(node):
    return served_certificate(node.address, node.https_port, NAME)


@pytest.fixture
def nodes():
    started = []
    yield started
    for node in started:
        node.stop()


def test_a_node_without_a_certificate_gets_one_by_itself(tmp_path, origin, authority, nodes):
    script, issued = signing_script(authority, tmp_path)
    node = make_node(tmp_path, origin, script)
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(latest(issued)))
    data = origin.write("signed.bin", 100_000)
    answer = node.get_tls("/signed.bin", authority.root)
    assert (answer.exit_code, answer.body) == (0, data), answer.error
    key = node.state / "certificates" / "delivery" / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert renewals(node)["delivery"]["failures"] == 0
    assert "is renewed by command on" in node.cli("cert", "list").stdout
    assert len(list(issued.iterdir())) == 1, "one answer is enough"


def test_a_certificate_is_renewed_with_nobody_there(tmp_path, origin, authority, nodes):
    """The clock of node and authority moves on by two thirds of ninety days; nobody asks for anything."""
    clock = FakeTime(tmp_path)
    script, issued = signing_script(authority, tmp_path, clock=clock.shell)
    node = make_node(tmp_path, origin, script, environment=clock.environment)
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))

    clock.advance(54)  # the earliest draw is at 55.5 days
    node.stop()
    node.start()
    planned = renewals(node)["delivery"]["next"]
    node.stop()
    node.start()
    assert renewals(node)["delivery"]["next"] == planned, "a restart does not draw again"
    assert len(list(issued.iterdir())) == 1, "not yet"

    clock.advance(7)
    wait_until(lambda: shown(node) == fingerprint(issued / "1.pem"))
    assert node.metric("larder_certificate_renewal_failures") == 0
    assert len(list(issued.iterdir())) == 2


def test_a_certificate_is_renewed_before_an_intermediate_of_its_chain_ends(tmp_path, origin, nodes):
    """An authority whose own certificate ends in 10 days signs for 90: clients would refuse from then on."""
    brief = Authority(tmp_path / "ca", intermediate_days=10)
    clock = FakeTime(tmp_path)
    script, issued = signing_script(brief, tmp_path, clock=clock.shell)
    node = make_node(tmp_path, origin, script, environment=clock.environment)
    days_ahead = lambda: (parse_time(renewals(node)["delivery"]["next"]) - clock.now) / 86400
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))
    wait_until(lambda: 6 < days_ahead() < 7, what="a plan for two thirds of 10 days", seen=lambda: renewals(node))

    # The authority does not notice, and signs with the same one again: no reason to ask without end.
    clock.advance(8)
    wait_until(lambda: shown(node) == fingerprint(issued / "1.pem"))
    wait_until(lambda: 1 < days_ahead() < 2, what="a plan for two thirds of 2 days", seen=lambda: renewals(node))
    assert len(list(issued.iterdir())) == 2
    assert "an intermediate certificate of the chain ends on" in node.program.log.read_text()

    brief.renew_intermediate()
    clock.advance(1.5)
    wait_until(lambda: shown(node) == fingerprint(issued / "2.pem"))
    wait_until(lambda: days_ahead() > 50, what="a plan for two thirds of 90 days", seen=lambda: renewals(node))
    assert len(list(issued.iterdir())) == 3


def test_a_short_lived_certificate_is_told_only_when_its_renewal_fails(tmp_path, origin, authority, nodes):
    clock = FakeTime(tmp_path)
    script, issued = signing_script(authority, tmp_path, clock=clock.shell, days=9)
    node = make_node(tmp_path, origin, script, environment=clock.environment)
    nodes.append(node.start())
    watch = lambda: json.loads(node.cli("cert", "list", "--json").stdout)["watch"]
    told = lambda: [text for text in watch()["alerts"] if "expires on" in text]
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))
    wait_until(lambda: watch()["revocation"], what="a look at the new certificate")
    assert told() == [], "9 days are all that it has, and it is renewed after 6"

    node.stop()
    write_script(script, "exit 77\n")
    clock.advance(7)
    node.start()
    wait_until(told)


def test_renew_by_hand_keeps_the_key(tmp_path, origin, authority, nodes):
    script, issued = signing_script(authority, tmp_path)
    node = make_node(tmp_path, origin, script)
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))
    key = (node.state / "certificates" / "delivery" / "key.pem").read_bytes()
    wait_for_the_next_second()
    assert "renewed and in effect" in node.cli("cert", "renew", "delivery").stdout
    assert shown(node) == fingerprint(issued / "1.pem")
    assert (node.state / "certificates" / "delivery" / "key.pem").read_bytes() == key
    assert "no signer is configured" in node.cli("cert", "renew", "other", check=False).stderr


def test_the_end_of_one_certificate_does_not_stop_the_renewal_of_another(tmp_path, origin, authority, nodes):
    """The other one's name is without a certificate, before and after: the renewal takes nothing away."""
    script, issued = signing_script(authority, tmp_path)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME, "extra.test"], signers=[
        {"certificate": "delivery", "type": "command", "command": [str(script)]}])
    extra = authority.sign(node.request_certificate("extra", dns=["extra.test"]))
    node.import_certificate(extra, "--partial")
    node.request_certificate("delivery", dns=["*.larder.test"])
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))

    node.cli("cert", "retire", fingerprint(extra))
    wait_for_the_next_second()
    node.cli("cert", "renew", "delivery")
    assert shown(node) == fingerprint(issued / "1.pem")
    # The same by hand: the request signed again and imported.
    by_hand = authority.sign(node.state / "certificates" / "delivery" / "request.csr")
    assert "no certificate that is served covers extra.test" in node.import_certificate(by_hand).stdout
    assert shown(node) == fingerprint(by_hand)


def test_what_an_administrator_put_away_stays_away(tmp_path, origin, authority, nodes):
    script, issued = signing_script(authority, tmp_path)
    node = make_node(tmp_path, origin, script)
    nodes.append(node.start())
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))
    node.cli("cert", "retire", fingerprint(issued / "0.pem"))
    wait_until_left_alone(node, "it is retired")
    node.stop()
    node.start()
    assert "is not renewed: it is retired" in node.cli("cert", "list").stdout
    assert len(list(issued.iterdir())) == 1 and shown(node) is None

    other = authority.sign(node.request_certificate(name="other"))
    node.import_certificate(other)
    node.cli("cert", "renew", "delivery")
    assert shown(node) == fingerprint(issued / "1.pem")
    node.import_certificate(other)
    wait_until_left_alone(node, "another certificate is in use")
    assert shown(node) == fingerprint(other)


def failing(tmp_path, origin, nodes, text, **signer):
    script = write_script(tmp_path / "sign", text)
    node = make_node(tmp_path, origin, script, **signer)
    nodes.append(node.start())
    wait_until(lambda: renewals(node).get("delivery", {}).get("failures", 0) >= 1)
    return node


@pytest.mark.parametrize("script, words", [
    ("echo 'waits for an officer' >&2; exit 75", "not signed yet (exit code 75): waits for an officer"),
    ("exit 77", "refused (exit code 77)"),
    ("echo garbage", "certificate"),
    ("cat >/dev/null", "printed no certificate"),
    ("yes", "more than 64 KiB"),
], ids=["pending", "refused", "garbage", "nothing", "endless"])
def test_failures_are_shown_with_their_reason_and_tried_again(tmp_path, origin, nodes, script, words):
    node = failing(tmp_path, origin, nodes, script)
    assert words in renewals(node)["delivery"]["reason"]
    assert words in node.cli("cert", "list").stdout
    assert node.metric("larder_certificate_renewal_failures") == 1
    assert shown(node) is None
    done = node.cli("cert", "renew", "delivery", check=False)
    assert done.returncode == 1 and words in done.stderr
    assert renewals(node)["delivery"]["failures"] == 2
    assert node.is_ready(), "HTTP is served all the same"


def test_a_signer_that_never_succeeds_is_told_once_until_it_does(tmp_path, origin, authority, nodes):
    node = failing(tmp_path, origin, nodes, "echo 'no such template' >&2; exit 1")
    ready = lambda: [text for text in json.loads(node.admin("/readyz").body)["alerts"] if "there is no certificate" in text]
    for _ in range(2):
        assert node.cli("cert", "renew", "delivery", check=False).returncode == 1
    alert = wait_until(ready, what="the third failure is told")[0]
    assert re.match(r"there is no certificate for delivery: its signer has failed \d times, .*no such template", alert)
    assert node.metric("larder_certificate_missing") == 1 and node.metric("larder_alerts") == 1
    assert "alert: there is no certificate for delivery" in node.cli("cert", "list").stdout
    told = lambda: node.program.log.read_text().count("alert: there is no certificate")
    assert told() == 1
    node.stop()
    node.start()
    wait_until(lambda: ready() and node.metric("larder_alerts") == 1, what="it is wrong still")
    assert told() == 1, "but was told"

    script, issued = signing_script(authority, tmp_path)
    node.cli("cert", "renew", "delivery")
    assert shown(node) == fingerprint(issued / "0.pem")
    wait_until(lambda: not ready())
    assert node.metric("larder_certificate_missing") == 0


def test_a_certificate_of_another_key_or_name_is_refused(tmp_path, origin, authority, nodes):
    stranger = authority.issue("stranger.test", f"DNS:{NAME}")
    node = failing(tmp_path, origin, nodes, f"cat {stranger.chain}")
    assert "no certificate for the key delivery" in renewals(node)["delivery"]["reason"]

    request = node.state / "certificates" / "delivery" / "request.csr"
    wrong = authority.sign(request, names="DNS:other.test")
    write_script(tmp_path / "sign", f"cat {wrong}")
    done = node.cli("cert", "renew", "delivery", check=False)
    assert done.returncode == 1 and NAME in done.stderr
    assert shown(node) is None


def test_a_program_that_hangs_is_ended_with_the_node(tmp_path, origin, nodes):
    script = write_script(tmp_path / "sign", f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    node = make_node(tmp_path, origin, script)
    nodes.append(node.start())
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    node.stop()
    assert not pathlib.Path(f"/proc/{pid}").exists()


def test_a_signer_that_hangs_holds_up_no_other(tmp_path, origin, authority, nodes):
    hanging = write_script(tmp_path / "hang", f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    script, issued = signing_script(authority, tmp_path)
    signers = [{"certificate": name, "type": "command", "command": [str(program)]}
               for name, program in (("a-first", hanging), ("delivery", script))]
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME], signers=signers)
    nodes.append(node.start())
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    wait_until(lambda: shown(node) == fingerprint(issued / "0.pem"))
    wait_for_the_next_second()
    node.cli("cert", "renew", "delivery")
    assert shown(node) == fingerprint(issued / "1.pem")
    assert pathlib.Path(f"/proc/{pid}").exists(), "it hangs all the same"
    node.config.write_text(node.config.read_text().replace('certificate = "a-first"', 'certificate = "b-second"'))
    node.cli("node", "reload")
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), what="ended with its table")
    assert node.stop() == 0


class NodeWhoseTableGoes(http.server.BaseHTTPRequestHandler):
    """The control socket of a node that begins an attempt, and whose settings lose its signer before it is over."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(202, {"finished": 1})

    def do_GET(self):
        self.answer(200, {"renewals": [{"name": "other", "finished": 1, "error": ""}]})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", len(text))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def test_renew_by_hand_ends_with_the_table_of_its_signer(tmp_path, origin):
    node = make_node(tmp_path, origin, "/bin/true")
    node.state.mkdir(parents=True, exist_ok=True)
    with socketserver.UnixStreamServer(str(node.state / "control.sock"), NodeWhoseTableGoes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            done = node.cli("cert", "renew", "delivery", check=False)
        finally:
            server.shutdown()
    assert done.returncode == 1 and "has gone meanwhile" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the program runs as another user")
def test_the_program_runs_as_its_own_user_and_sees_no_secret(tmp_path, origin, nodes):
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.owner() != "root" or folder == pathlib.Path("/tmp"):
            break
        folder.chmod(0o755)
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    script = write_script(tmp_path / "sign", f"cd {out}; id -un > who; env > environment; "
                          f"if cat {tmp_path}/node/state/certificates/delivery/key.pem; then touch key; fi; exit 77")
    node = make_node(tmp_path, origin, script, user="nobody", environment={"LARDER_TEST_SECRET": "do-not-pass-on"})
    nodes.append(node.start())
    wait_until(lambda: renewals(node).get("delivery", {}).get("failures", 0) >= 1)
    assert (out / "who").read_text() == "nobody\n"
    assert "do-not-pass-on" not in (out / "environment").read_text()
    assert not (out / "key").exists()
