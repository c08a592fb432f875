"""`larder get` of a URL, without any site: by a cache node, and past it when it is no help."""

import hashlib
import json

import pytest

from support.larder import PROGRAM, Node, larder, origin_table
from support.ports import free_port
from support.program import Program
from support.relay import Relay


def get(url, folder, *options, check=True):
    return larder("get", url, "--output", folder, *options, check=check)


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    return folder


def url_of(origin, name):
    """As a device knows it; the node has an origin for that host."""
    return f"http://localhost:{origin.port}/{name}"


@pytest.fixture(scope="module")
def cache(folder, origin):
    node = Node(folder / "cache", origins=[origin_table(origin, hosts=["localhost"])]).start()
    yield node
    node.stop()


def test_comes_from_the_cache_host(cache, origin, target):
    data = origin.write("cached.bin", 4_000_000)
    sha = hashlib.sha256(data).hexdigest()
    before = cache.metric("larder_requests_total")
    get(url_of(origin, "cached.bin"), target, "--cache-host", f"127.0.0.1:{cache.http_port}", "--sha256", sha)
    assert (target / "cached.bin").read_bytes() == data
    assert cache.metric("larder_requests_total") > before


def test_falls_back_when_nobody_listens(origin, target):
    data = origin.write("refused.bin", 1_000_000)
    get(url_of(origin, "refused.bin"), target, "--cache-host", f"127.0.0.1:{free_port()}")
    assert (target / "refused.bin").read_bytes() == data


def test_falls_back_in_the_middle_and_keeps_what_it_has(cache, origin, target):
    data = origin.write("broken.bin", 6_000_000)
    with Relay(("127.0.0.1", cache.http_port), cut_after=2_000_000) as relay:
        get(url_of(origin, "broken.bin"), target, "--cache-host", f"127.0.0.1:{relay.port}")
    assert (target / "broken.bin").read_bytes() == data


def test_wrong_hash_leaves_no_file(origin, target):
    origin.write("wrong.bin", 1000)
    done = get(url_of(origin, "wrong.bin"), target, "--sha256", "0" * 64, check=False)
    assert done.returncode == 1
    assert not (target / "wrong.bin").exists()


def test_missing_file_is_an_error_that_says_so(origin, target):
    done = get(url_of(origin, "absent.bin"), target, check=False)
    assert done.returncode == 1 and "404" in done.stdout + done.stderr
    assert list(target.iterdir()) == []


def test_resumes_after_kill(origin, target):
    data = origin.write("slowly.bin", 6 << 20)
    program = Program([PROGRAM, "get", url_of(origin, "slow/slowly.bin"), "--output", target], target.parent / "get.log")
    program.start()
    program.wait_for(lambda: any(file.stat().st_size > 1 << 20 for file in target.glob("*.larder-part*")))
    program.kill()
    assert not (target / "slowly.bin").exists()
    asked = origin.saw("/slow/slowly.bin")
    get(url_of(origin, "slow/slowly.bin"), target)
    assert (target / "slowly.bin").read_bytes() == data
    sent = sum(seen["bytes"] for seen in origin.requests("/slow/slowly.bin")[len(asked):])
    assert sent <= len(data) - (1 << 20)


def test_json_events_are_lines(origin, target):
    origin.write("events.bin", 100_000)
    done = get(url_of(origin, "events.bin"), target, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    assert events and any("events.bin" in json.dumps(event) for event in events)


def test_wrong_usage_is_exit_code_2():
    assert larder("get", check=False).returncode == 2
    assert larder("no-such-command", check=False).returncode == 2
