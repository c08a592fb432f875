"""Bytes on a drive that are no more what was written: what is wrong is fetched again, nothing wrong is served.

The journal cut at every byte and with every byte wrong is a unit test of the store; here a whole node starts on some of them."""

import random
import shutil

import pytest

from support.larder import Node, origin_table

MIB = 1 << 20
CUTS = 12


@pytest.fixture
def filled(tmp_path, origin):
    """A stopped node with its drive and what is on it, by path."""
    node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
    data = {f"/damage/{i}.bin": origin.write(f"damage/{i}.bin", size)
            for i, size in enumerate((1, 4000, 60_000, 300_000, MIB, 2 * MIB + 5))}
    for path in data:
        node.get(path)
        assert node.get(path).is_hit
    node.wait_until_stored()
    node.kill()
    yield node, data
    node.stop()


def test_flipped_bits_in_a_segment_are_never_served(filled, origin):
    node, data = filled
    [segment] = [path for path in (node.folder / "cache/segments").iterdir() if path.is_file()]
    content = bytearray(segment.read_bytes())
    # One bit in the middle of each packed object's bytes.
    flipped = [path for path, body in data.items() if 1000 < len(body) <= MIB]
    for path in flipped:
        at = content.find(data[path])
        assert at > 0, path
        content[at + len(data[path]) // 2] ^= 4
    with open(segment, "r+b") as file:
        file.write(content)
    node.start()
    asked = {path: len(origin.requests(path)) for path in data}
    for path, body in data.items():
        assert node.get(path).body == body, path
    assert node.metric("larder_cache_lost_slices_total") == len(flipped)
    for path in data:
        assert len(origin.requests(path)) - asked[path] == (path in flipped), path
        assert node.get(path).body == data[path] and node.get(path).is_hit


def test_flipped_bits_of_a_large_object_are_fetched_again_in_the_middle_of_an_answer(tmp_path, origin):
    """A slice that is sent first, one behind it, and those that only later parts of the answer come to."""
    node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
    data = origin.write("damage/large.bin", 20 * MIB)
    assert node.get("/damage/large.bin").body == data
    node.wait_until_stored()
    [path] = [path for path in (node.folder / "cache/objects").rglob("*") if path.is_file()]
    for wrong in ([0], [3], [11], [2, 13, 19]):
        node.kill()
        content = path.read_bytes()
        with open(path, "r+b") as file:
            for index in wrong:
                at = content.find(data[index * MIB + 1000:index * MIB + 1100])
                file.seek(at)
                file.write(bytes([content[at] ^ 4]))
        node.start()
        asked = len(origin.requests("/damage/large.bin"))
        answer = node.get("/damage/large.bin")
        assert (answer.exit_code, answer.status, answer.body == data) == (0, 200, True), wrong
        assert node.metric("larder_cache_lost_slices_total") == len(wrong)
        assert len(origin.requests("/damage/large.bin")) - asked <= len(wrong)
        node.wait_until_stored()
        assert node.get("/damage/large.bin").is_hit
    node.stop()


def test_every_bit_of_a_segment_flipped_is_never_served(filled):
    """Heads and the segment's own header, too."""
    node, data = filled
    for segment in (node.folder / "cache/segments").iterdir():
        content = segment.read_bytes()
        segment.write_bytes(bytes(byte ^ 0xff for byte in content))
    node.start()
    for path, body in data.items():
        assert node.get(path).body == body, path
        assert node.get(path).body == body, path


def test_journal_cut_anywhere_is_read_up_to_there(filled, tmp_path):
    node, data = filled
    whole = tmp_path / "whole"
    shutil.copytree(node.folder / "cache", whole, symlinks=True)
    length = (whole / "journal").stat().st_size
    seed = random.randrange(1 << 30)
    print("seed", seed)
    choose = random.Random(seed)
    for cut in [0, 1, length - 1, *(choose.randrange(length) for _ in range(CUTS))]:
        shutil.rmtree(node.folder / "cache")
        shutil.copytree(whole, node.folder / "cache", symlinks=True)
        with open(node.folder / "cache/journal", "r+b") as file:
            file.truncate(cut)
        node.start()
        for path, body in data.items():
            assert node.get(path).body == body, (cut, path)
        node.kill()
