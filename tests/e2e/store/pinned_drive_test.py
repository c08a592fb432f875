"""A drive that holds nothing but what is pinned passes what is new through, and says so."""

import json

from support.larder import Node, origin_table
from support.wait import wait_until

MIB = 1 << 20


def test_drive_full_of_pins_passes_through_and_is_told(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], drive_size="64MiB").start()
    try:
        node.cli("cache", "pin", "--prefix", "http://packages.test/")
        bodies = [origin.write(f"pinned{number}.bin", 8 * MIB) for number in range(12)]
        for number, body in enumerate(bodies):
            assert node.get(f"/fresh/pinned{number}.bin").body == body
        wait_until(lambda: node.metric("larder_drive_not_evictable_total"), what="something that found no room")
        alerts = wait_until(lambda: json.loads(node.admin("/readyz").body).get("alerts"), what="the alert")
        assert any("is full of what is pinned" in alert for alert in alerts)
        assert node.get("/fresh/pinned0.bin").is_hit
    finally:
        node.stop()
