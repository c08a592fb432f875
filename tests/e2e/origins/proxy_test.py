"""Origins behind a real HTTP proxy, with and without credentials, and behind one that inspects TLS."""

import json

import pytest

from support import secrets_used
from support.dns import Dns
from support.larder import Node, origin_table
from support.network import PUBLIC
from support.origin import Origin
from support.ports import free_port
from support.proxies import InspectingSquid, Tinyproxy

CREDENTIALS = "larder:a-password-for-the-proxy"


@pytest.fixture(scope="module")
def origin(folder, net, authority):
    """Reached from the proxy's host only: the nodes' host has no names."""
    net.left.set_hosts({})
    net.right.set_hosts({"a.test": PUBLIC, "b.test": PUBLIC})
    origin = Origin(folder / "origin", authority.issue("a.test", "DNS:a.test,DNS:b.test"), address=PUBLIC,
                    namespace=net.right, port=80, tls_port=443).start()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def proxy(folder, net, origin):
    proxy = Tinyproxy(folder / "proxy", net.right_address, free_port(), net.right).start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def guarded_proxy(folder, net, origin):
    proxy = Tinyproxy(folder / "guarded", net.right_address, free_port(), net.right, CREDENTIALS).start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def squids_names(folder, net):
    """squid asks a resolver."""
    dns = Dns(folder / "dns", net.right_address, net.right, [(PUBLIC, "a.test"), (PUBLIC, "b.test")]).start()
    yield dns
    dns.stop()


def make_node(folder, net, authority, name, origins=None, **settings):
    secure = {"ca_file": str(authority.root)}
    origins = origins or [{"name": "plain", "hosts": ["a.test"], "scheme": "http"},
                          {"name": "secure", "hosts": ["b.test"], "scheme": "https", **secure}]
    return Node(folder / name, name=name, address=net.left_address, namespace=net.left, origins=origins, **settings)


@pytest.fixture(scope="module")
def node(folder, net, authority, proxy):
    node = make_node(folder, net, authority, "proxied", proxy=proxy.url).start()
    yield node
    node.stop()


def test_plain_origin_is_asked_in_absolute_form(node, net, proxy, origin):
    data = origin.write("pub/x+y %41.bin", 300_000)
    answer = node.get("/pub/x+y%20%2541.bin?a=b%2fc", host="a.test", namespace=net.left)
    assert (answer.status, answer.body) == (200, data), answer
    assert "GET http://a.test/pub/x+y%20%2541.bin?a=b%2fc HTTP/1.1" in "\n".join(proxy.requests())
    assert node.get("/pub/x+y%20%2541.bin?a=b%2fc", host="a.test", namespace=net.left).is_hit


def test_ranges_pass_the_proxy(node, net, origin):
    data = origin.write("large.bin", 5 << 20)
    answer = node.get("/large.bin", "-H", "Range: bytes=3000000-3000099", host="a.test", namespace=net.left)
    assert (answer.status, answer.body) == (206, data[3000000:3000100])
    assert node.get("/large.bin", host="a.test", namespace=net.left).body == data


def test_secure_origin_is_reached_through_a_tunnel(node, net, proxy, origin):
    data = origin.write("secure.bin", 300_000)
    answer = node.get("/secure.bin", host="b.test", namespace=net.left)
    assert (answer.status, answer.body) == (200, data), answer
    assert "CONNECT b.test:443 HTTP/1.1" in "\n".join(proxy.requests())


def test_proxy_that_is_gone_is_502(folder, net, authority):
    node = make_node(folder, net, authority, "gone", proxy=f"http://{net.right_address}:{free_port()}").start()
    try:
        for host in ("a.test", "b.test"):
            assert node.get("/x", host=host, namespace=net.left).status == 502
    finally:
        node.stop()


