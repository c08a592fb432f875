"""`larder explain`: what would be done with a request, and why."""

import json

from support.wait import wait_until

FRESH = ("Cache-Control", "max-age=3600")


def steps(node, *arguments):
    printed = node.cli("explain", *arguments).stdout
    return dict(line.split(": ", 1) for line in printed.splitlines())


def test_explain_says_what_would_be_done_and_why(rules_node, rules_origin, script):
    url = "http://packages.test/why"
    script["/why"] = [(200, [FRESH, ("ETag", '"1"'), ("Vary", "Foo")], b"0123456789")]
    before = steps(rules_node, url)
    assert before["stored"] == "nothing" and "because of: not stored" in before["decision"]
    rules_node.get("/why", "-H", "Foo: 1")
    rules_node.wait_until_stored()
    fresh = steps(rules_node, url, "--header", "Foo: 1", "--header", "Range: bytes=2-4")
    assert fresh["target"] == "the origin is packages.test, named by Host"
    assert "[[origin]] packages" in fresh["origin"] and rules_origin.url in fresh["origin"]
    assert fresh["key"].startswith("http packages.test /why")
    assert "a 200 of 10 bytes, 1 of 1 slices here" in fresh["stored"] and "varies by foo" in fresh["stored"]
    assert fresh["freshness"].startswith("lifetime 3600 s by max-age, age ")
    assert fresh["decision"] == "answered from the cache, because it is fresh"
    assert fresh["answer"].startswith("206, 3 bytes from 2 on")
    parts = json.loads(rules_node.cli("explain", url, "--header", "Foo: 1", "--header", "Range: bytes=0-1,500-600,-3",
                                      "--json").stdout)
    assert parts["answer"] == {"status": 206, "first": 0, "length": 10}, "parts so near to each other are one"
    assert "no-cache of the request" in steps(rules_node, url, "--header", "Foo: 1", "--header",
                                              "Cache-Control: no-cache")["decision"]
    assert "chosen by other request fields" in steps(rules_node, url)["variant"]
    rules_node.get("/why")
    assert "another variant" in steps(rules_node, url)["variant"]
    assert "refused with 403" in steps(rules_node, "http://unknown.test/")["decision"]
    assert "forwarded for this client alone" in steps(rules_node, url, "--method", "PUT")["decision"]
    head = ("--method", "HEAD")
    assert steps(rules_node, "http://packages.test/headed", *head)["decision"] == \
        "forwarded as a HEAD, because of: not stored; nothing is stored of it"
    asked = steps(rules_node, url, *head, "--header", "Foo: 1", "--header", "Cache-Control: no-cache")["decision"]
    assert asked.startswith("forwarded as a HEAD, because of: no-cache of the request; a 200 renews what is stored")
    facts = json.loads(rules_node.cli("explain", url, "--header", "Foo: 1", "--json").stdout)
    assert facts["decision"] == {"kind": "serve", "reason": "fresh"}
    assert facts["freshness"]["lifetime"] == 3600 and facts["stored"]["slices_stored"] == 1
    assert len(rules_origin.requests("/why")) == 2, "explaining asks no origin"


def test_explain_refuses_what_is_no_request(rules_node):
    for arguments in (["ftp://packages.test/"], ["http://packages.test/ x"], ["http://packages.test/", "--method", "A B"],
                      ["http://packages.test/", "--header", "A: b\r\nC: d"], ["http://packages.test/", "--header", "A"]):
        done = rules_node.cli("explain", *arguments, check=False)
        assert done.returncode == 1 and "cannot explain" in done.stderr, arguments
