import pytest


@pytest.fixture
def running():
    """Programs that a test adds are stopped after it, the latest first."""
    started = []
    yield started
    for program in reversed(started):
        program.stop()
