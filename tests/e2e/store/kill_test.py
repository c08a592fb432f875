"""kill -9 at random moments of fill, eviction and purge: nothing wrong is served, hits are kept.

LARDER_KILLS says how often; the suite does it a few times.
"""

import hashlib
import os
import random
import threading

import pytest

from support.larder import Node, origin_table

KILLS = int(os.environ.get("LARDER_KILLS", "4"))
MIB = 1 << 20
DRIVE = 64 << 20  # the smallest; the objects take twice as much
KEEPERS = (2000, 500_000, 2 * MIB + 100)  # bytes of those that are hit all the time


def digest(body):
    return hashlib.sha256(body).digest()


def make(origin, folder, sizes):
    """Files of these sizes at the origin: their digests by path."""
    return {f"/{folder}/{i}.bin": digest(origin.write(f"{folder}/{i}.bin", size)) for i, size in enumerate(sizes)}


def wrong(answer, expected):
    """What is wrong with an answer, without its body; nothing when it is right."""
    if answer.exit_code == 0 and answer.status == 200 and digest(answer.body) == expected:
        return None
    return f"{answer!r} is not the object of {expected.hex()[:16]}"


def wait_until_hits_are_recorded(node):
    node.program.wait_for(lambda: not node.metric("larder_cache_unrecorded_uses"), what="all hits in the journal")


def state(node):
    """What a failure needs to be understood."""
    metrics = [line for line in node.admin("/metrics").body.decode().splitlines() if line.startswith("larder_cache_")]
    return "\n".join([*metrics, node.program.log_tail()])


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_was_hit_is_spared_after_a_restart_as_well(tmp_path, origin, end):
    keepers = make(origin, "keep", KEEPERS)
    others = make(origin, "once", [MIB] * 85)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], drive_size=str(DRIVE)).start()
    paths = list(others)
    # The keepers are the oldest, and nothing has to go yet.
    for path in [*keepers, *paths[:30]]:
        assert node.get(path).status == 200
        for keeper, expected in keepers.items():
            assert not wrong(node.get(keeper), expected)
    node.wait_until_stored()
    assert node.metric("larder_cache_evicted_bytes_total") == 0
    if end == "kill":
        wait_until_hits_are_recorded(node)
        node.kill()
    else:
        node.stop()
    node.start()
    for path in paths[30:]:
        assert node.get(path).status == 200
    node.program.wait_for(lambda: node.metric("larder_cache_evicted_bytes_total") > 16 * MIB, what="eviction")
    assert node.metric("larder_cache_evicted_objects_total") > 0
    for keeper, expected in keepers.items():
        answer = node.get(keeper)
        assert not wrong(answer, expected) and answer.is_hit, f"{keeper} {answer!r}\n{state(node)}"
    assert not node.get(paths[0]).is_hit
    node.stop()


class Work:
    """Clients that ask for objects, each time after all keepers, and purge now and then."""

    def __init__(self, node, keepers, objects):
        self.node, self.keepers, self.objects = node, keepers, objects
        self.lock = threading.Lock()
        self.wrong = []
        self.others = 0  # bytes of objects that were not hits
        self.last_hit = {}  # of a keeper: what `others` was then

    def run(self, seed, stop):
        mine = random.Random(seed)
        while not stop.is_set():
            for path, expected in self.keepers.items():
                self.ask(path, expected)
            path = mine.choice(list(self.objects))
            self.ask(path, self.objects[path])
            if mine.random() < 0.15:
                path = mine.choice(list(self.objects))
                self.node.cli("cache", "purge", f"http://packages.test{path}", check=False)
            elif mine.random() < 0.1:
                self.node.cli("cache", "purge", "--prefix", "http://packages.test/k/1", check=False)

    def ask(self, path, expected):
        answer = self.node.get(path)
        with self.lock:
            # A kill breaks connections; what came whole must be right.
            if answer.exit_code == 0 and wrong(answer, expected):
                self.wrong.append(f"{path} {wrong(answer, expected)}")
            if not answer.is_hit:
                self.others += len(answer.body)
            elif path in self.keepers:
                self.last_hit[path] = self.others


def test_nothing_wrong_is_served_and_hits_are_kept(tmp_path, origin):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    choose = random.Random(seed)
    objects = make(origin, "k", [choose.choice((300, 5000, 60_000, 700_000, MIB, 2 * MIB + 9, 4 * MIB))
                                 for _ in range(90)])
    keepers = make(origin, "keep", KEEPERS)
    node = Node(tmp_path / "node", origins=[origin_table(origin)], drive_size=str(DRIVE))
    node.start()
    work = Work(node, keepers, objects)
    for kill in range(KILLS):
        for path in keepers:
            node.get(path)
            assert node.get(path).is_hit, path
        node.wait_until_stored()
        wait_until_hits_are_recorded(node)
        stop = threading.Event()
        workers = [threading.Thread(target=work.run, args=(seed + kill * 10 + i, stop)) for i in range(4)]
        for worker in workers:
            worker.start()
        stop.wait(choose.uniform(0.05, 0.8))
        node.kill()
        stop.set()
        for worker in workers:
            worker.join()
        node.start()
        assert not work.wrong, work.wrong[:3]
        for path, expected in keepers.items():
            answer = node.get(path)
            assert not wrong(answer, expected) and answer.is_hit, (
                f"kill {kill}, seed {seed}: {path} after {work.others - work.last_hit.get(path, 0)} bytes of others\n"
                f"{answer!r}\n{state(node)}")
        for path in choose.sample(list(objects), 6):
            assert not wrong(node.get(path), objects[path]), (kill, path)
    assert node.metric("larder_cache_lost_slices_total") == 0
    node.stop()
