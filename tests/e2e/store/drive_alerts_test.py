"""A drive that goes bad is told to somebody, once, and so is its recovery."""

import contextlib
import importlib.util
import json
import os
import subprocess

import pytest
from support.failing_drive import FailingDrive
from support.http_receiver import Receiver
from support.larder import Node, origin_table
from support.ports import free_port
from support.wait import wait_until

MIB = 1 << 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/fuse") or importlib.util.find_spec("fusepy") is None,
    reason="needs root, /dev/fuse and python3-fusepy")


@pytest.fixture
def receiver(authority):
    started = Receiver(authority.issue(f"alerts{free_port()}.test", "IP:127.0.0.1", days=900), refusals=1)
    yield started
    started.stop()


@pytest.fixture
def make_node(tmp_path, origin, authority, receiver):
    nodes = []

    def make(*drives):
        nodes.append(Node(tmp_path / "node", origins=[origin_table(origin)], drives=drives, alert_webhook=receiver.url,
                          alert_webhook_trust=str(authority.root), request_allow_addresses=["127.0.0.0/8"]))
        return nodes[-1].start()

    yield make
    for node in nodes:
        node.stop()


def alerts(node):
    return json.loads(node.admin("/readyz").body)["alerts"]


def wait_for(receiver, *kinds):
    """The alerts, once they are those and no others."""
    def heard():
        return [one["kind"] for one in receiver.alerts]
    wait_until(lambda: len(heard()) >= len(kinds), seconds=120, what=", ".join(kinds), seen=heard)
    assert heard() == list(kinds)
    return receiver.alerts


@needs_fuse
def test_a_drive_that_takes_no_writes_is_told_once_and_when_it_takes_them_again(tmp_path, origin, make_node, receiver):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node((bad.path, "1GB"))
        kept = origin.write("alerts/kept.bin", 2 * MIB)
        node.get("/alerts/kept.bin")
        node.wait_until_stored()
        assert alerts(node) == []

        bad.fail("write")
        expected = origin.write("alerts/new.bin", 2 * MIB)
        assert node.get("/alerts/new.bin").body == expected
        [one] = wait_for(receiver, "drive-failing")
        assert receiver.attempts == 2, "one was refused and came again"
        assert one["drive"] == str(bad.path) and "Input/output error" in one["text"] and one["node"] == node.name
        assert alerts(node) == [one["text"]] and node.metric("larder_alerts") == 1
        assert node.is_ready() and node.get("/alerts/kept.bin").body == kept

        # Nobody asks for anything: the node tries by itself, and tells no more while nothing changes.
        errors = node.metric("larder_cache_write_errors_total")
        wait_until(lambda: node.metric("larder_cache_write_errors_total") > errors, seconds=90)
        assert node.metric("larder_drive_failing") == 1
        node.kill()
        node.start()
        assert node.metric("larder_drive_failing") == 1, "also after a restart, before anything is written"
        origin.write("alerts/newer.bin", 2 * MIB)
        node.get("/alerts/newer.bin")
        wait_for(receiver, "drive-failing")

        bad.work()
        told = wait_for(receiver, "drive-failing", "drive-recovered")
        assert told[1]["drive"] == str(bad.path) and alerts(node) == []
        assert node.metric("larder_drive_failing") == 0
        wait_until(lambda: node.get("/alerts/newer.bin").is_hit)
        node.wait_until_stored()
        log = node.program.log.read_text()
        assert log.count("alert: drive") == 2 and "a drive takes writes again" in log


@needs_fuse
def test_read_errors_and_damage_are_told(tmp_path, origin, make_node, receiver):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node((bad.path, "1GB"))
        data = {f"/alerts/{name}.bin": origin.write(f"alerts/{name}.bin", 2 * MIB) for name in ("read", "flipped")}
        for path in data:
            node.get(path)
        node.wait_until_stored()
        assert all(node.get(path).is_hit for path in data)
        node.kill()
        for file in (tmp_path / "bad/backing/objects").rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            at = content.find(data["/alerts/flipped.bin"][:4096])
            if at >= 0:
                with open(file, "r+b") as opened:
                    opened.seek(at + MIB + 77)
                    opened.write(bytes([content[at + MIB + 77] ^ 1]))
        node.start()
        assert node.get("/alerts/flipped.bin").body == data["/alerts/flipped.bin"]
        [damaged] = wait_for(receiver, "drive-damaged")
        assert damaged["drive"] == str(bad.path)
        bad.fail("read")
        node.get("/alerts/read.bin")
        wait_for(receiver, "drive-damaged", "drive-read-errors")
        assert len(alerts(node)) == 2


@contextlib.contextmanager
def tmpfs(path, options):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=False)


@needs_root
def test_a_read_only_drive_is_told_at_each_change_over_restarts(tmp_path, origin, make_node, receiver):
    with tmpfs(tmp_path / "locked", "ro,size=100m") as path:
        node = make_node((tmp_path / "good", "1GB"), (path / "larder", "64MiB"))
        [missing] = wait_for(receiver, "drive-missing")
        assert missing["drive"] == str(path / "larder") and "Read-only file system" in missing["text"]
        node.stop()
        node.start()
        wait_until(lambda: alerts(node) == [missing["text"]])
        node.stop()
        subprocess.run(["mount", "-o", "remount,rw", path], check=True)
        node.start()
        told = wait_for(receiver, "drive-missing", "drive-recovered")
        assert told[1]["drive"] == missing["drive"] and alerts(node) == []
        node.stop()


@needs_root
def test_a_full_file_system_is_told_and_when_there_is_room_again(tmp_path, origin, make_node, receiver):
    with tmpfs(tmp_path / "disk", "size=128m") as path:
        node = make_node((path / "larder", "64MiB"))
        assert alerts(node) == []
        others = path / "others"
        with open(others, "wb") as file:
            file.write(b"x" * (90 * MIB))
        [short] = wait_for(receiver, "drive-short")
        assert short["drive"] == str(path / "larder") and "of its 67.1 MB" in short["text"]
        expected = origin.write("alerts/full.bin", MIB)
        assert node.get("/alerts/full.bin").body == expected
        others.unlink()
        wait_for(receiver, "drive-short", "drive-recovered")
        node.stop()
