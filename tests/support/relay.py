#!/usr/bin/python3
"""A TCP relay that makes a link worse: delay, rate, stalls and cut connections.

In tests: `with Relay(target) as relay:` and clients connect to relay.port. From a shell:
    relay.py --to 127.0.0.1:8080 --listen 9000 --delay-ms 40 --rate 1000000
Delay is one way; bytes under way do not wait for each other, as on a long cable. The rate is shared by
all connections of one direction, as on one line.
"""

import argparse
import asyncio
import collections
import socket
import struct
import threading
import time

_chunk = 64 * 1024


class _Line:
    """One direction of the link: when the next byte may leave."""

    def __init__(self, relay):
        self._relay = relay
        self._free_at = 0.0

    def carry(self, size):
        """The time at which `size` bytes that enter now arrive at the far end."""
        now = time.monotonic()
        if self._relay.rate:
            self._free_at = max(self._free_at, now) + size / self._relay.rate
            return self._free_at + self._relay.delay
        return now + self._relay.delay


class Relay:
    def __init__(self, target, port=0, address="127.0.0.1", delay=0.0, rate=0, cut_after=0):
        """`target` is (host, port); `delay` seconds each way; `rate` bytes per second each way, 0
        unlimited; `cut_after` bytes from the target end a connection by reset, 0 never. All of them
        may be changed while it runs."""
        self.target, self.address, self.port = target, address, port
        self.delay, self.rate, self.cut_after = delay, rate, cut_after
        self.connections = 0
        self.bytes_from_target = 0
        self._writers = set()
        self._flowing = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("relay did not start")
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    def stall(self):
        """Nothing passes any more, connections stay open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self):
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self):
        """Every open connection ends by reset."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self):
        for writer in list(self._writers):
            _reset(writer)

    def _main(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._stopping, self._flowing = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._out, self._back = _Line(self), _Line(self)
        server = await asyncio.start_server(self._accept, self.address, self.port, limit=_chunk, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stopping.wait()
        self._cut_all()

    async def _accept(self, reader, writer):
        self.connections += 1
        try:
            # A connection costs one trip there and one back before its first byte, as a real one does.
            await asyncio.sleep(2 * self.delay)
            far_reader, far_writer = await asyncio.open_connection(*self.target, limit=_chunk)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer, self._out, False),
                                 self._pump(far_reader, writer, self._back, True))
        except (OSError, asyncio.IncompleteReadError):
            _reset(writer)
            _reset(far_writer)
        finally:
            self._writers -= {writer, far_writer}
            for each in (writer, far_writer):
                each.close()

    async def _pump(self, reader, writer, line, from_target):
        """Reads as fast as the line carries, delivers each piece when it has travelled."""
        queue, changed = collections.deque(), asyncio.Condition()
        passed = under_way = 0

        async def deliver():
            nonlocal under_way
            while True:
                async with changed:
                    await changed.wait_for(lambda: queue)
                    due, data = queue.popleft()
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                await self._flowing.wait()
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
                async with changed:
                    under_way -= len(data)
                    changed.notify_all()

        async def collect():
            nonlocal passed, under_way
            while True:
                data = await reader.read(_chunk)
                passed += len(data)
                if from_target:
                    self.bytes_from_target += len(data)
                    if self.cut_after and passed >= self.cut_after:
                        raise ConnectionResetError
                due = line.carry(len(data))
                async with changed:
                    # The cable holds one round trip's worth and a router's buffer; past that the sender waits.
                    held = 2 * self.delay * self.rate + 256 * 1024 if self.rate else 64 * 1024 * 1024
                    await changed.wait_for(lambda: under_way < held)
                    under_way += len(data)
                    queue.append((due, data))
                    changed.notify_all()
                if not data:
                    return

        await asyncio.gather(deliver(), collect())


def _reset(writer):
    found = writer.get_extra_info("socket")
    if found is not None and found.fileno() >= 0:
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


def main():
    parser = argparse.ArgumentParser(description="A TCP relay that makes a link worse.")
    parser.add_argument("--to", required=True, help="HOST:PORT")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--rate", type=int, default=0, help="bytes per second each way")
    parser.add_argument("--cut-after", type=int, default=0, help="bytes after which a connection is reset")
    given = parser.parse_args()
    host, port = given.to.rsplit(":", 1)
    with Relay((host, int(port)), given.listen, "127.0.0.1", given.delay_ms / 1000, given.rate, given.cut_after):
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
