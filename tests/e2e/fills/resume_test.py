"""Fills that end half way: what came is kept, what is missing is asked for."""

import threading

import pytest

from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.wait import wait_until

MIB = 1 << 20


def test_node_that_was_killed_fetches_only_what_is_missing(folder, bad_origin):
    thing = Thing(12 * MIB)
    held = threading.Event()

    def half(request, connection):
        data = thing.begin(request, connection)
        if held.is_set():
            return connection.send(data)
        held.set()
        connection.send(data[:6 * MIB + 1000])
        connection.hold()
    bad_origin.scripts["/killed"] = half
    node = Node(folder / "killed", origins=[origin_table(bad_origin)]).start()
    assert node.get("/killed", "--max-time", "2").exit_code == 28
    # A slice counts when its record is on its way to the disk; kill -9 does not undo that.
    wait_until(lambda: node.metric("larder_fill_memory_bytes") <= 2 * MIB)
    node.kill()
    node.start()
    answer = node.get("/killed")
    assert answer.status == 200 and answer.body == thing.data
    later = bad_origin.of("/killed")[1:]
    assert later and min(request.range[0] for request in later) >= 5 * MIB
    assert sum(request.sent() for request in later) <= 7 * MIB + 20_000
    node.stop()


def test_gap_is_filled_between_what_is_there(bad_node, bad_origin):
    thing = bad_origin.scripts["/gap"] = Thing(12 * MIB)
    for first in (0, 8):
        part = bad_node.get("/gap", "--header", f"Range: bytes={first * MIB}-{(first + 2) * MIB - 1}")
        assert (part.status, part.body) == (206, thing.data[first * MIB:(first + 2) * MIB])
    asked = len(bad_origin.of("/gap"))
    assert bad_node.get("/gap").body == thing.data
    spans = sorted(request.range for request in bad_origin.of("/gap")[asked:])
    assert all(2 * MIB <= first and (last < 8 * MIB or first >= 10 * MIB) for first, last in spans), spans
    assert sum(last - first + 1 for first, last in spans) == 8 * MIB


@pytest.mark.parametrize("status, told", [(429, 503), (500, 502)])
def test_trouble_that_passes_is_told_as_such_when_a_part_is_missing(bad_node, bad_origin, status, told):
    path = f"/rest-{status}"
    thing, is_well = Thing(4 * MIB), threading.Event()
    is_well.set()

    def script(request, connection):
        if is_well.is_set():
            return thing(request, connection)
        connection.head(status, "Not Now", content_length=0)
    bad_origin.scripts[path] = script
    assert bad_node.get(path, "--range", f"0-{MIB - 1}").body == thing.data[:MIB]
    is_well.clear()
    assert bad_node.get(path, "--range", f"{2 * MIB}-{3 * MIB - 1}").status == told
    assert bad_node.get(path, "--range", f"0-{MIB - 1}").is_hit, "what is here is served"
