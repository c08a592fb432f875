"""Runs last: compares every log of the run with every secret that the run made."""

from support import secrets_used


def test_no_log_holds_a_secret():
    assert secrets_used.leaks() == []


def test_there_was_something_to_compare(request):
    others = [item for item in request.session.items if item.path != request.path]
    if len(others) > 20:  # a whole run, not one file
        assert secrets_used.secret_count() > 10
        assert sum(file.stat().st_size for file in secrets_used.log_files()) > 1000