def write_credentials(folder, name, text=CREDENTIALS + "\n", mode=0o600):
    secrets_used.register_secret(CREDENTIALS.split(":")[1], "password of the proxy")
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_credentials_come_from_a_file(folder, net, authority, guarded_proxy, origin):
    data = origin.write("guarded.bin", 10_000)
    file = write_credentials(folder, "credentials")
    node = make_node(folder, net, authority, "guarded-node", proxy=guarded_proxy.url, proxy_credentials=str(file),
                     log_level="debug").start()
    try:
        for host in ("a.test", "b.test"):
            assert node.get("/guarded.bin", host=host, namespace=net.left).body == data, host
        assert b"larder:" not in open(f"/proc/{node.program.pid}/cmdline", "rb").read()
        seen = origin.fields_of("/guarded.bin") + origin.headers_seen()
        assert "Proxy-Authorization" not in seen and "a-password" not in seen
    finally:
        node.stop()


def test_password_that_changed_is_in_force_after_a_reload(folder, net, authority, origin):
    """The name of the file, which is all that the settings say, stays."""
    old, new = CREDENTIALS, "larder:another-password-for-the-proxy"
    secrets_used.register_secret(new.split(":")[1], "new password of the proxy")
    file = write_credentials(folder, "rotated")
    port = free_port()
    proxy = Tinyproxy(folder / "before", net.right_address, port, net.right, old).start()
    node = make_node(folder, net, authority, "rotated-node", proxy=proxy.url, proxy_credentials=str(file)).start()
    data = [origin.write(f"rotated{number}.bin", 10_000) for number in range(4)]
    try:
        for number, host in enumerate(("a.test", "b.test")):
            assert node.get(f"/rotated{number}.bin", host=host, namespace=net.left).body == data[number], host
        proxy.stop()
        proxy = Tinyproxy(folder / "after", net.right_address, port, net.right, new).start()
        for host in ("a.test", "b.test"):
            assert node.get("/rotated2.bin", host=host, namespace=net.left).status == 502, host
        write_credentials(folder, "rotated", new + "\n")
        node.cli("node", "reload")
        for host in ("a.test", "b.test"):
            assert node.get("/rotated3.bin", host=host, namespace=net.left).body == data[3], host
    finally:
        node.stop()
        proxy.stop()


def test_proxy_comes_and_goes_with_a_reload(folder, net, authority, proxy, origin):
    data = origin.write("comes.bin", 10_000)
    node = make_node(folder, net, authority, "comes-node").start()
    without = node.config.read_text()
    try:
        assert node.get("/comes.bin", host="a.test", namespace=net.left).status == 502
        for text, status in ((without.replace("[node]\n", f'[node]\nproxy = "{proxy.url}"\n'), 200), (without, 502)):
            node.config.write_text(text)
            report = json.loads(node.cli("node", "reload", "--json").stdout)
            assert (report["changed"], report["needs_restart"]) == (["[node] proxy"], [])
            for host in ("a.test", "b.test"):
                answer = node.get(f"/comes.bin?{status}", host=host, namespace=net.left)
                assert answer.status == status and (status != 200 or answer.body == data), (host, answer)
    finally:
        node.stop()


def test_missing_or_wrong_credentials_are_no_answer_for_clients(folder, net, authority, guarded_proxy, origin):
    """407 would keep Delivery Optimization clients away for 15 minutes."""
    origin.write("guarded2.bin", 10)
    wrong = write_credentials(folder, "wrong", "larder:not-the-password\n")
    for name, more in (("none", {}), ("wrong", {"proxy_credentials": str(wrong)})):
        node = make_node(folder, net, authority, f"{name}-credentials", proxy=guarded_proxy.url, **more).start()
        try:
            for host in ("a.test", "b.test"):
                answer = node.get("/guarded2.bin", host=host, namespace=net.left)
                assert answer.status == 502, answer
                assert "proxy-authenticate" not in answer.headers
            assert "the proxy answered 40" in node.program.log.read_text(), "the administrator sees why"
        finally:
            node.stop()


@pytest.mark.parametrize("text, mode", [(CREDENTIALS, 0o644), ("no colon\n", 0o600), ("a:b\nc:d\n", 0o600), ("", 0o600)])
def test_credentials_that_others_may_read_or_that_are_none_are_refused(folder, net, authority, text, mode, request):
    file = write_credentials(folder, "refused", text, mode)
    node = make_node(folder, net, authority, "refused-node", proxy="http://127.0.0.1:1", proxy_credentials=str(file))
    checked = node.cli("node", "check", check=False)
    assert checked.returncode == 1 and "proxy_credentials" in checked.stdout + checked.stderr
    node.program.start()
    assert node.program.process.wait(10) != 0
    assert "proxy_credentials" in node.program.log.read_text()
    file.unlink()


