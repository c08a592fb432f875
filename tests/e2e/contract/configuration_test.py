"""Section 1: however the client was told of the node, the node serves what then arrives."""

import json

import pytest

from support.do_client import cache_host_from

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
def test_who_may_use_the_clients_own_interface_changes_nothing_for_the_node(world, data, tmp_path):
    settings = {"DOCacheHost": world.cache_host, "RestControllerValidateRemoteAddr": False}
    assert download(world, configure(tmp_path, settings)).content == data


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
@pytest.mark.parametrize("value", ["a:80,b:80", "a,b"])
def test_list_of_hosts_never_reaches_a_node(world, data, tmp_path, value):
    done = download(world, configure(tmp_path, {"DOCacheHost": value}))
    assert (done.state, done.error) == ("Paused", "0x800C0002")


@pytest.mark.contract("CC-1.8")
def test_scheme_in_the_setting_leads_nowhere(world, data, tmp_path):
    """The documents of the product say so too: a name or an address, and perhaps a port."""
    client = world.client(settings=configure(tmp_path, {"DOCacheHost": "http://" + world.cache_host}), resolve={})
    done = client.download(f"http://{HOST}/configured.bin")
    assert done.places[-1] == "origin" and done.content == data


@pytest.mark.contract("CC-1.9")
def test_place_of_the_clients_files_changes_nothing_for_the_node(world, data, tmp_path):
    snap = configure(tmp_path / "snap/deliveryoptimization-agent/current/etc/deliveryoptimization-agent",
                     {"DOCacheHost": world.cache_host})
    assert download(world, snap).places == ["cache"]
