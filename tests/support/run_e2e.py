#!/usr/bin/python3
"""run_e2e.py REPORTS [FOLDER]: all tests of FOLDER (this repository's `tests`), with JUnit reports under REPORTS.

Most tests wait most of the time, so several processes share them, a file each. After them come those marked `last`,
which judge the whole run.

A test in which nothing failed but a deadline gets a second attempt, with nothing beside it. The text of its first
failure is kept in REPORTS/second_attempts.txt. More than 5 of them, or any other failure, and the run has failed.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TESTS = pathlib.Path(__file__).resolve().parents[1]
PROCESSES = (os.cpu_count() or 1) + 1  # they wait more than they compute
TEST_SECONDS = 300
SECOND_ATTEMPTS = 5
FAILED, NO_TESTS = 1, 5  # pytest's exit codes


def to_repeat(failures):
    """The ids that get a second attempt; none when something was wrong, not late, or too much was late."""
    if len(failures) > SECOND_ATTEMPTS or not all(failure["late"] for failure in failures):
        return []
    return [failure["id"] for failure in failures]


def mark_as_passed(report, names):
    """In a JUnit report, the failures of tests that passed later become their output."""
    tree = xml.etree.ElementTree.parse(report)
    for case in tree.getroot().iter("testcase"):
        if (case.get("classname"), case.get("name")) not in names:
            continue
        for failure in [*case.findall("failure"), *case.findall("error")]:
            case.remove(failure)
            output = xml.etree.ElementTree.SubElement(case, "system-out")
            output.text = f"needed a second attempt: {failure.text}"
    tree.write(report, encoding="utf-8", xml_declaration=True)


def junit_name(node_id):
    file, _, name = node_id.partition("::")
    return file.removesuffix(".py").replace("/", "."), name


class Run:
    def __init__(self, reports, folder, scratch):
        self.reports, self.folder, self.scratch = reports, folder, scratch
        (scratch / "secrets").mkdir(mode=0o700)

    def pytest(self, name, *arguments):
        """Runs some of the tests; returns pytest's exit code and what failed."""
        failures = self.scratch / f"{name}.json"
        code = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "support.lateness", "-ra",
             f"--timeout={TEST_SECONDS}", f"--basetemp={self.scratch / name}", f"--failures={failures}", *arguments],
            cwd=self.folder, check=False,
            env={**os.environ, "PYTHONPATH": str(TESTS), "LARDER_SECRETS": str(self.scratch / "secrets")}).returncode
        return code, json.loads(failures.read_text()) if failures.exists() else []

    def everything(self):
        report = self.reports / "e2e.xml"
        code, failures = self.pytest("e2e", f"--junitxml={report}", "-n", str(PROCESSES), "--dist=loadfile",
                                     "-m", "not last")
        passed = self.repeat(failures, report) if code == FAILED and failures else code == 0
        code, _ = self.pytest("e2e-last", f"--junitxml={self.reports / 'e2e-last.xml'}", "-m", "last")
        return passed and code in (0, NO_TESTS)

    def repeat(self, failures, report):
        """Whether those of which nothing was wrong, only late, pass now; the report then says that they did."""
        again = to_repeat(failures)
        if not again:
            return False
        (self.reports / "second_attempts.txt").write_text(
            "".join(f"needed a second attempt: {failure['id']}\n{failure['text']}\n" for failure in failures))
        print(f"\nOnly deadlines were missed; a second attempt for: {', '.join(again)}", flush=True)
        code, failed = self.pytest("e2e-again", *again)
        if code in (0, FAILED):
            mark_as_passed(report, set(map(junit_name, again)) - {junit_name(failure["id"]) for failure in failed})
        return code == 0


def main():
    reports = pathlib.Path(sys.argv[1]).resolve()
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else TESTS
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="e2e-"))
    if not Run(reports, folder, scratch).everything():
        print(f"logs of the tests that failed: {scratch}")
        sys.exit(1)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
