"""What is shipped for Prometheus and Grafana names only metrics that a node has, and promtool accepts both."""

import json
import pathlib
import re
import subprocess

import pytest

from support import raw
from support.curl import curl
from support.larder import Node, origin_table
from support.program import ROOT, run
from support.wait import wait_until

RULES = ROOT / "packaging/prometheus/larder.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/larder-nodes.json"
NAME = re.compile(r"\b((?:larder|process)_[a-z0-9_]+)")


@pytest.fixture(scope="module")
def node(folder, origin):
    """With a signer as well: some metrics are by signer."""
    signer = {"certificate": "signed", "type": "command", "command": ["/bin/false"]}
    node = Node(folder / "node", origins=[origin_table(origin)], names=["node1.larder.test", "127.0.0.1"],
                signers=[signer]).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def page(node, origin, authority):
    """The metrics of a node that has seen one of everything."""
    node.serve_https(authority, dns=["node1.larder.test"], addresses=["127.0.0.1"])
    origin.write("one.bin", 1000)
    for _ in range(2):
        assert node.get("/fresh/one.bin").status == 200
    assert node.get("/never/one.bin").status == 200
    assert node.get("/one.bin", host="evil.test").status == 403
    assert raw.split(raw.exchange(node, b"GET / HTTP/1.1\r\n\r\n"))[0] == 400
    assert node.get("/never/asked.bin", "-H", "Cache-Control: only-if-cached").status == 504
    origin.stop()
    assert node.get("/fresh/two.bin").status == 502
    origin.start()
    wait_until(lambda: node.metric("larder_requests_total") >= 7)
    assert curl(f"https://127.0.0.1:{node.https_port}/").exit_code == 60, "refused: its CA is not one of the system's"
    wait_until(lambda: node.metric("larder_tls_handshake_failures_total") == 1)
    return node.admin("/metrics").body.decode()


def expressions():
    rules = re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.M)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return rules + [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_every_metric_that_is_named_exists(page):
    exposed = set(re.findall(r"^([a-z_0-9]+)(?:{| )", page, re.M))
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(named) > 30
    assert named - exposed == set()


def test_every_label_that_is_named_exists(page):
    """Those of the node; instance and job are Prometheus's."""
    exposed = set(re.findall(r'[{,]([a-z_]+)="', page)) | {"instance", "job"}
    named = set()
    for expression in expressions():
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            named |= {label.strip() for label in grouped.split(",")}
        named |= set(re.findall(r'[{,]\s*([a-z_]+)=~?"', expression))
    assert named - exposed == set()


def test_promtool_accepts_the_rules():
    run("promtool", "check", "rules", RULES)


@pytest.mark.parametrize("pinned, fires", [(89, False), (91, True)])
def test_drives_full_of_pins_are_told(tmp_path, pinned, fires):
    alerts = ("""      exp_alerts:
        - exp_labels: {severity: warning, instance: n1}
          exp_annotations:
            summary: "n1: nine tenths of the drives are pinned"
            description: "What is pinned is never evicted; soon everything new passes through. """
              """`larder cache pins` lists, `larder cache unpin` lets go."
""")
    tests = tmp_path / "tests.yml"
    tests.write_text(f"""rule_files: [{RULES}]
tests:
  - interval: 1m
    input_series:
      - {{series: 'larder_cache_pinned_bytes{{instance="n1"}}', values: '{pinned}x20'}}
      - {{series: 'larder_cache_size_bytes{{instance="n1"}}', values: '100x20'}}
    alert_rule_test:
    - eval_time: 15m
      alertname: LarderDrivesPinned
{alerts if fires else ""}""")
    run("promtool", "test", "rules", tests)


def test_promtool_accepts_the_page(page):
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    # Complaints about style go to the same place as errors; these are the ones that matter.
    assert "error while linting" not in done.stderr and "parse" not in done.stderr, done.stderr
    assert "no help text" not in done.stderr, done.stderr


def test_expressions_of_the_dashboard_are_promql(tmp_path):
    rules = ["groups:", "  - name: panels", "    rules:"]
    for number, expression in enumerate(expressions()):
        expression = expression.replace("$__rate_interval", "5m").replace("$__range", "6h").replace("$instance", ".*")
        rules += [f"      - record: panel_{number}", f"        expr: {json.dumps(expression)}"]
    path = pathlib.Path(tmp_path / "panels.yml")
    path.write_text("\n".join(rules) + "\n")
    run("promtool", "check", "rules", path)


def test_histograms_and_origins_tell_what_happened(page):
    def value(line):
        return float(re.search(rf"^{re.escape(line)} ([0-9.e+]+)$", page, re.M)[1])

    assert value('larder_request_seconds_count{cache="hit"}') == 1
    assert value('larder_request_seconds_count{cache="miss"}') == 1
    assert value('larder_first_byte_seconds_bucket{cache="hit",le="+Inf"}') == 1
    assert value('larder_origin_requests_total{origin="packages"}') == 5
    assert value('larder_origin_hits_total{origin="packages"}') == 1
    assert value('larder_origin_hit_bytes_total{origin="packages"}') == 1000
    assert value('larder_origin_errors_total{origin="packages"}') == 1
    # Not what a client asked for when it allowed nothing but a hit.
    assert [value(f'larder_refusals_by_status_total{{status="{status}"}}') for status in (400, 403, 504)] == [1, 1, 1]
    assert value("larder_errors_total") == 1
    assert sum(float(each) for each in re.findall(r"^larder_errors_by_reason_total{[^}]*} (\S+)$", page, re.M)) == 1
    assert [value(f'larder_responses_total{{class="{number}xx"}}') for number in (2, 4, 5)] == [3, 2, 2]


def test_no_address_and_no_url_is_a_label(page):
    assert "one.bin" not in page and "127.0.0.1" not in page and "evil.test" not in page


def test_names_of_origins_stay_when_settings_change(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
    try:
        origin.write("counted.bin", 10)
        node.get("/fresh/counted.bin")
        node.config.write_text(node.config.read_text().replace('name = "packages"', 'name = "renamed"'))
        node.cli("node", "reload")
        node.get("/fresh/counted.bin")
        page = wait_until(lambda: node.metric("larder_requests_total") == 2 and node.admin("/metrics").body.decode())
        assert 'larder_origin_requests_total{origin="packages"} 1\n' in page
        assert 'larder_origin_requests_total{origin="renamed"} 1\n' in page
    finally:
        node.stop()
