"""A pytest plugin (`-p support.lateness`) that tells failures of a machine that was busy from wrong answers.

`--failures=FILE` gets a JSON list of {"id", "late", "text"}: a test is late when nothing failed in it but a deadline.
"""

import json
import pathlib
import subprocess

import pytest

from support.wait import DeadlineMissed


def is_late(error):
    """Whether an exception says only that something took too long. pytest-timeout ends a test by a Failed."""
    if isinstance(error, (DeadlineMissed, subprocess.TimeoutExpired)):
        return True
    return isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout >")


def pytest_addoption(parser):
    parser.addoption("--failures", help="file for a list of the tests that failed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call):
    report = (yield).get_result()
    # Plain attributes travel with a report from a worker to the process that counts.
    report.is_late = bool(report.failed and call.excinfo and is_late(call.excinfo.value))


def pytest_configure(config):
    if config.getoption("--failures") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailureList(config.getoption("--failures")))


class FailureList:
    def __init__(self, path):
        self._path = pathlib.Path(path)
        self._failures = {}  # node id -> entry

    def pytest_runtest_logreport(self, report):
        if not report.failed:
            return
        entry = self._failures.setdefault(report.nodeid, {"id": report.nodeid, "late": True, "text": ""})
        entry["late"] = entry["late"] and getattr(report, "is_late", False)
        entry["text"] += f"{report.when}: {report.longreprtext}\n"

    def pytest_sessionfinish(self):
        self._path.write_text(json.dumps(list(self._failures.values())))
