"""What an operator sees of a node."""

import json

from support.curl import curl
from support.larder import Node, origin_table
from support.wait import wait_until


def test_health_and_readiness(node):
    assert node.admin("/healthz").status == 200
    assert node.admin("/readyz").status == 200


def test_admin_port_refuses_other_hosts_and_changes(node):
    assert node.admin("/metrics", "-H", "Host: rebound.example.org").status in (400, 403, 421)
    assert node.admin("/metrics", "--request", "POST").status in (404, 405)


def test_metrics_count_hits_and_misses(node, origin):
    origin.write("counted.bin", 1000)
    node.get("/counted.bin")
    node.get("/counted.bin")
    text = node.admin("/metrics").body.decode()
    assert "# TYPE larder_" in text
    assert "counted.bin" not in text


def test_access_log_gives_the_reason_and_hides_query_values(node, origin):
    origin.write("logged.bin", 1000)
    curl(f"{node.http}/logged.bin?sig=very-secret-signature&cacheHostOrigin=packages.test")
    log = node.state / "log/access.log"
    line = wait_until(lambda: [line for line in log.read_text().splitlines() if "/logged.bin" in line])[-1]
    assert "very-secret-signature" not in line
    assert "packages.test" in line


def test_access_log_as_json_says_which_part_who_asked_for_and_where_it_came_from(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], access_log_json=True).start()
    try:
        body = origin.write("pieces.bin", 3 << 20)
        for _ in range(4):  # from the origin, the store, and the store once more in the same second
            assert node.get("/pieces.bin", "--range", "0-99", "--user-agent", 'Tool "1.0"').body == body[:100]
        log = node.state / "log/access.log"
        lines = wait_until(lambda: len(found := [json.loads(line) for line in log.read_text().splitlines()]) >= 4 and found)
    finally:
        node.stop()
    assert {(line["range"], line["user_agent"], line["status"]) for line in lines} == {("bytes=0-99", 'Tool "1.0"', 206)}
    lines.sort(key=lambda line: line["time"])  # each loop writes its own lines when it has some
    assert (lines[0]["cache"], lines[0]["from_store"], lines[0]["from_origin"]) == ("miss", 0, 100)
    assert {(line["cache"], line["from_store"], line["from_origin"]) for line in lines[1:]} == {("hit", 100, 0)}


def test_check_accepts_the_file_in_use(node):
    node.cli("node", "check")
