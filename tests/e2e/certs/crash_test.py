"""A command that is killed, or whose drive fails, at any of its writes leaves the old state or the new one (strace
kills or fails the real program at its n-th rename or sync)."""

import itertools
import json
import pathlib
import shutil
import signal

import pytest

from support.faketime import FakeTime
from support.larder import PROGRAM, Node
from support.program import Program, run
from support.tls import fingerprint
from support.wait import wait_until

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


def strace(what):
    """`what` is a call of the system, ':' and how it is disturbed."""
    return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={what.split(':')[0]}", "-e", f"inject={what}"]


def disturbed(node, what, *arguments, environment=None):
    """The exit code of a command that strace disturbs."""
    return run(*strace(what), PROGRAM, *arguments, "--config", node.config, check=False,
               environment=environment).returncode


class Saved:
    """A folder that is put back as it was."""

    def __init__(self, folder):
        self.folder, self._copy = folder, pathlib.Path(f"{folder}.saved")
        shutil.copytree(folder, self._copy)

    def restore(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self._copy, self.folder)


def files_of(node):
    """What is kept, without what a crash may leave behind: temporary files, and the record of purges."""
    folder = node.state / "certificates"
    return {str(path.relative_to(folder)) for path in folder.rglob("*")
            if ".new-" not in path.name and path.name not in ("audit.jsonl", "lock")}


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


@pytest.mark.parametrize("verb", ["rollback", "disable", "enable"])
@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_what_is_served_changes_at_once_or_not_at_all(tmp_path, authority, verb, call):
    node = Node(tmp_path / "node", names=[NAME], client_trust=[str(authority.root)])
    request = node.request_certificate()
    for _ in range(2):
        node.import_certificate(authority.sign(request))
    if verb == "enable":
        node.cli("cert", "disable")

    def served():
        listed = json.loads(node.cli("cert", "list", "--json").stdout)
        assert not listed["damaged"], listed
        return listed["disabled"], [one["sha256"] for one in listed["certificates"] if one["state"] in (
            "active", "disabled")]

    before, saved = served(), Saved(node.state)
    node.cli("cert", verb)
    after, seen = served(), set()
    assert before != after
    for turn in range(1, 20):
        saved.restore()
        code = disturbed(node, f"{call}:signal=KILL:when={turn}", "cert", verb)
        now = served()
        assert now in (before, after), f"{call} {turn}"
        seen.add(now == after)
        if now == before:
            node.cli("cert", verb)
            assert served() == after
        # The records say the same, after the next change at the latest.
        node.import_certificate(authority.sign(request))
        histories = {one["sha256"]: one["history"][-1]["event"] for one in certificates(node)}
        is_disabled, chosen = served()
        assert [key for key, event in histories.items() if event == "activated"] == ([] if is_disabled else chosen)
        if code == 0:
            break  # there is no such write any more
    assert code == 0 and seen == {False, True}


@pytest.mark.parametrize("call, is_disabled", [
    ("write", False), ("ftruncate", False), ("fsync", False), ("unlink", False), ("rename", True), ("unlink", True)])
