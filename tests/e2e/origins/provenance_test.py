"""What a client gets over HTTPS came over verified HTTPS: an HTTP origin that somebody poisoned never answers it."""

import pytest

from support.network import PUBLIC
from support.larder import Node
from support.origin import Origin

CLEAN, POISON = b"clean" * 1000, b"poison" * 1000
MIB = 1 << 20


@pytest.fixture(scope="module")
def origins(folder, net, authority):
    """Ports 80 and 443 of one host: whoever is on the path of the first can change its bytes."""
    net.left.set_hosts({"a.test": PUBLIC, "b.test": PUBLIC})
    certificate = authority.issue("a.test", "DNS:a.test,DNS:b.test")
    poisoned = Origin(folder / "poisoned", address=PUBLIC, namespace=net.right, port=80, extra="""
        location /away { return 302 http://b.test/object; }
        location /up { return 302 https://b.test/object; }
        """).start()
    clean = Origin(folder / "clean", certificate, address=PUBLIC, namespace=net.right, tls_port=443, extra="""
        location /away { return 302 http://b.test/object; }
        location /stay { return 302 https://b.test/object; }
        """).start()
    yield poisoned, clean
    poisoned.stop()
    clean.stop()


@pytest.fixture(scope="module")
def node(folder, net, origins, authority):
    node = Node(folder / "node", address=net.left_address, namespace=net.left, origins=[
        {"name": "either", "hosts": ["a.test"], "ca_file": str(authority.root)},
        {"name": "follows", "hosts": ["b.test"], "ca_file": str(authority.root), "follow_redirects": True}]).start()
    node.serve_https(authority)
    yield node
    node.stop()


@pytest.fixture
def over_http(node, net):
    return lambda path, *options, host="a.test": node.get(path, *options, host=host, namespace=net.left)


@pytest.fixture
def over_https(node, net, authority):
    return lambda path, *options, host="a.test": node.get_tls(path, authority.root, *options, host=host,
                                                              namespace=net.left)


def publish(origins, name, clean=CLEAN, poison=POISON):
    origins[0].write(name, poison)
    origins[1].write(name, clean)


def test_poison_that_is_cached_never_answers_https(origins, over_http, over_https):
    publish(origins, "object")
    assert over_http("/object").body == POISON
    assert over_http("/object").is_hit
    assert over_https("/object").body == CLEAN
    assert over_https("/object").is_hit
    assert over_https("/object", "-H", "Range: bytes=0-4").body == b"clean"


def test_requests_in_the_same_words_keep_their_ways(origins, over_http, over_https):
    """Answers that were given just now are kept by the bytes of their requests."""
    publish(origins, "words")
    for _ in range(4):
        assert over_http("/words").body == POISON
        assert over_https("/words").body == CLEAN


def test_no_form_of_request_leads_from_https_to_http(origins, node, net, authority, over_http, over_https):
    from support.curl import curl

    publish(origins, "forms")
    assert over_http("/forms").body == POISON
    name = node.names[0]
    at = ["--cacert", authority.root, "--resolve", f"{name}:{node.https_port}:{node.address}"]
    by_parameter = curl(f"https://{name}:{node.https_port}/forms?cacheHostOrigin=a.test", *at, namespace=net.left)
    assert by_parameter.body == CLEAN
    # An absolute http:// target over TLS: the client's way is protected, so the answer must be.
    through = curl("http://a.test/forms", "--proxy", f"https://{name}:{node.https_port}", "--proxy-cacert",
                   authority.root, "--resolve", f"{name}:{node.https_port}:{node.address}", namespace=net.left)
    assert through.body == CLEAN, through
    absolute = over_https("/ignored", "--request-target", "http://a.test/forms")
    assert absolute.body == CLEAN


def test_clean_bytes_answer_http_too(origins, over_http, over_https):
    publish(origins, "shared")
    assert over_https("/shared").body == CLEAN
    before = len(origins[0].requests("/shared"))
    plain = over_http("/shared")
    assert (plain.body, plain.is_hit) == (CLEAN, True), plain
    assert over_http("/shared", "-H", "Range: bytes=5-9").body == b"clean"
    assert over_http("/shared", "--head").headers["content-length"] == str(len(CLEAN))
    assert len(origins[0].requests("/shared")) == before, "the poisoned one was not asked"


