"""Runs last: compares every log of the run with every secret that the run made."""

import os

import pytest

from support import secrets_used

pytestmark = pytest.mark.last


@pytest.fixture(scope="module", autouse=True)
def other_processes():
    if "LARDER_SECRETS" in os.environ:
        secrets_used.load(os.environ["LARDER_SECRETS"])


def test_no_log_holds_a_secret():
    assert secrets_used.leaks() == []


def test_there_was_something_to_compare(request):
    others = [item for item in request.session.items if item.path != request.path]
    if "LARDER_SECRETS" in os.environ or len(others) > 20:  # a whole run, not one file
        assert secrets_used.secret_count() > 10
        assert sum(file.stat().st_size for file in secrets_used.log_files()) > 1000
