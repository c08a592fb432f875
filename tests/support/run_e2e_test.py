"""What the e2e stage makes of tests that fail: it is run here on small test files of its own."""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from support import run_e2e

STAGE = pathlib.Path(run_e2e.__file__)

# A deadline that is missed the first time only, in each of the ways in which a test can be late.
LATE = """
import pathlib, subprocess, time
import pytest
from support.wait import DeadlineMissed, wait_until

def is_first(name):
    file = pathlib.Path(__file__).with_name(name)
    if file.exists():
        return False
    file.touch()
    return True
"""
WAIT = "def test_wait():\n    wait_until(lambda: not is_first('wait'), 0, 'the page', seen=lambda: 'half a page')\n"
PROGRAM = "def test_program():\n    if is_first('program'):\n        subprocess.run(['sleep', '9'], timeout=0.01)\n"
HUNG = "@pytest.mark.timeout(0.2)\ndef test_hung():\n    if is_first('hung'):\n        time.sleep(9)\n"
SETUP = ("@pytest.fixture\ndef slow():\n    wait_until(lambda: not is_first('slow'), 0)\n"
         "def test_setup(slow):\n    pass\n")
FINE = "def test_fine():\n    pass\n"
WRONG = "def test_wrong():\n    assert not is_first('wrong')\n"
LATE_THEN_WRONG = ("@pytest.fixture\ndef thing():\n    yield\n    assert 1 == 2\n"
                   "def test_both(thing):\n    wait_until(lambda: False, 0)\n")
ALWAYS = "def test_always():\n    wait_until(lambda: False, 0)\n"
LAST = "@pytest.mark.last\ndef test_last():\n    assert not pathlib.Path(__file__).with_name('leak').exists()\n"


class Stage:
    def __init__(self, folder, *tests):
        self.reports, tests_folder = folder / "reports", folder / "tests"
        self.reports.mkdir()
        tests_folder.mkdir()
        (tests_folder / "pytest.ini").write_text("[pytest]\npython_files = *_test.py\nmarkers = last\n")
        (tests_folder / "some_test.py").write_text(LATE + "\n".join(tests))
        done = subprocess.run([sys.executable, STAGE, self.reports, tests_folder], capture_output=True, text=True,
                              timeout=250, env={**os.environ, "TMPDIR": str(folder)})
        self.passed, self.output = done.returncode == 0, done.stdout + done.stderr

    @property
    def second_attempts(self):
        file = self.reports / "second_attempts.txt"
        return file.read_text() if file.exists() else ""

    def counts(self):
        """(tests, failures) of the reports."""
        cases = [case for report in self.reports.glob("*.xml")
                 for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase")]
        return len(cases), sum(case.find("failure") is not None or case.find("error") is not None for case in cases)


def test_whatever_was_only_late_passes_at_the_second_attempt_and_it_is_said(tmp_path):
    stage = Stage(tmp_path, WAIT, PROGRAM, HUNG, SETUP, FINE)
    assert stage.passed, stage.output
    assert stage.counts() == (5, 0)
    for name in ("wait", "program", "hung", "setup"):
        assert f"needed a second attempt: some_test.py::test_{name}\n" in stage.second_attempts
    assert "not within 0 s: the page; seen: half a page" in stage.second_attempts
    assert "fine" not in stage.second_attempts


def test_a_wrong_answer_gets_no_second_attempt(tmp_path):
    stage = Stage(tmp_path, WAIT, WRONG)
    assert not stage.passed
    assert stage.counts() == (2, 2)
    assert "second attempt" not in stage.output + stage.second_attempts


def test_a_late_test_that_also_went_wrong_gets_no_second_attempt(tmp_path):
    stage = Stage(tmp_path, LATE_THEN_WRONG)
    assert not stage.passed
    assert stage.second_attempts == ""


def test_what_is_late_twice_has_failed(tmp_path):
    stage = Stage(tmp_path, WAIT, ALWAYS)
    assert not stage.passed
    assert stage.counts() == (2, 1)


@pytest.mark.parametrize("count, passes", [(5, True), (6, False)])
def test_few_may_be_late(tmp_path, count, passes):
    stage = Stage(tmp_path, *(WAIT.replace("wait()", f"wait{i}()").replace("'wait'", f"'wait{i}'")
                              for i in range(count)))
    assert stage.passed == passes, stage.output
    assert stage.counts() == (count, 0 if passes else count)


def test_what_judges_the_run_is_heard(tmp_path):
    leak = "def test_leak():\n    pathlib.Path(__file__).with_name('leak').touch()\n"
    assert Stage(tmp_path, LAST, leak).counts() == (2, 1)


def test_a_file_that_cannot_be_read_fails(tmp_path):
    stage = Stage(tmp_path, FINE, "import nothing_of_that_name\n")
    assert not stage.passed
