"""Caps on what comes from origins: never more than they say, never a client that starves, and changes count at once."""

import concurrent.futures
import time

import pytest

from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.wait import wait_until

MIB = 1 << 20
KIB = 1 << 10


@pytest.fixture(scope="module")
def quick_origin():
    with MisbehavingOrigin() as origin:
        for number in range(20):
            origin.scripts[f"/{number}"] = Thing(200 * KIB)
            origin.scripts[f"/short{number}"] = Thing(100 * KIB)
        origin.scripts["/large"] = Thing(6 * MIB)
        yield origin


def capped_node(folder, origin, name, **settings):
    tables = settings.pop("origins", [origin_table(origin)])
    return Node(folder / name, origins=tables, **settings).start()


def test_cap_is_kept_and_shared(folder, quick_origin):
    node = capped_node(folder, quick_origin, "kept", upstream_rate=["1MB"])
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: node.get(f"/{number}"), range(8)))
    took = time.monotonic() - started
    assert all(answer.status == 200 and len(answer.body) == 200 * KIB for answer in answers)
    # 1.6 MB at 1 MB/s, less the bursts that a bucket lets through.
    assert took > 1.0
    node.stop()


def test_what_a_cap_cannot_feed_is_refused_at_once(folder, quick_origin):
    """128 KiB/s feed two; a third client goes to the origin instead of waiting."""
    node = capped_node(folder, quick_origin, "fed", upstream_rate=["131073"])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: node.get(f"/short{number}"), range(8)))
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(served) + len(refused) == 8 and 2 <= len(served) < 8
    assert all(answer.facts["time_total"] < 2 for answer in refused)
    assert node.metric("larder_upstream_refused_total") == len(refused)
    # Who was served was fed.
    assert all(len(answer.body) == 100 * KIB for answer in served)
    wait_until(lambda: node.metric("larder_fills_running") == 0)
    assert node.get("/short15").status == 200, "room again"
    node.stop()


def test_cap_of_one_origin_is_its_own_and_live(folder, quick_origin):
    tables = [origin_table(quick_origin, upstream_rate=["0"]), origin_table(quick_origin, "other", ["other.test"])]
    node = capped_node(folder, quick_origin, "own", origins=tables)
    assert node.get("/1").status == 503
    # What would be passed on comes from the same line.
    assert node.get("/1", "-H", "Authorization: Basic eDp5").status == 503
    assert node.get("/1", "--head").status == 503
    assert node.metric("larder_upstream_refused_total") == 3
    assert node.get("/1", host="other.test").status == 200
    text = node.config.read_text()
    node.config.write_text(text.replace('upstream_rate = ["0"]', 'upstream_rate = ["mon-sun 00:00-24:00 50MB", "0"]'))
    node.cli("node", "reload")
    assert node.get("/1").status == 200
    node.config.write_text(text)
    node.cli("node", "reload")
    assert node.get("/1").is_hit
    assert node.get("/2").status == 503
    node.stop()


def test_what_is_stored_in_part_is_refused_before_it_is_promised(folder, quick_origin):
    node = capped_node(folder, quick_origin, "part")
    data = quick_origin.scripts["/large"].data
    assert node.get("/large", "--range", f"0-{2 * MIB - 1}").body == data[:2 * MIB]
    node.wait_until_stored()
    node.config.write_text(node.config.read_text().replace("[node]", '[node]\nupstream_rate = ["0"]', 1))
    node.cli("node", "reload")
    assert node.get("/large", "--range", f"0-{2 * MIB - 1}").is_hit
    for span in (f"0-{6 * MIB - 1}", f"{MIB + 100}-{3 * MIB}", f"{4 * MIB + 100}-{5 * MIB}"):
        assert node.get("/large", "--range", span).status == 503, span
    node.config.write_text(node.config.read_text().replace('upstream_rate = ["0"]', ""))
    node.cli("node", "reload")
    assert node.get("/large").body == data
    node.stop()


def test_wrong_schedule_is_refused(folder, quick_origin):
    node = Node(folder / "wrong", origins=[origin_table(quick_origin)], upstream_rate=["8-18 fast"])
    checked = node.cli("node", "check", check=False)
    assert checked.returncode != 0 and "upstream_rate" in checked.stdout + checked.stderr


def test_new_cap_counts_for_a_download_that_runs(folder, quick_origin):
    node = capped_node(folder, quick_origin, "runs", upstream_rate=["600KB"])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        download = pool.submit(node.get, "/large")
        wait_until(lambda: (node.metric("larder_origin_bytes_total") or 0) > 200_000)
        node.config.write_text(node.config.read_text().replace('["600KB"]', '["30MB"]'))
        node.cli("node", "reload")
        answer = download.result()
    assert answer.status == 200 and answer.body == quick_origin.scripts["/large"].data
    assert answer.facts["time_total"] < 9, "6 MiB at the old rate take more than ten seconds"
    node.stop()


def test_cap_of_a_table_counts_where_a_profile_has_one_of_its_name(folder, quick_origin):
    table = origin_table(quick_origin, "windows-update", upstream_rate=["0"])
    node = capped_node(folder, quick_origin, "named", origins=[table], profiles=["windows-update"])
    assert node.get("/1").status == 503
    node.stop()
