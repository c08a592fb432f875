"""Section 2: the address that the client makes of the origin's."""

import pytest

from support.do_client import rewrite

HOST = "origin.do.test"


@pytest.mark.contract("CC-2.1")
def test_origin_goes_into_the_last_parameter(world):
    data = world.files.write("rewritten.bin", 1000)
    assert rewrite(f"http://{HOST}/rewritten.bin?a=b#part", "node:81") == \
        f"http://node:81/rewritten.bin?a=b&cacheHostOrigin={HOST}"
    assert rewrite(f"http://{HOST}/rewritten.bin", "node") == f"http://node/rewritten.bin?cacheHostOrigin={HOST}"
    done = world.client().download(f"http://{HOST}/rewritten.bin?a=b#part")
    assert done.content == data
    assert world.files.saw("/rewritten.bin")[0]["target"] == "/rewritten.bin?a=b"


@pytest.mark.contract("CC-2.2")
def test_scheme_is_kept(world, authority):
    data = world.files.write("scheme.bin", 1000)
    client = world.client(cache_host=f"127.0.0.1:{world.node.https_port}", trust=authority.root)
    done = client.download(f"https://{HOST}/scheme.bin")
    assert (done.places, done.content) == (["cache"], data)
    named = world.client(cache_host=f"node1.larder.test:{world.node.https_port}", trust=authority.root,
                         resolve={"node1.larder.test": "127.0.0.1"})
    assert named.download(f"https://{HOST}/scheme.bin").places == ["cache"]


@pytest.mark.contract("CC-2.3")
def test_port_of_the_origin_is_not_told_and_comes_from_the_table(world):
    """The client asks the node on the origin's port when the setting names none; the node's table knows the origin's."""
    data = world.files.write("port.bin", 1000)
    assert world.files.port != world.node.http_port
    client = world.client(cache_host="127.0.0.1")
    done = client.download(f"http://{HOST}:{world.node.http_port}/port.bin", most_attempts=1)
    assert (done.places, done.content) == (["cache"], data)


@pytest.mark.contract("CC-2.4")
def test_two_ports_never_reach_a_node(world):
    done = world.client().download(f"http://{HOST}:8001/x")
    assert (done.state, done.error) == ("Paused", "0x800C0002")


@pytest.mark.contract("CC-2.5")
def test_path_and_other_parameters_reach_the_origin_byte_for_byte(world):
    data = world.files.write("pub/a b/x+y.bin", 1000)
    target = "/pub/a%20b/x+y.bin?P1=abc%20d&P2=%2f+%7E&&empty=&flag"
    done = world.client().download(f"http://Origin.DO.test{target}")
    assert done.content == data
    assert b"cacheHostOrigin=origin.do.test HTTP/1.1\r\n" in done.attempts[0].request
    assert world.files.saw("/pub/a%20b/x+y.bin")[-1]["target"] == target


@pytest.mark.contract("CC-2.6")
def test_password_in_the_address_is_for_that_client_alone(world):
    """It reaches the node as Authorization: what the origin answers is neither kept nor given to others."""
    body = b"private" * 100
    seen = []

    def private(request, connection):
        seen.append(request.field("Authorization"))
        connection.head(200 if request.field("Authorization") else 404, content_length=len(body),
                        cache_control="max-age=600")
        connection.send(body)

    address = world.script("private", private)
    client = world.client()
    with_password = address.replace("://", "://larder-user:larder-password-in-a-url@")
    assert client.download(with_password).content == body
    assert seen == ["Basic bGFyZGVyLXVzZXI6bGFyZGVyLXBhc3N3b3JkLWluLWEtdXJs"]
    other = client.download(address, most_attempts=1)
    assert other.attempts[0].status == 404 and seen[-1] is None
    logs = (world.node.state / "log/access.log").read_text() + world.node.program.log.read_text()
    assert "bGFyZGVyLXVzZXI6" not in logs and "larder-password" not in logs


@pytest.mark.contract("CC-2.7")
def test_host_field_is_the_nodes_own(world):
    """By any name and with any port: only the parameter says which origin is meant."""
    data = world.files.write("host.bin", 1000)
    from support.raw import exchange, split
    for host in (world.cache_host, "127.0.0.1", "node1.larder.test", "alias.of.the.node.example", "[::1]:80"):
        answer = exchange(world.node, f"GET /host.bin?cacheHostOrigin={HOST} HTTP/1.1\r\nHost: {host}\r\n"
                          "Connection: close\r\n\r\n".encode())
        assert split(answer)[::2] == (200, data), host
