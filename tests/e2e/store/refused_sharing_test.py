"""Objects that the store does not take: clients who ask at the same time share one download all the same."""

import concurrent.futures
import threading

import pytest

from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.wait import wait_until

MIB = 1 << 20
CLIENTS = 20


@pytest.fixture(scope="module")
def cold_origin():
    with MisbehavingOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def full_node(folder, cold_origin):
    """Its drive is full of what is pinned."""
    node = Node(folder / "node", origins=[origin_table(cold_origin)], drive_size="64MiB").start()
    node.cli("cache", "pin", "--prefix", "http://packages.test/pinned/")
    for number in range(200):
        path = f"/pinned/{number}"
        cold_origin.scripts[path] = Thing(700_000)
        node.get(path)
        if not node.get(path).is_hit:
            break
    else:
        raise AssertionError("it never got full")
    yield node
    node.stop()


def test_clients_of_a_cold_object_share_one_download(full_node, cold_origin):
    thing, waiting = Thing(900_000), threading.Event()

    def script(request, connection):
        data = thing.begin(request, connection)
        connection.send(data[:1000])
        assert waiting.wait(20)
        connection.send(data[1000:])
    cold_origin.scripts["/cold"] = script
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        answers = [pool.submit(full_node.get, "/cold") for _ in range(CLIENTS)]
        wait_until(lambda: full_node.metric("larder_connections") > CLIENTS and cold_origin.of("/cold"))
        waiting.set()
        answers = [answer.result() for answer in answers]
    assert [answer.status for answer in answers] == [200] * CLIENTS
    assert all(answer.body == thing.data for answer in answers)
    assert all("stored" not in answer.cache_status for answer in answers)
    assert len(cold_origin.of("/cold")) <= 2, "but for one that was connected and asked when all was over"


def test_what_is_shared_without_being_stored_is_asked_for_again_later(full_node, cold_origin):
    thing = cold_origin.scripts["/later"] = Thing(900_000)
    for _ in range(2):
        answer = full_node.get("/later")
        assert (answer.status, answer.body) == (200, thing.data) and not answer.is_hit
    part = full_node.get("/later", "--header", "Range: bytes=5-104")
    assert (part.status, part.body) == (206, thing.data[5:105])
