"""apt-get with the node as its proxy, over HTTP and over HTTPS, from a real repository."""

import pytest

from support import apt


@pytest.fixture(scope="module")
def repository(folder, origin):
    return apt.publish(origin, folder)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_package_comes_through_the_node(tls_node, origin, repository, authority, folder, scheme):
    port = tls_node.http_port if scheme == "http" else tls_node.https_port
    client = apt.Apt(folder / f"apt-{scheme}", f"{scheme}://127.0.0.1:{port}", authority.root)
    before = tls_node.metric("larder_requests_total")
    assert client.download() == repository
    assert tls_node.metric("larder_requests_total") > before
    # A second apt is served without the origin.
    asked = len(origin.requests(apt.PATH))
    again = apt.Apt(folder / f"apt-{scheme}-again", f"{scheme}://127.0.0.1:{port}", authority.root)
    assert again.download() == repository
    assert len(origin.requests(apt.PATH)) == asked
