"""What a service manager sees of a node, and how a node ends."""

import os
import signal
import socket
import threading

import pytest

from support.curl import curl
from support.larder import Node, origin_table
from support.wait import wait_until


class Manager:
    """The other end of sd_notify(3)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)
        self.path = str(path)

    def wait_for(self, word):
        while True:
            message = self.socket.recv(4096).decode()
            if message.split("\n")[0] == word:
                return message


@pytest.fixture()
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_tells_its_manager_how_it_is(tmp_path, origin, manager):
    node = Node(tmp_path / "node", origins=[origin_table(origin)])
    node.program.environment |= {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    node.start()
    manager.wait_for("READY=1")
    for _ in range(3):
        manager.wait_for("WATCHDOG=1")
    node.program.process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    node.program.process.send_signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert node.program.process.wait(15) == 0


def test_watchdog_of_another_process_is_not_ours(tmp_path, origin, manager):
    node = Node(tmp_path / "node", origins=[origin_table(origin)])
    node.program.environment |= {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000",
                                 "WATCHDOG_PID": str(os.getpid())}
    node.start()
    node.stop()
    manager.socket.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(manager.socket.recv(4096).decode())
    except BlockingIOError:
        pass
    assert "READY=1" in messages and "WATCHDOG=1" not in messages


@pytest.fixture()
def slow_download(tmp_path, origin, request):
    """A node with an answer under way that its origin draws out: (node, thread of curl, its result)."""
    node = Node(tmp_path / "node", origins=[origin_table(origin)], stop_grace="20s").start()
    body = origin.write("drawn-out.bin", request.param)
    result = {}

    def download():
        result["answer"] = curl(f"{node.http}/slow/drawn-out.bin", "-H", "Host: packages.test", timeout=60)

    thread = threading.Thread(target=download)
    thread.start()
    wait_until(lambda: node.metric("larder_fills_running"))
    yield node, thread, result, body
    node.kill()
    thread.join()


@pytest.mark.parametrize("slow_download", [3_000_000], indirect=True)
def test_running_answer_is_finished_before_the_end(slow_download):
    node, thread, result, body = slow_download
    assert node.stop() == 0
    thread.join()
    assert result["answer"].body == body


@pytest.mark.parametrize("slow_download", [60_000_000], indirect=True)
def test_second_signal_ends_at_once(slow_download):
    node, thread, result, body = slow_download
    node.program.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "node stops" in node.program.log.read_text())
    assert node.program.is_running()
    node.program.process.send_signal(signal.SIGTERM)
    assert node.program.process.wait(5) == 1, node.program.log_tail()
    thread.join()
    assert result["answer"].body != body
