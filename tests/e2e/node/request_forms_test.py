"""The three ways in which a client names an allow-listed origin."""

import pytest

from support.curl import curl


def by_host(node, path, *options):
    return node.get(path, *options)


def by_parameter(node, path, *options):
    return curl(f"{node.http}{path}?cacheHostOrigin=packages.test", *options)


def as_proxy(node, path, *options):
    # --noproxy "" is curl()'s default here; the later option wins.
    return curl(f"http://packages.test{path}", "--proxy", node.http, *options)


FORMS = [by_host, by_parameter, as_proxy]


@pytest.mark.parametrize("form", FORMS)
def test_first_request_is_a_miss_and_second_a_hit(node, origin, form):
    path = f"/{form.__name__}.deb"
    data = origin.write(path[1:], 300_000)

    first = form(node, path)
    assert (first.status, first.body) == (200, data), first
    assert "fwd" in first.cache_status, first.raw_headers

    second = form(node, path)
    assert (second.status, second.body) == (200, data)
    assert second.is_hit, second.raw_headers
    assert second.headers["content-length"] == str(len(data))
    assert second.headers["accept-ranges"] == "bytes"
    assert int(second.headers["age"]) >= 0
    assert "larder" in second.headers["via"].lower() or second.headers["via"]
    assert len(origin.requests(path)) == 1


def test_one_object_whatever_the_form(node, origin):
    data = origin.write("shared.deb", 10_000)
    assert by_host(node, "/shared.deb").body == data
    for form in FORMS:
        answer = form(node, "/shared.deb")
        assert answer.body == data and answer.is_hit, form.__name__
    assert len(origin.requests("/shared.deb")) == 1


def test_origin_parameter_leaves_no_trace(node, origin):
    origin.write("query.bin", 100)
    answer = curl(f"{node.http}/query.bin?a=1&cacheHostOrigin=packages.test&b=2")
    assert answer.status == 200
    assert [seen["target"] for seen in origin.requests("/query.bin")] == ["/query.bin?a=1&b=2"]


def test_last_origin_parameter_counts(node, origin):
    data = origin.write("twice.bin", 100)
    answer = curl(f"{node.http}/twice.bin?cacheHostOrigin=evil.test&cacheHostOrigin=packages.test")
    assert (answer.status, answer.body) == (200, data)


def test_over_https(tls_node, origin, authority):
    data = origin.write("tls.deb", 2_500_000)
    first = tls_node.get_tls("/tls.deb", authority.root)
    assert (first.exit_code, first.status) == (0, 200), first.error
    assert first.body == data
    second = tls_node.get_tls("/tls.deb", authority.root)
    assert second.is_hit and second.body == data

    by_name = curl(f"https://127.0.0.1:{tls_node.https_port}/tls.deb?cacheHostOrigin=packages.test",
                   "--cacert", authority.root)
    assert by_name.body == data and by_name.is_hit

    through = curl("http://packages.test/tls.deb", "--proxy", f"https://127.0.0.1:{tls_node.https_port}",
                   "--proxy-cacert", authority.root)
    assert through.body == data and through.is_hit, through.error


def test_head_has_the_length_and_no_body(node, origin):
    origin.write("head.bin", 12345)
    for _ in range(2):
        answer = node.get("/head.bin", "--head")
        assert (answer.status, answer.headers["content-length"]) == (200, "12345")
        assert answer.body == answer.raw_headers.encode(), "curl writes the head where a body would be"


def test_missing_object_is_the_origins_answer(node):
    assert node.get("/no-such-file").status == 404
