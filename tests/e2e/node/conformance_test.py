"""The public conformance suite of HTTP caches (npm: http-cache-tests) against a node in front of its server. What fails,
and why that is right, is listed in docs/conformance.md; this test holds the list to be exact."""

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request

import pytest

from support.larder import Node
from support.ports import free_port
from support.program import ROOT, Program, accepts, run

PACKAGE = "https://registry.npmjs.org/http-cache-tests/-/http-cache-tests-0.4.5.tgz"
SHA512 = "DjuwN9nUZXLTW+wav1LRESCZNVxl8SshwOy4z1pxuWbWt5/ay6sM9QQ1lebBaDO6P1IMBoK6mdf+PuVP/QNL8A=="
RUNNER = pathlib.Path(__file__).with_name("conformance_runner.mjs")


@pytest.fixture(scope="module")
def suite(folder):
    """The unpacked suite; $LARDER_CACHE_TESTS names one that is there already."""
    if given := os.environ.get("LARDER_CACHE_TESTS"):
        return pathlib.Path(given)
    if not shutil.which("node"):
        pytest.skip("SKIPPED LOUDLY: the conformance suite needs nodejs 18 or later")
    try:
        with urllib.request.urlopen(PACKAGE, timeout=30) as answer:
            packed = answer.read()
    except (urllib.error.URLError, OSError) as error:
        pytest.skip(f"SKIPPED LOUDLY: the npm registry cannot be reached for the conformance suite: {error}")
    assert base64.b64encode(hashlib.sha512(packed).digest()).decode() == SHA512
    (folder / "suite.tgz").write_bytes(packed)
    with tarfile.open(folder / "suite.tgz") as archive:
        archive.extractall(folder / "suite", filter="data") if hasattr(tarfile, "data_filter") \
            else archive.extractall(folder / "suite")
    return folder / "suite/package"


@pytest.fixture(scope="module")
def tested(folder, suite):
    """The address of a node in front of the suite's server."""
    port = free_port()
    server = Program(["node", suite / "server/server.mjs"], folder / "server.log", environment={
        "npm_config_protocol": "http", "npm_config_port": str(port), "npm_config_pidfile": str(folder / "pid")})
    server.start()
    server.wait_for(lambda: accepts(port))
    node = Node(folder / "node", origins=[{
        "name": "suite", "hosts": ["localhost"], "url": f"http://localhost:{port}", "methods": ["*"],
        "allow_addresses": ["127.0.0.0/8", "::1/128"]}], names=["node1.larder.test"]).start()
    yield f"http://localhost:{node.http_port}"
    node.stop()
    server.stop()


def run_suite(suite, address, *ids):
    done = run("node", "--no-warnings", "--dns-result-order=ipv4first", RUNNER, suite, address, *ids, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


def documented_failures():
    """Ids in the tables of docs/conformance.md under the headings of the two kinds."""
    text = (ROOT / "docs/conformance.md").read_text()
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.M))


def test_exactly_the_documented_behaviours_differ_from_the_suite(suite, tested):
    results = run_suite(suite, tested)
    judged = {id: result for id, result in results.items() if result["kind"] != "check"}
    assert len(judged) > 250
    expected = documented_failures()
    assert expected <= set(judged), "unknown ids in docs/conformance.md"

    def differing(of):
        return {id for id in of if judged[id]["passed"] == (id in expected)}

    # The suite waits and counts in real seconds: what a busy machine upset is tried again by itself.
    wrong = differing(judged)
    for _ in range(2):
        if not wrong:
            break
        judged.update(run_suite(suite, tested, *sorted(wrong)))
        wrong = differing(wrong)
    assert not wrong, {id: judged[id] for id in wrong}
