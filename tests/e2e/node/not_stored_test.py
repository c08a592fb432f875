"""Why an answer is not stored is told in the access log, in Cache-Status and by `larder explain`."""

import json

import pytest
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


def test_what_is_stored_has_no_such_reason(world):
    node, origin = world

    def answer(request, connection):
        connection.head(200, content_length=5, cache_control="max-age=60")
        connection.send(b"bytes")
    origin.scripts["/good"] = answer
    status = node.get("/good").headers["cache-status"]
    assert "; stored" in status and "detail" not in status
    assert "not_stored" not in json.loads(node.cli("explain", "http://packages.test/good", "--json").stdout)
