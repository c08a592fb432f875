"""Why an answer is not stored is told in the access log, in Cache-Status and by `larder explain`."""

import json

import pytest
from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.wait import wait_until


@pytest.fixture(scope="module")
def world(folder):
    with MisbehavingOrigin() as origin:
        node = Node(folder / "not_stored", origins=[origin_table(origin)]).start()
        yield node, origin
        node.stop()


@pytest.mark.parametrize("name, fields, why", [
    ("no-store", {"cache_control": "no-store"}, "no-store"),
    ("private", {"cache_control": "private"}, "private"),
    ("cookie", {"set_cookie": "a=b"}, "Set-Cookie"),
    ("unverifiable", {}, "neither fresh nor verifiable"),
    ("vary", {"vary": "*", "cache_control": "max-age=60"}, "Vary: *"),
])
def test_reason_is_told(world, name, fields, why):
    node, origin = world

    def answer(request, connection):
        connection.head(200, content_length=5, **fields)
        connection.send(b"bytes")
    origin.scripts[f"/{name}"] = answer
    got = node.get(f"/{name}")
    assert got.body == b"bytes"
    status = got.headers["cache-status"]
    assert f'detail="{why}"' in status and "; stored" not in status, status
    log = node.state / "log/access.log"
    line = wait_until(lambda: next((each for each in log.read_text().splitlines() if f"/{name} " in each), None))
    assert why.replace(" ", "-") in line.split(), line
    told = json.loads(node.cli("explain", f"http://packages.test/{name}", "--json").stdout)
    assert told["stored"] is None and told["not_stored"]["reason"] == why
    assert f"because of: {why}" in node.cli("explain", f"http://packages.test/{name}").stdout


@pytest.mark.parametrize("name, options", [("whole", ()), ("part", ("--range", "0-99"))])
def test_what_no_drive_takes_is_no_fault_of_the_answer(tmp_path, name, options):
    with MisbehavingOrigin() as origin:
        for number in range(6):
            origin.scripts[f"/pinned/{number}"] = Thing(4 << 20)
        origin.scripts["/large"] = Thing(20 << 20)
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        node.cli("cache", "pin", "--prefix", "http://packages.test/pinned/")
        for number in range(6):
            node.get(f"/pinned/{number}")
        node.wait_until_stored()
        # What is pinned is more than the origin may have now: nothing can go for what comes.
        node.stop()
        node.config.write_text(node.config.read_text() + 'quota = "20MB"\n')
        node.start()
        answer = node.get("/large", *options)
        told = json.loads(node.cli("explain", "http://packages.test/large", "--json").stdout)
        prefetched = node.cli("cache", "prefetch", "http://packages.test/large", check=False)
        node.stop()
    assert 'detail="no drive took it"' in answer.cache_status
    assert told["not_stored"]["reason"] == "no drive took it"
    assert prefetched.returncode == 1 and "/large  not stored: no drive took it" in prefetched.stderr


def test_what_is_stored_has_no_such_reason(world):
    node, origin = world

    def answer(request, connection):
        connection.head(200, content_length=5, cache_control="max-age=60")
        connection.send(b"bytes")
    origin.scripts["/good"] = answer
    status = node.get("/good").headers["cache-status"]
    assert "; stored" in status and "detail" not in status
    assert "not_stored" not in json.loads(node.cli("explain", "http://packages.test/good", "--json").stdout)
