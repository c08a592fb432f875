"""`larder cache`: what an administrator does with what a node has stored."""

import json
import time

import pytest
from support.larder import Node, larder, origin_table

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path, origin):
    """A node with two origins that are the same server."""
    made = Node(tmp_path / "node", origins=[
        origin_table(origin, "packages", ["packages.test"]),
        origin_table(origin, "other", ["other.test"], quota="20MB")])
    made.start()
    yield made
    made.stop()


def stat(node):
    return json.loads(node.cli("cache", "stat", "--json").stdout)


def listed(node, *options):
    found = json.loads(node.cli("cache", "list", "--json", *options).stdout)
    assert found["complete"]
    return sorted(each["url"] for each in found["objects"])


def store(node, origin, *names, size=5000, host="packages.test"):
    for name in names:
        origin.write(name, size)
        node.get("/" + name, host=host)
        assert node.get("/" + name, host=host).is_hit


def test_stat_and_list_show_what_is_stored(cache, origin):
    store(cache, origin, "a/1.bin", "a/2.bin", "b/1.bin")
    store(cache, origin, "c/1.bin", size=2 * MIB + 5, host="other.test")
    facts = stat(cache)
    assert facts["objects"] == 4 and facts["slices"] == 6
    assert [drive["state"] for drive in facts["drives"]] == ["good"]
    used = {each["name"]: each for each in facts["origins"]}
    assert used["other"]["used"] > 2 * MIB and used["other"]["quota"] == 20_000_000
    assert listed(cache) == ["http://other.test/c/1.bin", "http://packages.test/a/1.bin", "http://packages.test/a/2.bin",
                             "http://packages.test/b/1.bin"]
    assert listed(cache, "--prefix", "http://packages.test/a/") == ["http://packages.test/a/1.bin",
                                                                     "http://packages.test/a/2.bin"]
    assert listed(cache, "--origin", "other") == ["http://other.test/c/1.bin"]
    shown = cache.cli("cache", "stat").stdout
    assert "objects: 4" in shown and "20.0 MB" in shown
    assert "http://packages.test/b/1.bin" in cache.cli("cache", "list").stdout
    assert cache.metric("larder_drive_missing") == 0
    assert cache.metric("larder_origin_stored_bytes") > 2 * MIB


def test_purge_takes_effect_at_once_and_only_where_it_says(cache, origin):
    store(cache, origin, "p/1.bin", "p/2.bin", "q/1.bin")
    store(cache, origin, "p/3.bin", host="other.test")
    cache.cli("cache", "purge", "http://packages.test/p/1.bin")
    assert not cache.get("/p/1.bin").is_hit
    assert cache.get("/p/2.bin").is_hit

    cache.cli("cache", "purge", "--prefix", "http://packages.test/p/")
    assert not cache.get("/p/2.bin").is_hit
    assert cache.get("/p/2.bin").is_hit, "what comes after a purge is stored"
    assert cache.get("/q/1.bin").is_hit
    assert cache.get("/p/3.bin", host="other.test").is_hit

    cache.cli("cache", "purge", "--origin", "packages")
    assert not cache.get("/q/1.bin").is_hit
    assert cache.get("/p/3.bin", host="other.test").is_hit


def test_a_purge_holds_after_a_kill(cache, origin):
    store(cache, origin, *(f"k/{i}.bin" for i in range(5)))
    cache.cli("cache", "purge", "--prefix", "http://packages.test/k/")
    cache.kill()
    cache.start()
    assert not any(cache.get(f"/k/{i}.bin").is_hit for i in range(5))


def test_mistakes_are_told(cache):
    for wrong, message in ((["http://elsewhere.test/x"], "not served here"), (["x"], "no URL"),
                           (["--origin", "nowhere"], "nothing was ever stored")):
        done = cache.cli("cache", "purge", *wrong, check=False)
        assert done.returncode == 1 and message in done.stderr, done
    assert cache.cli("cache", "purge", check=False).returncode == 2
    done = cache.cli("cache", "unpin", "http://packages.test/x", check=False)
    assert done.returncode == 1 and "not pinned" in done.stderr


def test_pins_are_kept_and_listed(cache, origin):
    store(cache, origin, "keep/1.bin")
    cache.cli("cache", "pin", "--prefix", "http://packages.test/keep/")
    deadline = time.monotonic() + 10
    while stat(cache)["pinned"] == 0:
        assert time.monotonic() < deadline, "the background has not found what is pinned"
    assert "http://packages.test/keep/" in cache.cli("cache", "pins").stdout
    cache.kill()
    cache.start()
    assert stat(cache)["pinned"] > 0
    cache.cli("cache", "unpin", "--prefix", "http://packages.test/keep/")
    assert json.loads(cache.cli("cache", "pins", "--json").stdout) == {"pins": []}


def test_prefetch_fills_through_the_node(cache, origin):
    for name, size in (("f/small.bin", 4096), ("f/large.bin", 3 * MIB + 77), ("f/empty.bin", 0)):
        origin.write(name, size)
    urls = cache.folder / "urls.txt"
    urls.write_text("# monday\nhttp://packages.test/f/small.bin\n\n  http://packages.test/f/large.bin  \n")
    lines = cache.cli("cache", "prefetch", "--list", urls, "--json").stdout.splitlines()
    done = [event for event in map(json.loads, lines) if event["event"] == "done"]
    assert [each["bytes"] for each in done] == [4096, 3 * MIB + 77]
    assert [each["from_origin"] for each in done] == [4096, 3 * MIB + 77]
    asked = len(origin.requests())
    assert cache.get("/f/large.bin").is_hit and cache.get("/f/small.bin").is_hit
    again = cache.cli("cache", "prefetch", "http://packages.test/f/large.bin").stdout
    assert "was there" in again
    assert len(origin.requests()) == asked


def test_prefetch_keeps_its_rate(cache, origin):
    origin.write("r/large.bin", 4 * MIB)
    began = time.monotonic()
    cache.cli("cache", "prefetch", "http://packages.test/r/large.bin", "--rate", "2MB")
    assert time.monotonic() - began > 1.5


def test_prefetch_says_what_failed(cache, origin):
    origin.write("g/good.bin", 10)
    done = cache.cli("cache", "prefetch", "http://packages.test/g/none.bin", "http://packages.test/g/good.bin",
                     "http://elsewhere.test/x", check=False)
    assert done.returncode == 1
    assert "g/none.bin  failed: status 404" in done.stderr and "2 of 3" in done.stderr
    assert "g/good.bin  10 B" in done.stdout


def test_verify_finds_a_flipped_bit_and_that_slice_alone_is_fetched_again(cache, origin):
    data = origin.write("v/large.bin", 3 * MIB)
    cache.get("/v/large.bin")
    store(cache, origin, "v/small.bin")
    assert "all right" in cache.cli("cache", "verify").stdout
    [path] = [path for path in (cache.folder / "cache/objects").rglob("*") if path.is_file()]
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size - MIB - 100)
        file.write(b"?")
    done = cache.cli("cache", "verify", "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["lost"] == 1
    before = len(origin.requests("/v/large.bin"))
    assert cache.get("/v/large.bin").body == data
    [request] = origin.requests("/v/large.bin")[before:]
    assert request["range"] == f"bytes={MIB}-{2 * MIB - 1}"


def test_help_has_examples():
    assert "larder cache prefetch --list" in larder("cache", "prefetch", "--help").stdout
