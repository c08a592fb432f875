import pytest

from support.issuer import Issuer


@pytest.fixture
def issuer(tmp_path, authority):
    """An authority that answers for revocation."""
    made = Issuer(tmp_path / "issuer", authority)
    yield made
    made.stop()


@pytest.fixture
def running():
    """Programs that a test adds are stopped after it, the latest first."""
    started = []
    yield started
    for program in reversed(started):
        program.stop()
