"""kill -9 at random moments of fill, eviction and purge: nothing wrong is served, hits are kept.

LARDER_KILLS says how often; the suite does it a few times.
"""

import hashlib
import os
import random
import threading

from support.larder import Node, origin_table

KILLS = int(os.environ.get("LARDER_KILLS", "4"))
MIB = 1 << 20
DRIVE = 64 << 20  # the smallest; the objects take twice as much


def test_nothing_wrong_is_served_and_hits_are_kept(tmp_path, origin):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    choose = random.Random(seed)
    objects, wanted = {}, []
    for i in range(90):
        size = choose.choice((300, 5000, 60_000, 700_000, MIB, 2 * MIB + 9, 4 * MIB))
        objects[f"/k/{i}.bin"] = origin.write(f"k/{i}.bin", size)
    keepers = {f"/keep/{i}.bin": origin.write(f"keep/{i}.bin", size)
               for i, size in enumerate((2000, 500_000, 2 * MIB + 100))}
    data = {**objects, **keepers}
    digests = {path: hashlib.sha256(body).digest() for path, body in data.items()}
    node = Node(tmp_path / "node", origins=[origin_table(origin)], drive_size=str(DRIVE))
    node.start()
    wrong, stop = [], threading.Event()

    def work(number):
        mine = random.Random(seed + number)
        while not stop.is_set():
            path = mine.choice(list(keepers)) if mine.random() < 0.3 else mine.choice(list(objects))
            answer = node.get(path)
            # A kill breaks connections; what came whole must be right.
            if answer.exit_code == 0 and (answer.status != 200
                                          or hashlib.sha256(answer.body).digest() != digests[path]):
                wrong.append((path, answer))
            if mine.random() < 0.05:
                node.cli("cache", "purge", f"http://packages.test{mine.choice(list(objects))}", check=False)
            elif mine.random() < 0.03:
                node.cli("cache", "purge", "--prefix", "http://packages.test/k/1", check=False)

    for kill in range(KILLS):
        for path in keepers:
            node.get(path)
            assert node.get(path).is_hit, path
        stop.clear()
        workers = [threading.Thread(target=work, args=(kill * 10 + i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        stop.wait(choose.uniform(0.05, 0.8))
        node.kill()
        stop.set()
        for worker in workers:
            worker.join()
        node.start()
        assert not wrong, wrong[:3]
        for path, expected in keepers.items():
            answer = node.get(path)
            assert answer.body == expected and answer.is_hit, (kill, path, answer)
        for path in choose.sample(list(objects), 6):
            assert node.get(path).body == objects[path], (kill, path)
    assert node.metric("larder_cache_lost_slices_total") == 0
    node.stop()
