"""A command that is killed, or whose drive fails, at any of its writes leaves the old state or the new one (strace
kills or fails the real program at its n-th rename or sync)."""

import json

import pytest

from support.larder import PROGRAM, Node
from support.program import run
from support.tls import fingerprint

NAME = "node1.larder.test"


@pytest.fixture(scope="module")
def host(folder, authority):
    node = Node(folder / "crashes", names=[NAME], client_trust=[str(authority.root)])
    node.request_path = node.request_certificate()
    node.import_certificate(authority.sign(node.request_path))
    return node


def certificates(node):
    listed = json.loads(node.cli("cert", "list", "--json").stdout)
    assert not listed["damaged"], listed
    return listed["certificates"]


def active(node):
    found = [one["sha256"] for one in certificates(node) if one["state"] == "active"]
    assert len(found) == 1, found
    return found[0]


def disturbed(node, what, *arguments):
    """The exit code of a command that strace disturbs."""
    return run("strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=rename,fsync", "-e", f"inject={what}",
               PROGRAM, *arguments, "--config", node.config, check=False).returncode


@pytest.mark.parametrize("call", ["rename", "fsync"])
@pytest.mark.parametrize("trouble", ["signal=KILL", "error=EIO"])
def test_import_is_whole_or_not_at_all(host, authority, call, trouble):
    old, states = active(host), []
    for turn in range(1, 40):
        chain = authority.sign(host.request_path)
        code = disturbed(host, f"{call}:{trouble}:when={turn}", "cert", "import", chain)
        now = active(host)
        assert now in (old, fingerprint(chain)), f"{call} {turn}"
        states.append(now == old)
        if code == 0:
            assert now != old
        # The next change makes good what is missing in the records.
        again = authority.sign(host.request_path)
        host.import_certificate(again)
        old = active(host)
        assert old == fingerprint(again)
        histories = {one["sha256"]: [event["event"] for event in one["history"]] for one in certificates(host)}
        assert [key for key, events in histories.items() if events[-1] == "activated"] == [old]
        if code == 0 and trouble == "signal=KILL":
            break  # there is no such write any more
        if turn > 12 and code == 0:
            break
    assert True in states and False in states, "both sides of the switch were met"


@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_what_was_to_be_retired_is_never_gone_back_to(host, authority, call):
    for turn in range(1, 20):
        served = authority.sign(host.request_path)
        host.import_certificate(served)
        code = disturbed(host, f"{call}:signal=KILL:when={turn}", "cert", "retire", fingerprint(served))
        states = {one["sha256"]: one["state"] for one in certificates(host)}
        assert states[fingerprint(served)] in ("active", "retired"), f"{call} {turn}"
        host.cli("cert", "retire", fingerprint(served))
        states = {one["sha256"]: one["state"] for one in certificates(host)}
        assert states[fingerprint(served)] == "retired"
        if code == 0:
            break  # there is no such write any more
    assert code == 0 and turn > 1
