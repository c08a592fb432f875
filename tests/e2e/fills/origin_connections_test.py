"""How many connections a node opens to one host of an origin."""

import concurrent.futures
import threading

import pytest

from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin


@pytest.fixture(scope="module")
def crowded_origin():
    with MisbehavingOrigin() as origin:
        yield origin


def cold(origin, name, count, together):
    """Paths whose requests are answered when `together` of them are at the origin at the same time."""
    barrier = threading.Barrier(together)

    def script(request, connection):
        try:
            barrier.wait(10)
        except threading.BrokenBarrierError:
            connection.head(500, "One After The Other", content_length=0)
            return
        connection.head(200, etag='"1"', cache_control="max-age=600", content_length=len(request.path))
        connection.send(request.path.encode())
    paths = [f"/{name}{number}" for number in range(count)]
    origin.scripts.update(dict.fromkeys(paths, script))
    return paths


def get_all(node, paths):
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(node.get, paths))
    assert [answer.status for answer in answers] == [200] * len(paths)
    assert [answer.body for answer in answers] == [path.encode() for path in paths]


def test_many_cold_objects_come_at_once(folder, crowded_origin):
    node = Node(folder / "usual", origins=[origin_table(crowded_origin)]).start()
    get_all(node, cold(crowded_origin, "usual", 60, together=60))
    node.stop()


def test_setting_is_kept_and_read_anew(folder, crowded_origin):
    node = Node(folder / "few", origins=[origin_table(crowded_origin)], max_connections_per_origin=4).start()
    crowded_origin.most_active = 0
    get_all(node, cold(crowded_origin, "few", 12, together=4))
    assert crowded_origin.most_active == 4
    node.config.write_text(node.config.read_text().replace("max_connections_per_origin = 4",
                                                           "max_connections_per_origin = 12"))
    assert "max_connections_per_origin" in node.cli("node", "reload").stdout
    get_all(node, cold(crowded_origin, "more", 12, together=12))
    node.stop()
