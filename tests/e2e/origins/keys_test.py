"""What is one object: aliases, parameters that do not choose, spellings of a path; and profiles that an administrator adds."""

import pathlib
import signal

import pytest

from support.curl import curl
from support.larder import Node
from support.network import PUBLIC, PUBLIC2
from support.origin import Origin
from support.wait import wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def cdn(folder, net):
    """Two edges of one CDN, with different entity tags for the same bytes."""
    net.left.set_hosts({"edge1.test": PUBLIC, "edge2.test": PUBLIC2, "edge3.test": PUBLIC2, "plain.test": PUBLIC})
    edges = [Origin(folder / name, address=address, namespace=net.right, port=80, extra="absolute_redirect off;").start()
             for name, address in (("one", PUBLIC), ("two", PUBLIC2))]
    yield edges
    for edge in edges:
        edge.stop()


@pytest.fixture(scope="module")
def node(folder, net, cdn):
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "mine.toml").write_text("""
[profile]
name = "mine"
text = "A CDN"
[[origin]]
name = "cdn"
hosts = ["edge1.test", "edge2.test"]
aliases = ["edge2.test = edge1.test"]
scheme = "http"
public = true
ignore_query = ["P1", "P2"]
sort_query = true
normalize_path = true
""")
    node = Node(folder / "node", address=net.left_address, namespace=net.left, profiles=["mine"],
                profile_dir=str(profiles), origins=[{"name": "plain", "hosts": ["plain.test"], "scheme": "http"}]).start()
    yield node
    node.stop()


@pytest.fixture
def get(node, net):
    return lambda path, *options, host="edge1.test": node.get(path, *options, host=host, namespace=net.left)


def test_object_under_two_names_is_stored_once(get, cdn):
    data = cdn[0].write("file", 50_000)
    assert get("/file").body == data
    assert get("/file", host="edge2.test").is_hit
    assert cdn[1].requests() == []


def test_parts_come_from_the_edge_that_began(get, cdn):
    data = cdn[0].write("parts", 12 * MIB)
    cdn[1].write("parts", data, age=20 * 86400)  # the same bytes with another entity tag
    assert get("/parts", "-H", f"Range: bytes=0-{MIB - 1}").body == data[:MIB]
    assert get("/parts", host="edge2.test").body == data
    assert cdn[1].requests("/parts") == [], "its tag would have begun another object"


def test_signatures_and_order_do_not_choose(get, cdn):
    cdn[0].write("query", 1000)
    get("/query?b=1&P1=one&a=2")
    assert get("/query?a=2&P2=two&b=1").is_hit
    assert not get("/query?a=3&b=1").is_hit
    assert [seen["target"] for seen in cdn[0].saw("/query", 2)] == ["/query?b=1&P1=one&a=2", "/query?a=3&b=1"]


def test_needless_encoding_does_not_choose(get, cdn):
    cdn[0].write("a-~b", 1000)
    get("/%61%2D%7eb")
    assert get("/a-~b").is_hit
    assert [seen["target"] for seen in cdn[0].saw("/a-~b")] == ["/a-~b"]


def test_without_the_settings_every_spelling_is_an_object_of_its_own(get, cdn):
    cdn[0].write("own", 1000)
    targets = ["/own?b=1&a=2", "/own?a=2&b=1", "/%6fwn?b=1&a=2", "/own?b=1&a=2&P1=x", "/own?", "/own"]
    for target in targets:
        assert not get(target, host="plain.test").is_hit, target
        assert get(target, host="plain.test").is_hit, target
    cdn[0].saw("/own", 5)
    assert [seen["target"] for seen in cdn[0].requests() if seen["host"] == "plain.test"] == targets


def test_every_origin_parameter_is_removed(node, net, cdn):
    cdn[0].write("removed", 1000)
    answer = curl(f"{node.http}/removed?cacheHostOrigin=evil.test&a=1&CacheHostOrigin=x.test&b=2&cacheHostOrigin=plain.test",
                  namespace=net.left)
    assert answer.status == 200
    assert [seen["target"] for seen in cdn[0].saw("/removed")] == ["/removed?a=1&b=2"]


def test_credentials_do_not_go_to_hosts_of_profiles(get, cdn):
    cdn[0].write("public", 1000)
    assert get("/public", "--user", "somebody:some-password").status == 200
    assert "auth=-|" in cdn[0].fields_of("/public")


@pytest.mark.parametrize("host", ["plain.test:81", "plain.test:8080", "PLAIN.test.evil.test", "xplain.test", "x.plain.test",
                                  "plain.test..", "pl%2561in.test", "plain-.test"])
def test_near_misses_are_refused(get, node, net, host):
    assert get("/x", host=host).status in (400, 403)
    assert curl(f"{node.http}/x?cacheHostOrigin={host}", namespace=net.left).status in (400, 403)


def test_profiles_are_renewed_without_a_restart(get, node, cdn):
    """A signal is enough; a wrong file changes nothing."""
    data = cdn[1].write("renewed", 1000)
    file = pathlib.Path(node.folder).parent / "profiles/mine.toml"
    before = file.read_text()
    assert get("/renewed", host="edge3.test").status == 403
    process = node.program.process
    try:
        file.write_text(before.replace('"edge2.test"]\n', '"edge2.test", "edge3.test"]\n'))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: get("/renewed", host="edge3.test").body == data)
        file.write_text(before.replace("hosts", "hostss"))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "[[origin]] hostss: there is no such setting" in node.program.log.read_text())
        assert get("/renewed", host="edge3.test").is_hit
    finally:
        file.write_text(before)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: get("/renewed", host="edge3.test").status == 403)


def test_wrong_profile_refuses_the_folder(folder, net):
    profiles = folder / "wrong"
    profiles.mkdir()
    (profiles / "a.toml").write_text('[profile]\nname = "a"\ntext = "A"\n[[origin]]\nname = "a"\nhosts = ["a.test"]\n'
                                     'url = "http://10.0.0.1"\n')
    node = Node(folder / "checked", name="node2", profile_dir=str(profiles))
    done = node.cli("node", "check", check=False)
    assert done.returncode == 1
    assert "a.toml:4: [[origin]] url: not in a profile" in done.stdout + done.stderr
