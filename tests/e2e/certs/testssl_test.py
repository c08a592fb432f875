"""testssl.sh against a node: what it finds is kept, and MEDIUM or worse fails."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from support.larder import Node
from support.program import ROOT

NAME = "node1.larder.test"
REPORTS = pathlib.Path(os.environ.get("LARDER_REPORTS", ROOT / "build/reports"))
# All of --vulnerable but RC4 and BEAST, which need ciphers and versions that --protocols and --std rule out and take
# half of the time.
CHECKS = ["--protocols", "--server-defaults", "--heartbleed", "--ccs-injection", "--ticketbleed", "--robot",
          "--renegotiation", "--crime", "--breach", "--poodle", "--tls-fallback", "--sweet32", "--freak", "--drown",
          "--logjam", "--lucky13"]
FAILING = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}

# Findings that are accepted, each with its reason; docs/threat_model.md says the same.
ACCEPTED = {
    "cert_revocation": "the test's CA names no place to ask; a customer's own CA decides whether its certificates do",
}


@pytest.mark.timeout(300)
def test_findings(tmp_path, authority):
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        pytest.skip("SKIPPED LOUDLY: testssl.sh is not installed: packaging/install_missing test")
    node = Node(tmp_path / "node", names=[NAME]).start()
    REPORTS.mkdir(parents=True, exist_ok=True)
    findings = REPORTS / "testssl.json"
    findings.unlink(missing_ok=True)
    try:
        node.serve_https(authority)
        done = subprocess.run(
            [program, "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "none",
             "--add-ca", authority.root, "--jsonfile", findings, *CHECKS, f"https://{NAME}:{node.https_port}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=280)
    finally:
        node.stop()
    found = json.loads(findings.read_text())
    ids = {one["id"] for one in found}
    assert {"TLS1_2", "TLS1_3", "cert_trust", "heartbleed", "BREACH", "LUCKY13", "TLS_session_ticket"} <= ids, (
        sorted(ids), done.stdout[-2000:])
    bad = {one["id"]: one for one in found if one["severity"] in FAILING}
    assert not {name: one for name, one in bad.items() if name not in ACCEPTED}, f"all of it: {findings}"
    assert set(ACCEPTED) <= set(bad), "accepted, but not found any more: take it off the table"
    offered = {one["id"]: one["finding"] for one in found}
    assert offered["TLS1_3"].startswith("offered") and offered["TLS1"].startswith("not offered")