def test_exceptions_are_asked_directly(folder, net, authority, proxy):
    direct = Origin(folder / "direct", address=net.right_address, namespace=net.right).start()
    node = make_node(folder, net, authority, "direct", [origin_table(direct, hosts=["direct.test"])], proxy=proxy.url,
                     no_proxy=[f"{net.right_address}/32"]).start()
    try:
        data = direct.write("direct.bin", 1000)
        assert node.get("/direct.bin", host="direct.test", namespace=net.left).body == data
        assert "direct.bin" not in "\n".join(proxy.requests())
    finally:
        node.stop()
        direct.stop()


def test_origin_at_a_fixed_place_keeps_its_name_through_the_proxy(folder, net, authority, proxy):
    """An absolute target would name the place instead of the host, so it is a tunnel."""
    fixed = Origin(folder / "fixed", address=net.right_address, namespace=net.right).start()
    node = make_node(folder, net, authority, "fixed-node", [origin_table(fixed, hosts=["fixed.test"])],
                     proxy=proxy.url).start()
    try:
        data = fixed.write("fixed.bin", 1000)
        assert node.get("/fixed.bin", host="fixed.test", namespace=net.left).body == data
        assert fixed.saw("/fixed.bin")[0]["host"] == "fixed.test"
    finally:
        node.stop()
        fixed.stop()


def test_proxy_that_inspects_tls(folder, net, authority, origin, squids_names):
    data = origin.write("inspected.bin", 300_000)
    squid = InspectingSquid(folder / "squid", net.right_address, free_port(), net.right, authority.root).start()
    table = [{"name": "secure", "hosts": ["b.test"], "scheme": "https"},
             {"name": "pinned", "hosts": ["a.test"], "scheme": "https", "ca_file": str(authority.root)}]
    trusting = make_node(folder, net, authority, "trusting", table, proxy=squid.url, origin_ca_file=str(squid.root))
    doubting = make_node(folder, net, authority, "doubting", table, proxy=squid.url)
    try:
        trusting.start()
        doubting.start()
        answer = trusting.get("/inspected.bin", host="b.test", namespace=net.left)
        assert (answer.status, answer.body) == (200, data), squid.requests()
        assert trusting.get("/inspected.bin", host="a.test", namespace=net.left).status == 502, "its root is another"
        assert doubting.get("/inspected.bin", host="b.test", namespace=net.left).status == 502
    finally:
        trusting.stop()
        doubting.stop()
        squid.stop()


def test_proxy_that_is_asked_over_tls(folder, net, authority, origin, squids_names):
    data = origin.write("over-tls.bin", 100_000)
    port = free_port()
    squid = InspectingSquid(folder / "squid3", net.right_address, free_port(), net.right, authority.root, port,
                            authority.issue("proxy", f"IP:{net.right_address}")).start()
    proxy = f"https://{net.right_address}:{port}"
    trusting = make_node(folder, net, authority, "trusting-proxy", proxy=proxy, origin_ca_file=str(authority.root))
    doubting = make_node(folder, net, authority, "doubting-proxy", proxy=proxy)
    try:
        trusting.start()
        doubting.start()
        for host in ("a.test", "b.test"):
            assert trusting.get("/over-tls.bin", host=host, namespace=net.left).body == data, squid.requests()
            assert doubting.get("/over-tls.bin", host=host, namespace=net.left).status == 502
    finally:
        trusting.stop()
        doubting.stop()
        squid.stop()


def test_proxys_own_error_page_is_no_answer_of_the_origin(folder, net, authority, origin, squids_names):
    """squid answers 503 with a page of its own when a name does not resolve."""
    squid = InspectingSquid(folder / "squid2", net.right_address, free_port(), net.right, authority.root).start()
    node = make_node(folder, net, authority, "pages", [{"name": "gone", "hosts": ["gone.test"], "scheme": "http"}],
                     proxy=squid.url)
    try:
        node.start()
        answer = node.get("/x", host="gone.test", namespace=net.left)
        assert (answer.status, answer.headers.get("x-squid-error")) == (502, None), answer
    finally:
        node.stop()
        squid.stop()
