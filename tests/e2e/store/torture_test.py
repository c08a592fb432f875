"""A short torture (tests/torture/run): what is random there is judged by what the origin really had."""

import subprocess
import sys

import pytest

from support.larder import PROGRAM
from support.program import ROOT


@pytest.mark.parametrize("options", [
    ("--seed", "1", "--kills", "--drive", "64MiB"),
    ("--seed", "2", "--trouble", "0.3", "--largest", "3000000"),
], ids=["kills", "trouble"])
def test_no_answer_is_wrong(tmp_path, options):
    done = subprocess.run(
        [sys.executable, ROOT / "tests/torture/run", "12", "--clients", "6", "--objects", "28", "--larder", PROGRAM,
         "--folder", tmp_path / "torture", *options], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