def test_part_that_came_over_https_is_completed_over_https(origins, over_http, over_https):
    clean = bytes(range(256)) * (12 * MIB // 256)
    publish(origins, "large", clean, b"x" * 12 * MIB)
    assert over_https("/large", "-H", f"Range: bytes=0-{MIB - 1}").body == clean[:MIB]
    assert over_http("/large").body == clean


def test_redirect_to_http_is_not_followed_for_https(origins, over_http, over_https):
    publish(origins, "object")
    plain = over_http("/away", host="b.test")
    assert (plain.status, plain.body) == (200, POISON), plain
    protected = over_https("/away", host="b.test")
    assert (protected.status, protected.headers["location"]) == (302, "http://b.test/object")
    assert b"poison" not in protected.body
    assert over_https("/stay", host="b.test").body == CLEAN
    assert over_http("/up", host="b.test").body == CLEAN


def test_certificate_that_is_not_trusted_gives_no_bytes_and_no_way_round(folder, net, origins, authority):
    publish(origins, "unproven")
    node = Node(folder / "untrusting", name="node2", names=["node2.larder.test"], address=net.left_address,
                namespace=net.left, origins=[{"name": "either", "hosts": ["a.test"]}]).start()
    try:
        node.serve_https(authority)
        answer = node.get_tls("/unproven", authority.root, host="a.test", namespace=net.left)
        assert answer.status == 502 and b"clean" not in answer.body and b"poison" not in answer.body
        assert node.get("/unproven", host="a.test", namespace=net.left).body == POISON
    finally:
        node.stop()


def test_roots_of_an_origin_are_the_only_ones(folder, net, origins, authority, tmp_path):
    """The system's store would vouch for it; the table names another root."""
    from support.authority import Authority

    publish(origins, "pinned")
    other = Authority(tmp_path / "other", "Other")
    net.left.set_trust(authority.root)
    node = Node(folder / "pinned", name="node3", names=["node3.larder.test"], address=net.left_address,
                namespace=net.left, origins=[
                    {"name": "pinned", "hosts": ["a.test"], "ca_file": str(other.root), "scheme": "https"},
                    {"name": "system", "hosts": ["b.test"], "scheme": "https"}]).start()
    try:
        assert node.get("/pinned", host="a.test", namespace=net.left).status == 502
        assert node.get("/pinned", host="b.test", namespace=net.left).body == CLEAN
    finally:
        node.stop()


@pytest.mark.parametrize("where", ["ca_file", "origin_ca_file", "system"])
def test_roots_that_changed_count_from_a_reload_on(folder, net, origins, authority, tmp_path, where):
    """Also for connections that are still open, and that roots vouched for which are not trusted any more."""
    from support.authority import Authority

    other = Authority(tmp_path / "other", "Other")
    file = tmp_path / "roots.pem"

    def trust(root):
        file.write_text(root.read_text())
        net.left.set_trust(root if where == "system" else other.root)

    trust(other.root)
    node = Node(folder / f"changing-{where}", name="node4", names=["node4.larder.test"], address=net.left_address,
                namespace=net.left, origin_ca_file=str(file) if where == "origin_ca_file" else None, origins=[
                    {"name": "changing", "hosts": ["a.test"], "scheme": "https",
                     "ca_file": str(file) if where == "ca_file" else None}]).start()
    try:
        for turn, (root, status) in enumerate([(other.root, 502), (authority.root, 200), (other.root, 502)]):
            trust(root)
            node.cli("node", "reload")
            publish(origins, f"changing-{where}-{turn}")
            answer = node.get(f"/changing-{where}-{turn}", host="a.test", namespace=net.left)
            assert (answer.status, answer.body == CLEAN) == (status, status == 200), (turn, answer)
    finally:
        node.stop()
