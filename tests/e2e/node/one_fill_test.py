"""Many clients, one fetch."""

import concurrent.futures

CLIENTS = 50


def test_fifty_clients_of_a_cold_object_are_one_fetch(node, origin):
    size = 8 << 20
    data = origin.write("herd.bin", size)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        # Slow enough that all of them arrive while the object is on its way.
        answers = list(pool.map(lambda _: node.get("/slow/herd.bin"), range(CLIENTS)))
    assert [answer.status for answer in answers] == [200] * CLIENTS
    assert all(answer.body == data for answer in answers)
    seen = origin.requests("/slow/herd.bin")
    assert sum(each["bytes"] for each in seen) <= size * 1.02, seen
    ranges = [each["range"] for each in seen]
    assert len(set(ranges)) == len(ranges), ranges


def test_leader_that_leaves_does_not_end_the_fill(node, origin):
    size = 4 << 20
    data = origin.write("left.bin", size)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        leader = pool.submit(node.get, "/slow/left.bin", "--max-time", "0.5")
        follower = pool.submit(node.get, "/slow/left.bin")
        assert leader.result().exit_code == 28
        answer = follower.result()
    assert (answer.status, answer.body) == (200, data)