def test_purge_deletes_nothing_that_is_not_written_down_and_is_gone_on_with(tmp_path, authority, call, is_disabled):
    """One that is disabled is chosen still, until it goes."""
    clock = FakeTime(tmp_path)
    node = Node(tmp_path / "node", names=[NAME], client_trust=[str(authority.root)], environment=clock.environment)

    def cli(*arguments):
        return node.cli(*arguments, environment=clock.environment)

    def listed():
        return json.loads(cli("cert", "list", "--json").stdout)

    def events():
        chain = json.loads(cli("cert", "audit", "--json").stdout)
        assert chain["damage"] == ""
        return {(one["event"], one["subject"].get("certificate", one["subject"]["key"])) for one in chain["entries"]}

    old, current = node.request_certificate("old"), node.request_certificate("current")
    for request, days in ((old, 30), (current, 40), (current, 2000))[:2 if is_disabled else 3]:
        cli("cert", "import", authority.sign(request, days=days))
    if is_disabled:
        cli("cert", "disable")
    before = {one["sha256"]: one["days_left"] for one in listed()["certificates"]}
    kept, gone = {one for one in before if before[one] > 100}, {one for one in before if before[one] < 100}
    keys = {"old": old, "current": current} if is_disabled else {"old": old}
    assert len(gone) == 2 and len(kept) == (0 if is_disabled else 1)
    clock.advance(40 + 550)
    saved = Saved(node.state)
    cli("cert", "purge")
    rest, recorded = files_of(node), events()
    assert recorded == {("certificate-purged", digest) for digest in gone} | {("key-purged", key) for key in keys}
    for turn in range(1, 60):
        saved.restore()
        code = disturbed(node, f"{call}:signal=KILL:when={turn}", "cert", "purge", environment=clock.environment)
        states = {one["sha256"]: one["state"] for one in listed()["certificates"]}
        assert all(states[digest] == "active" for digest in kept), f"{call} {turn}"
        missing = {("certificate-purged", digest) for digest in gone - set(states)}
        missing |= {("key-purged", key) for key, request in keys.items() if not (request.parent / "key.pem").exists()}
        assert missing <= events(), f"{call} {turn}: deleted and not written down"
        cli("cert", "purge")
        assert files_of(node) == rest and events() == recorded, f"{call} {turn}"
        if code == 0:
            break  # there is no such write any more
    assert code == 0 and turn > 1


@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_node_that_ends_while_it_installs_what_was_signed_serves_the_old_or_the_new_one(tmp_path, authority, call):
    """strace comes when the signer is asked, so that what is counted are the writes after its answer."""
    asked, answer, work = tmp_path / "asked", tmp_path / "answer", tmp_path / "issued.pem"
    script = tmp_path / "sign"
    script.write_text(f"""#!/bin/sh
set -eu
cat > {tmp_path}/request.new && mv {tmp_path}/request.new {asked}
while [ ! -e {answer} ]; do sleep 0.02; done
cat {work}
""")
    script.chmod(0o755)
    node = Node(tmp_path / "node", names=[NAME], client_trust=[str(authority.root)],
                signers=[{"certificate": "delivery", "type": "command", "command": [str(script)]}])

    days = itertools.count(90)

    def sign():
        shutil.copy(authority.sign(asked, days=next(days)), work)  # newer than all before, also within a second
        answer.touch()
        return fingerprint(work)

    def forget():
        for path in (asked, answer):
            path.unlink(missing_ok=True)

    def is_traced():
        return "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{node.program.pid}/status").read_text()

    node.start()
    wait_until(asked.exists, 20)
    first = sign()
    wait_until(lambda: [one["sha256"] for one in certificates(node) if one["state"] == "active"] == [first], 20)
    node.stop()
    saved, seen, code = Saved(node.state), set(), None
    for turn in range(1, 30):
        saved.restore()
        forget()
        node.start()
        renewing = Program([PROGRAM, "cert", "renew", "delivery", "--config", node.config], tmp_path / "renew.log").start()
        wait_until(asked.exists, 20)
        disturbance = Program([*strace(f"{call}:signal=KILL:when={turn}"), "-p", node.program.pid],
                              tmp_path / "strace.log").start()
        wait_until(is_traced, 20)
        second = sign()
        code = renewing.process.wait(60)
        if node.program.is_running():  # it has answered, or is just about to end
            disturbance.process.send_signal(signal.SIGINT)  # leaves the node alone
            disturbance.process.wait(20)
        if code == 0:
            assert active(node) == second
            break  # there is no such write any more
        node.program.process.wait(20)
        disturbance.process.wait(20)
        now = active(node)
        assert now in (first, second), f"{call} {turn}"
        seen.add(now == second)
        node.start()
        forget()
        renewing = Program([PROGRAM, "cert", "renew", "delivery", "--config", node.config], tmp_path / "renew.log").start()
        wait_until(asked.exists, 20)
        third = sign()
        assert renewing.process.wait(60) == 0 and active(node) == third
        histories = {one["sha256"]: one["history"][-1]["event"] for one in certificates(node)}
        assert [key for key, event in histories.items() if event == "activated"] == [third]
        node.stop()
    node.stop()
    assert code == 0 and seen == {False, True}
