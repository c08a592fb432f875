"""How long certificates and keys are kept, on the real program with a clock that the test moves (libfaketime)."""

import json
import os

import pytest

from support.faketime import FakeTime
from support.larder import Node
from support.wait import wait_until

NAME = "node1.larder.test"
RETENTION = 549  # days, 18 months at most


@pytest.fixture
def clock(tmp_path):
    return FakeTime(tmp_path)


@pytest.fixture
def node(tmp_path, clock, authority):
    node = Node(tmp_path / "node", names=[NAME], client_trust=[str(authority.root)], environment=clock.environment)
    yield node
    node.stop()


def cli(node, clock, *arguments, **more):
    return node.cli(*arguments, environment=clock.environment, **more)


def listed(node, clock):
    return {one["sha256"]: one for one in json.loads(cli(node, clock, "cert", "list", "--json").stdout)["certificates"]}


def audit(node, clock):
    return json.loads(cli(node, clock, "cert", "audit", "--json").stdout)


def imported(node, clock, authority, request, days=30):
    cli(node, clock, "cert", "import", authority.sign(request, days=days))
    return next(one for one in listed(node, clock).values() if one["state"] == "active")


def test_certificate_and_key_go_when_their_time_has_come_and_not_before(node, clock, authority):
    request = node.request_certificate()
    first = imported(node, clock, authority, request)
    clock.advance(20)
    second = imported(node, clock, authority, request, days=60)
    done = cli(node, clock, "cert", "retire", second["sha256"][:8], "--reason", "the host moves", "--json")
    assert done.returncode == 0
    key = request.parent

    clock.advance(10 + RETENTION - 5)  # the first ended 10 days after its deactivation
    assert "to be kept" in cli(node, clock, "cert", "purge").stdout
    clock.advance(7)
    planned = json.loads(cli(node, clock, "cert", "purge", "--dry-run", "--json").stdout)
    assert planned == {"dry_run": True, "purged": [{"name": "delivery", "sha256": first["sha256"], "with_key": False}]}
    assert len(listed(node, clock)) == 2
    cli(node, clock, "cert", "purge")
    assert list(listed(node, clock)) == [second["sha256"]]
    assert (key / "key.pem").exists() and not (key / f"{first['sha256']}.crt").exists()

    clock.advance(100)
    assert "with its key" in cli(node, clock, "cert", "purge").stdout
    assert not key.exists()
    chain = audit(node, clock)
    assert chain["damage"] == ""
    assert [entry["event"] for entry in chain["entries"]] == ["certificate-purged", "certificate-purged", "key-purged"]
    assert [entry["subject"].get("certificate") for entry in chain["entries"]] == [
        first["sha256"], second["sha256"], None]
    assert [event["reason"] for event in chain["entries"][1]["subject"]["history"]][-1] == "the host moves"
    assert "PRIVATE KEY" not in (node.state / "certificates/audit.jsonl").read_text()


def test_node_purges_by_itself_every_day(node, clock, authority):
    request = node.request_certificate()
    old = imported(node, clock, authority, request)
    new = imported(node, clock, authority, request, days=2000)
    node.start()
    assert set(listed(node, clock)) == {old["sha256"], new["sha256"]}
    clock.advance(30 + RETENTION + 2)
    wait_until(lambda: set(listed(node, clock)) == {new["sha256"]})
    assert old["sha256"] in node.program.log.read_text()
    assert audit(node, clock)["entries"][0]["subject"]["sha1"] == old["sha1"]


def test_node_takes_away_what_a_crash_left_though_nothing_is_due(node, clock, authority):
    imported(node, clock, authority, node.request_certificate())
    folder = node.state / "certificates" / "delivery"
    left, fresh = folder / "key.pem.new-a1b2c3", folder / "key.pem.new-d4e5f6"
    for file in (left, fresh):
        file.write_text("half a key")
    three_days_ago = clock.now - 3 * 86400
    os.utime(left, (three_days_ago, three_days_ago))
    node.start()
    wait_until(lambda: not left.exists())
    assert fresh.exists(), "of a write that may go on"


def test_valid_certificate_that_is_only_disabled_stays(node, clock, authority):
    certificate = imported(node, clock, authority, node.request_certificate(), days=3000)
    cli(node, clock, "cert", "disable", "--reason", "a long pause")
    clock.advance(2900)
    assert "to be kept" in cli(node, clock, "cert", "purge").stdout
    cli(node, clock, "cert", "enable")
    assert listed(node, clock)[certificate["sha256"]]["state"] == "active"


def test_served_certificate_stays_however_old(node, clock, authority):
    certificate = imported(node, clock, authority, node.request_certificate())
    clock.advance(3000)
    assert "to be kept" in cli(node, clock, "cert", "purge").stdout
    assert list(listed(node, clock)) == [certificate["sha256"]]


def test_revoked_certificate_counts_from_its_revocation(node, clock, authority):
    certificate = imported(node, clock, authority, node.request_certificate(), days=3000)
    cli(node, clock, "cert", "retire", certificate["sha256"], "--revoked", "--reason", "the laptop was stolen")
    history = listed(node, clock)[certificate["sha256"]]["history"]
    assert [entry["event"] for entry in history][-3:] == ["revoked", "retired", "deactivated"]
    clock.advance(RETENTION - 5)
    assert "to be kept" in cli(node, clock, "cert", "purge").stdout
    clock.advance(7)
    cli(node, clock, "cert", "purge")
    assert not listed(node, clock)


def test_changed_audit_log_is_noticed_and_stops_purges(node, clock, authority):
    for name in ("one", "two"):
        certificate = imported(node, clock, authority, node.request_certificate(name))
        cli(node, clock, "cert", "retire", certificate["sha256"])
    clock.advance(30 + RETENTION + 2)
    cli(node, clock, "cert", "purge")
    path = node.state / "certificates/audit.jsonl"
    path.write_text(path.read_text().replace("certificate-purged", "certificate-forged", 1))
    done = cli(node, clock, "cert", "audit", check=False)
    assert done.returncode == 1 and "line 2" in done.stderr, done.stderr
    certificate = imported(node, clock, authority, node.request_certificate("three"), days=3000)
    cli(node, clock, "cert", "retire", certificate["sha256"], "--revoked")
    clock.advance(RETENTION + 2)
    done = cli(node, clock, "cert", "purge", check=False)
    assert done.returncode == 1 and "audit.jsonl" in done.stderr
    assert certificate["sha256"] in listed(node, clock)
