"""The whole line, as a new user walks it by the README: cache, restart, HTTPS, site, device, block, page.

Servers are one host, the devices another: two network namespaces joined by a cable.
"""

import concurrent.futures
import json
import os

import pytest

from support import apt, network
from support.browser import Browser
from support.curl import curl
from support.larder import Device, Node, Site, origin_table
from support.origin import Origin
from support.program import run
from support.tls import fingerprint
from support.wait import measure, wait_until

SITE, NODE1, NODE2 = "site.larder.test", "node1.larder.test", "node2.larder.test"


@pytest.fixture
def link():
    network.require_root()
    link = network.Link("servers", "devices")
    hosts = {name: link.left_address for name in (SITE, NODE1, NODE2)}
    link.left.set_hosts(hosts)
    link.right.set_hosts(hosts)
    yield link
    link.remove()


class World:
    """Everything that runs, stopped in the reverse order."""

    def __init__(self, folder, link):
        self.link, self.folder, self._started = link, folder, []
        here = {"address": link.left_address, "namespace": link.left}
        self.origin = self.start(Origin(folder / "origin", **here))
        self.site = self.start(Site(folder / "site", host=SITE, ranges=["10.213.0.0/16"], **here))
        self.node1, self.node2 = (
            self.start(Node(folder / name.split(".")[0], name=name.split(".")[0], names=[name],
                            origins=[origin_table(self.origin)], **here)) for name in (NODE1, NODE2))

    def start(self, program):
        self._started.append(program)
        return program.start()

    def stop(self):
        for program in reversed(self._started):
            program.stop()


@pytest.fixture
def world(tmp_path, link):
    world = World(tmp_path, link)
    yield world
    world.stop()


def three_forms(world, scheme, *trust):
    """One object in each form, as the devices' host asks; returns the answers."""
    node, space = world.node1, world.link.right
    port = node.http_port if scheme == "http" else node.https_port
    base = f"{scheme}://{NODE1}:{port}"
    proxy_trust = [option.replace("--cacert", "--proxy-cacert") for option in map(str, trust)]
    return [curl(base + apt.PATH, "-H", "Host: packages.test", *trust, namespace=space),
            curl(f"{base}{apt.PATH}?cacheHostOrigin=packages.test", *trust, namespace=space),
            curl(f"http://packages.test{apt.PATH}", "--proxy", base, *proxy_trust, namespace=space)]


def shown(node, namespace):
    """SHA-256 of the certificate that a handshake from the other host shows."""
    done = run("bash", "-c", f"openssl s_client -connect {NODE1}:{node.https_port} -servername {NODE1} </dev/null "
               "2>/dev/null | openssl x509 -noout -fingerprint -sha256", namespace=namespace, check=False)
    return done.stdout.partition("=")[2].strip().replace(":", "").lower() or None


@pytest.mark.timeout(300)
def test_life_of_a_line(world, authority, tmp_path):
    node, site, space = world.node1, world.site, world.link.right
    # The devices' system trusts the organisation's authority, of which node1 gets its certificate below.
    space.set_trust(authority.root)

    # A .deb through the node, by curl in three forms and by apt, over HTTP.
    package = apt.publish(world.origin, tmp_path)
    answers = three_forms(world, "http")
    assert [answer.body == package for answer in answers] == [True] * 3
    assert [answer.is_hit for answer in answers] == [False, True, True]
    assert apt.Apt(tmp_path / "apt-http", f"http://{NODE1}:{node.http_port}", namespace=space).download() == package

    # Killed and started again, the node answers from what it has.
    node.wait_until_stored()
    asked = len(world.origin.requests())
    node.kill()
    node.start()
    assert all(answer.is_hit and answer.body == package for answer in three_forms(world, "http"))
    assert len(world.origin.requests()) == asked

    # HTTPS by certificate request; the same request signed again while a download runs.
    request = node.request_certificate()
    node.import_certificate(authority.sign(request))
    wait_until(lambda: shown(node, space) is not None)
    answers = three_forms(world, "https", "--cacert", authority.root)
    assert all(answer.is_hit and answer.body == package for answer in answers), [a.error for a in answers]
    client = apt.Apt(tmp_path / "apt-https", f"https://{NODE1}:{node.https_port}", authority.root, space)
    assert client.download() == package
    again = authority.sign(request)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        download = pool.submit(curl, f"https://{NODE1}:{node.https_port}{apt.PATH}", "-H", "Host: packages.test",
                               "--cacert", authority.root, "--limit-rate", "1M", namespace=space)
        importing = pool.submit(node.import_certificate, again)
        seconds = measure(lambda: shown(node, space) == fingerprint(again), 5, "the new certificate")
        importing.result()
        assert not download.done()
        assert download.result().body == package
    print(f"certificate in effect {seconds * 1000:.0f} ms after the import began")

    # Two nodes join; each gets its role certificate.
    for each in (node, world.node2):
        site.join(each)
        site.wait_for_node(each.name)

    # A registered device gets guarded content over HTTPS; one without a token does not.
    tool = tmp_path / "tool.bin"
    tool.write_bytes(os.urandom(5_000_000))
    site.add_content("tool", "1.0", tool)
    first, second = (Device(tmp_path / name, name, space) for name in ("device-1", "device-2"))
    first.register(site.registration_token())
    events = [json.loads(line) for line in first.get("tool@1.0").stdout.splitlines()]
    assert (first.folder / "tool.bin").read_bytes() == tool.read_bytes()
    assert set(events[-1]["bytes_by_source"]) <= {"node1", "node2"}, events
    assert not [event for event in events if event["event"] == "source-failed"], events
    assert second.get("tool@1.0", check=False).returncode == 1
    anonymous = curl(f"https://{NODE2}:{world.node2.content_port}/content/tool/1.0/tool.bin", "--cacert", site.root,
                     namespace=space)
    assert anonymous.status == 401 and "www-authenticate" in anonymous.headers, anonymous.error

    # The page shows all of it, and follows.
    with Browser(tmp_path / "browser", world.link.left) as browser:
        browser.open(f"http://127.0.0.1:{site.admin_port}/")
        for wanted in ("node1", "node2", "device-1"):
            wait_until(lambda: wanted in browser.text(), what=f"{wanted} on the page")

        # Blocked, the device is refused everywhere.
        site.block(first.client_id)
        (first.folder / "tool.bin").unlink()
        seconds = measure(lambda: first.get("tool@1.0", check=False).returncode == 1, 5, "the refusal")
        print(f"refused within {seconds * 1000:.0f} ms of the block")
        assert not (first.folder / "tool.bin").exists()
        wait_until(lambda: "blocked" in browser.text().lower(), what="the block on the page")
        assert browser.errors() == []
