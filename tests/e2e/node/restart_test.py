"""What a node still knows after it was stopped or killed."""

import pytest


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_hits_survive(node, origin, how):
    small, big = origin.write(f"small-{how}.bin", 4096), origin.write(f"big-{how}.bin", 9_000_000)
    for path in (f"/small-{how}.bin", f"/big-{how}.bin"):
        node.get(path)
        assert node.get(path).is_hit
    node.wait_until_stored()
    asked = len(origin.requests())

    getattr(node, how)()
    node.start()

    for path, data in ((f"/small-{how}.bin", small), (f"/big-{how}.bin", big)):
        answer = node.get(path)
        assert answer.is_hit, answer.raw_headers
        assert answer.body == data
    assert len(origin.requests()) == asked


def test_stop_ends_cleanly(node):
    assert node.stop() == 0
    node.start()
