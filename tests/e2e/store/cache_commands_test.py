"""`larder cache`: what an administrator does with what a node has stored."""

import http.client
import json
import socket
import time

import pytest
from support.larder import Node, larder, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.wait import wait_until

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
    node.wait_until_stored()


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
    assert listed(cache, "--prefix", "HTTPS://packages.test/a/") == []
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


def test_variants_of_a_url_are_told_apart(tmp_path):
    with MisbehavingOrigin() as origin:
        def speaks(request, connection):
            connection.head(200, content_length=4, vary="Accept-Language", cache_control="max-age=60", etag='"a"')
            connection.send(b"text")
        origin.scripts["/text"] = speaks
        node = Node(tmp_path / "variants", origins=[origin_table(origin)]).start()
        try:
            for language in ("de", "en", "fr"):
                wait_until(lambda: node.get("/text", "--header", f"Accept-Language: {language}").is_hit)
            found = json.loads(node.cli("cache", "list", "--json").stdout)["objects"]
            assert {each["url"] for each in found} == {"http://packages.test/text"}
            assert len({each["variant"] for each in found}) == 3 and None in {each["variant"] for each in found}
            lines = node.cli("cache", "list").stdout.splitlines()
            assert "VARIANT" in lines[0] and len(set(lines[1:4])) == 3
        finally:
            node.stop()


def test_purge_of_what_is_not_there_says_so(cache, origin):
    store(cache, origin, "there.bin")
    url = "http://packages.test/there.bin"
    assert cache.cli("cache", "purge", url).stdout == f"purged {url}\n"
    assert cache.cli("cache", "purge", url).stdout == f"nothing was stored for {url}\n"


def test_a_lower_quota_is_applied_at_the_reload(cache, origin):
    for i in range(8):
        store(cache, origin, f"quota/{i}.bin", size=2 * MIB, host="other.test")

    def used():
        return next(each["used"] for each in stat(cache)["origins"] if each["name"] == "other")
    assert used() > 12 * MIB
    cache.config.write_text(cache.config.read_text().replace('quota = "20MB"', 'quota = "5MB"'))
    cache.cli("node", "reload")
    try:
        wait_until(lambda: used() <= 5_000_000)
        assert used() > 0
    finally:
        cache.config.write_text(cache.config.read_text().replace('quota = "5MB"', 'quota = "20MB"'))
        cache.cli("node", "reload")


def test_a_purge_holds_after_a_kill(cache, origin):
    store(cache, origin, *(f"k/{i}.bin" for i in range(5)))
    cache.cli("cache", "purge", "--prefix", "http://packages.test/k/")
    cache.kill()
    cache.start()
    assert not any(cache.get(f"/k/{i}.bin").is_hit for i in range(5))


def test_the_last_pin_says_what_to_do(cache):
    control = http.client.HTTPConnection("node")
    control.sock = socket.socket(socket.AF_UNIX)
    control.sock.connect(str(cache.state / "control.sock"))
    for i in range(500):
        control.request("POST", "/api/v1/cache/pin", json.dumps({"url": f"http://packages.test/limit/{i}"}))
        answer = control.getresponse()
        answer.read()
        assert answer.status == 200
    control.close()
    refused = cache.cli("cache", "pin", "http://packages.test/limit/500", check=False)
    assert refused.returncode == 1 and "unpin something first" in refused.stderr
    assert "is it running" not in refused.stderr


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
    wait_until(lambda: stat(cache)["pinned"] > 0, what="the background has found what is pinned")
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


def test_prefetch_takes_lists_of_other_systems(cache, origin):
    origin.write("f/bom.bin", 100)
    urls = cache.folder / "windows.txt"
    urls.write_bytes(b"\xef\xbb\xbfHTTP://packages.test/f/bom.bin\r\nhttp://packages.test/f/bom.bin\r\n")
    assert cache.cli("cache", "prefetch", "--list", urls).stdout == "http://packages.test/f/bom.bin  100 B  100 B from the origin\n"


def test_prefetch_names_the_lines_that_are_no_urls(cache):
    urls = cache.folder / "wrong.txt"
    urls.write_text("http://packages.test/a\n# b\nftp://packages.test/c\n")
    one = cache.cli("cache", "prefetch", "--list", urls, check=False)
    assert one.returncode == 1 and f'{urls}:3: "ftp://packages.test/c" is no URL' in one.stderr and not one.stdout
    urls.write_text("packages.test/a\n" * 15)
    many = cache.cli("cache", "prefetch", "--list", urls, check=False).stderr.splitlines()
    assert many[0].startswith(f"{urls}:1: ") and many[9].startswith(f"{urls}:10: ") and many[10:] == [f"{urls}: 5 more lines"]


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


@pytest.fixture
def scripted(tmp_path):
    """A node in front of an origin without ranges that answers everything with 6 MiB, and with the fields of the test."""
    fields = {}
    with MisbehavingOrigin() as origin:
        def answer(request, connection):
            connection.head(200, content_length=6 * MIB, **fields)
            connection.send(bytes(6 * MIB))
        origin.scripts["/whole"] = answer
        node = Node(tmp_path / "scripted", origins=[origin_table(origin)]).start()
        yield node, origin, fields
        node.stop()


def test_prefetch_keeps_its_rate_on_the_average_where_the_origin_sends_all_at_once(scripted):
    node, origin, fields = scripted
    fields.update(etag='"a"', cache_control="max-age=60", accept_ranges="none")
    began = time.monotonic()
    shown = node.cli("cache", "prefetch", "http://packages.test/whole", "--rate", "3MB").stdout
    assert time.monotonic() - began > 1.8
    assert "6.3 MB from the origin" in shown
    assert node.get("/whole").is_hit and len(origin.of("/whole")) == 1


def test_prefetch_says_what_was_not_stored_and_does_not_read_on(scripted):
    node, origin, fields = scripted
    fields.update(cache_control="no-store")
    done = node.cli("cache", "prefetch", "http://packages.test/whole", check=False)
    assert done.returncode == 1 and "http://packages.test/whole  not stored" in done.stderr
    assert "from the origin" not in done.stdout and "is the node running" not in done.stderr
    [event] = map(json.loads, node.cli("cache", "prefetch", "http://packages.test/whole", "--json",
                                       check=False).stdout.splitlines())
    assert event["event"] == "not-stored"


def test_prefetch_through_a_node_that_has_https_only(tmp_path, origin, authority):
    node = Node(tmp_path / "secure", origins=[origin_table(origin)], names=["node1.larder.test"], http_listen=[],
                client_trust=[str(authority.root)]).start()
    try:
        node.serve_https(authority)
        data = origin.write("secure.bin", 2 * MIB + 9)
        node.cli("cache", "prefetch", "http://packages.test/secure.bin")
        answer = node.get_tls("/secure.bin", authority.root)
        assert answer.is_hit and answer.body == data
    finally:
        node.stop()


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
