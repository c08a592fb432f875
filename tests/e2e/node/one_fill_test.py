"""Many clients, one fetch."""

import asyncio
import concurrent.futures

from support.wait import wait_until

CLIENTS = 50
MIB = 1 << 20


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


class Clients:
    """Many connections that ask for one range at almost the same moment."""

    def __init__(self, node):
        self.node, self.connections = node, []

    async def connect(self, count):
        for _ in range(count):
            self.connections.append(await asyncio.open_connection(self.node.address, self.node.http_port))

    async def _answer(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
        return head.split(b" ")[1], await reader.readexactly(length)

    async def get(self, path, first, last):
        request = (f"GET {path} HTTP/1.1\r\nHost: packages.test\r\nRange: bytes={first}-{last}\r\n\r\n").encode()
        for _, writer in self.connections:
            writer.write(request)
        return await asyncio.gather(*(self._answer(reader) for reader, _ in self.connections))

    def close(self):
        for _, writer in self.connections:
            writer.close()


def test_whenever_a_client_comes_each_slice_is_fetched_once(node, origin):
    """They come before the first head, while the object is being made, and while its slices arrive: no two fills of one object."""
    objects = 60
    data = origin.write("once.bin", 4 * MIB)
    for number in range(objects):
        (origin.files / f"once{number}.bin").hardlink_to(origin.files / "once.bin")

    async def ask_for_all():
        clients = Clients(node)
        await clients.connect(100)
        for number in range(objects):
            for status, body in await clients.get(f"/once{number}.bin", MIB, 2 * MIB + 99):
                assert (status, body) == (b"206", data[MIB:2 * MIB + 100])
        clients.close()
    asyncio.run(ask_for_all())
    for number in range(objects):
        wait_until(lambda target=f"/once{number}.bin": sum(each["bytes"] for each in origin.requests(target)) >= 2 * MIB)
    seen = [each for each in origin.requests() if each["target"].startswith("/once")]
    twice = sum(each["bytes"] for each in seen) - objects * 2 * MIB
    assert twice <= objects * 2 * MIB * 0.02, f"{len(seen)} requests, {twice / MIB} MiB too many"


def test_leader_that_leaves_does_not_end_the_fill(node, origin):
    size = 4 << 20
    data = origin.write("left.bin", size)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        leader = pool.submit(node.get, "/slow/left.bin", "--max-time", "0.5")
        follower = pool.submit(node.get, "/slow/left.bin")
        assert leader.result().exit_code == 28
        answer = follower.result()
    assert (answer.status, answer.body) == (200, data)
