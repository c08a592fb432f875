"""Section 1: however the client was told of the node, the node serves what then arrives."""

import json
import socket

import pytest

from support.do_client import cache_host_from
from support.raw import exchange
from support.wait import wait_until

HOST, MIB = "origin.do.test", 1 << 20


@pytest.fixture(scope="module")
def data(world):
    return world.files.write("configured.bin", 200_000)


def configure(folder, admin=None, sdk=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, settings in (("admin-config.json", admin), ("sdk-config.json", sdk)):
        if settings is not None:
            (folder / name).write_text(json.dumps(settings))
    return folder


def download(world, settings, **options):
    return world.client(settings=settings, **options).download(f"http://{HOST}/configured.bin")


@pytest.mark.contract("CC-1.1")
def test_by_the_administrators_file(world, data, tmp_path):
    done = download(world, configure(tmp_path, {"DOCacheHost": world.cache_host}))
    assert (done.places, done.content) == (["cache"], data)


@pytest.mark.contract("CC-1.2")
@pytest.mark.parametrize("text", ["HostName=h;GatewayHostName={};SharedAccessKey=k", "gatewayhostname={}"])
def test_by_the_connection_string_of_an_iot_hub(world, data, tmp_path, text):
    done = download(world, configure(tmp_path, sdk={"ADUC_IoTConnectionString": text.format(world.cache_host)}))
    assert (done.places, done.content) == (["cache"], data)


@pytest.mark.contract("CC-1.3")
def test_client_that_waits_before_it_falls_back_finds_the_node_again(world):
    """The node keeps no failure that its origin did not tell it to keep: the next attempt asks anew."""
    body, answers = b"z" * 50_000, [503, 503]

    def recovers(request, connection):
        if answers:
            connection.head(answers.pop(), "Busy", content_length=0)
        else:
            connection.head(200, content_length=len(body))
            connection.send(body)

    address = world.script("recovers", recovers)
    done = world.client(delay=60).download(address)
    assert (done.places, done.content) == (["cache"] * 3, body)


@pytest.mark.contract("CC-1.4")
@pytest.mark.parametrize("request_line, host", [
    ("GET /download/create?Uri=http%3A%2F%2Fa%2Fb&cacheHostOrigin={0}", "{1}"),
    ("GET http://{0}/download/create?Uri=http%3A%2F%2Fa%2Fb", "{0}"),
    ("GET /download/create?Uri=http%3A%2F%2Fa%2Fb", "{0}"),
    ("POST http://{0}/download/create?Uri=http%3A%2F%2Fa%2Fb", "{0}"),
])
def test_node_leads_nobody_to_a_clients_own_interface(world, request_line, host):
    """It trusts who asks from its own machine, and a node may run there: as a way around that it must not serve."""
    with socket.create_server(("127.0.0.1", 0)) as interface:
        interface.settimeout(0.2)
        address = f"127.0.0.1:{interface.getsockname()[1]}"
        received = exchange(world.node, (request_line + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n")
                            .format(address, world.cache_host).encode(), until="answer")
        # 404 where the address is the node's own as well.
        assert received[:13] in (b"HTTP/1.1 403 ", b"HTTP/1.1 404 "), received[:200]
        with pytest.raises(TimeoutError):
            interface.accept()


@pytest.mark.contract("CC-1.5")
def test_administrators_file_wins_even_when_it_is_empty(world, data, tmp_path):
    sdk = {"ADUC_IoTConnectionString": f"GatewayHostName={world.cache_host}"}
    before = world.node.metric("larder_requests_total")
    done = download(world, configure(tmp_path, {"DOCacheHost": ""}, sdk))
    assert (done.places, done.content) == (["origin"], data)
    assert world.node.metric("larder_requests_total") == before
    assert cache_host_from(configure(tmp_path, {"DOCacheHost": "other"}, sdk)) == "other"


@pytest.mark.contract("CC-1.6")
def test_without_any_setting_the_node_is_not_found(world, data, tmp_path):
    """There is no discovery that a node could answer."""
    assert download(world, configure(tmp_path)).places == ["origin"]


@pytest.mark.contract("CC-1.7")
def test_node_that_is_named_in_the_middle_of_a_download_serves_the_rest(world, tmp_path):
    data = world.files.write("middle.bin", 5 * MIB)
    address = f"http://{HOST}/middle.bin"
    settings = configure(tmp_path, {"DOCacheHost": ""})
    client = world.client(settings=settings)
    part = client.download(address, stop_after=3 * MIB + 100)
    assert part.places == ["origin"]
    configure(tmp_path, {"DOCacheHost": world.cache_host})
    done = client.download(address, continued=part)
    assert (done.places, done.content) == (["origin", "cache"], data)


@pytest.mark.contract("CC-1.8")
def test_host_with_and_without_a_path_before_the_origins(world, data, tmp_path):
    """A path in the setting stays in front: it is part of what the node asks the origin for."""
    under = world.files.write("prefix/configured.bin", 1000)
    done = download(world, configure(tmp_path, {"DOCacheHost": world.cache_host + "/prefix"}))
    assert (done.places, done.content) == (["cache"], under)


@pytest.mark.contract("CC-1.8")
@pytest.mark.parametrize("value", ["{0},{0}", "{0}, {0}"])
def test_list_of_hosts_never_reaches_a_node(world, data, tmp_path, value):
    """The client fails by itself; each host of the list, taken alone, would have been served."""
    hosts = value.format(world.cache_host)
    before = world.node.metric("larder_connections_accepted_total")
    done = download(world, configure(tmp_path, {"DOCacheHost": hosts}))
    assert (done.state, done.error) == ("Paused", "0x800C0002")
    assert world.node.metric("larder_connections_accepted_total") - before <= 1, "the look at the metric itself"
    for host in hosts.split(","):
        done = download(world, configure(tmp_path, {"DOCacheHost": host.strip()}))
        assert (done.places, done.content) == (["cache"], data)


@pytest.mark.contract("CC-1.8")
def test_scheme_in_the_setting_leads_nowhere(world, data, tmp_path):
    """The documents of the product say so too: a name or an address, and perhaps a port."""
    client = world.client(settings=configure(tmp_path, {"DOCacheHost": "http://" + world.cache_host}), resolve={})
    done = client.download(f"http://{HOST}/configured.bin")
    assert done.places[-1] == "origin" and done.content == data


@pytest.mark.contract("CC-1.9")
def test_place_of_the_clients_files_makes_no_second_object(world, tmp_path):
    """What a client that is installed as a snap gets was fetched for one that is not."""
    data = world.files.write("snap.bin", 200_000)
    folders = [configure(tmp_path / place, {"DOCacheHost": world.cache_host}) for place in (
        "etc/deliveryoptimization-agent", "snap/deliveryoptimization-agent/current/etc/deliveryoptimization-agent")]
    done = []
    for folder in folders:
        client = world.client(settings=folder)
        done.append(client.download(f"http://{HOST}/snap.bin"))
        assert (done[-1].places, done[-1].content) == (["cache"], data)
        wait_until(lambda: world.node.get("/snap.bin", host=HOST).is_hit)
    assert done[0].attempts[0].request == done[1].attempts[0].request
    statuses = [one.attempts[0].fields["Cache-Status"] for one in done]
    assert "fwd=" in statuses[0] and "; hit" in statuses[1], statuses
