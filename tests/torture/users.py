"""Clients that do anything a client may do, and look at every byte of what they get."""

import dataclasses
import itertools
import random
import threading
import time

from torture.client import Broken, Connection, Malformed
from torture.objects import HOST, MIB
from torture.oracle import Asked

AGENT = "Microsoft-Delivery-Optimization/10.0"
FIRST_BYTE, NEXT_BYTE = 60, 90  # seconds; the node promises 18 for the first, and to give up a fetch sooner than the second
SEVERAL_MOST = 8 * MIB  # of objects that several ranges are asked of: their parts are looked at together
_numbers = itertools.count(1)


class User(threading.Thread):
    def __init__(self, torture, seed):
        super().__init__(daemon=True)
        self.torture, self.rng = torture, random.Random(seed)
        self._idle = {}  # connections, by is_tls

    def run(self):
        while not self.torture.stopping.is_set():
            try:
                self.act()
            except Exception as error:  # of the tool itself
                self.torture.history.find(f"the torture failed: {error!r}")
                raise
            self.torture.stopping.wait(self.rng.choice((0, 0, 0.001, 0.01, 0.05)))
        for connection in self._idle.values():
            connection.close()

    def act(self):
        rng = self.rng
        thing = self.torture.choose(rng)
        if rng.random() < 0.02:
            return self.change(thing)
        asked = [self.plan(thing)]
        if rng.random() < 0.04 and asked[0].manner == "fast":
            other = self.plan(self.torture.choose(rng))
            asked.append(dataclasses.replace(other, is_tls=asked[0].is_tls, manner="fast"))
        self.ask(asked)

    def plan(self, thing):
        rng, kind = self.rng, thing.kind
        asked = Asked(next(_numbers), thing, is_tls=rng.random() < 0.35, variant=rng.choice(thing.variants),
                      form=rng.choice(("host", "host", "host", "parameter", "absolute")))
        asked.manner = rng.choices(("fast", "slow", "abort", "reset"), (80, 7, 8, 5))[0]
        generation = thing.current if rng.random() < 0.8 else rng.choice(thing.generations)
        what = rng.choices(("whole", "range", "several", "if-range", "condition", "match", "head", "agent", "directive", "authorization"),
                           (28, 22, 8, 8, 8, 2, 6, 12, 4, 2))[0]
        if what == "several" and generation.size > SEVERAL_MOST:
            what = "range"
        if what == "range" or (what == "agent" and rng.random() < 0.6):
            asked.ranges = self.range_of(generation.size)
        if what == "several":
            asked.ranges = "bytes=" + ", ".join(self.range_of(generation.size)[6:] for _ in range(rng.randint(2, 5)))
        if what == "if-range" and (generation.etag or generation.modified):
            asked.ranges, asked.if_range = self.range_of(generation.size), generation.etag or generation.modified
        if what == "condition" and generation.etag:
            asked.none_match = generation.etag
            if rng.random() < 0.3:
                asked.ranges = self.range_of(generation.size)
        if what == "match" and kind.etag == "strong":
            asked.match = generation.etag
        if what == "head" or (what == "condition" and rng.random() < 0.2):
            asked.method = "HEAD"
        if what == "directive":
            asked.directive = rng.choice(("no-cache", "only-if-cached"))
        asked.is_agent = what == "agent"
        asked.has_authorization = what == "authorization"
        return asked

    def range_of(self, size):
        rng = self.rng
        way = rng.randrange(6)
        if way == 0:
            return f"bytes=-{rng.choice((1, 100, 70_000, MIB + 3, size))}"
        if way == 1:
            return f"bytes={rng.randrange(size)}-"
        if way == 2:
            first = rng.randrange((size - 1) // MIB + 1) * MIB
            return f"bytes={first}-{first + MIB - 1}"
        if way == 3:
            return "bytes=0-1"
        if way == 4 and rng.random() < 0.2:
            return f"bytes={size + rng.randrange(3)}-{size + 5000}"
        first = rng.randrange(size)
        return f"bytes={first}-{first + rng.choice((0, 10, 5000, 100_000, 3 * MIB))}"

    def request(self, asked):
        path, host, place = asked.thing.path, HOST, ""
        if asked.form == "parameter":
            path, host = f"{path}?cacheHostOrigin={HOST}", "node1.larder.test"
        if asked.form == "absolute" and not asked.is_tls:
            place = f"http://{HOST}"
        lines = [f"{asked.method} {place}{path} HTTP/1.1", f"Host: {host}"]
        if asked.is_agent:
            lines += [f"User-Agent: {AGENT}", f"MS-CV: x.{asked.number}"]
        if asked.variant:
            lines.append(f"X-Flavor: {asked.variant}")
        if asked.has_authorization:
            lines.append("Authorization: Basic dG9ydHVyZTp0b3J0dXJl")
        for name, value in (("Range", asked.ranges), ("If-Range", asked.if_range), ("If-None-Match", asked.none_match),
                            ("If-Match", asked.match), ("Cache-Control", asked.directive)):
            if value:
                lines.append(f"{name}: {value}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def connect(self, is_tls, manner="fast"):
        idle = self._idle.pop(is_tls, None)
        if idle and (manner == "slow" or self.rng.random() < 0.1 or idle.has_ended()):
            idle.close()
            idle = None
        return idle or self.torture.connect(is_tls, 16384 if manner == "slow" else None)

    def ask(self, asked):
        """Sends all of them at once on one connection and reads their answers."""
        history, connection = self.torture.history, None
        for each in asked:
            each.sent = time.monotonic()
            history.note("asked", each.thing, request=str(each))
        try:
            connection = self.connect(asked[0].is_tls, asked[0].manner)
            used, connection.used = connection.used, True
            connection.send(b"".join(map(self.request, asked)))
        except OSError as error:
            # A connection that was idle may end at any time.
            if not (connection and used):
                self.judge_break(asked[0], None, f"no connection: {error!r}")
            if connection:
                connection.close()
            return
        keep = True
        for each in asked:
            if not keep:
                break  # what was asked after the last answer of a connection is to be asked again
            keep = self.read(each, connection, used)
            used = True
        if keep:
            self._idle[asked[0].is_tls] = connection
        else:
            connection.close(reset=asked[0].manner == "reset")

    def read(self, asked, connection, used):
        """One answer; returns whether the connection can be used again."""
        history, judge = self.torture.history, self.torture.judge
        expected, head, came = None, None, 0
        try:
            connection.wait_at_most(FIRST_BYTE)
            head = connection.head()
            history.note("head", asked.thing, number=asked.number, status=head.status,
                         **{name.replace("-", "_"): head.field(name) for name in
                            ("content-length", "content-range", "x-generation", "x-serial", "cache-status", "x-request-id", "age")
                            if head.field(name)})
            problems, expected = judge.head(asked, head)
            self.count(head)
            for problem in problems:
                self.torture.find(f"{asked}: {problem}", asked.thing)
            connection.wait_at_most(NEXT_BYTE)
            if asked.method == "HEAD" or head.status in (304, 204):
                came = 0
            else:
                came = self.read_body(asked, head, expected, connection)
                if came is None:
                    return False
            history.note("end", asked.thing, number=asked.number, bytes=came)
            return head.field("connection", "").lower() != "close"
        except Malformed as error:
            self.torture.find(f"{asked}: {error}", asked.thing)
        except Broken as error:
            if head is not None or not used or str(error) == "in the head":
                self.judge_break(asked, expected, f"{error}")
        except TimeoutError:
            if not self.torture.history.was_down(asked.sent, time.monotonic()):
                self.torture.find(f"{asked}: no byte for {NEXT_BYTE if head else FIRST_BYTE} s", asked.thing)
        except OSError as error:
            if head is not None or not used:
                self.judge_break(asked, expected, repr(error))
        return False

    def read_body(self, asked, head, expected, connection):
        """Bytes that came; None when the client left or something is wrong."""
        rng, judge, torture = self.rng, self.torture.judge, self.torture
        leaves_after = rng.randrange(1, 1 + max(1, asked.thing.size)) if asked.manner in ("abort", "reset") else float("inf")
        slow_until = time.monotonic() + rng.uniform(0.5, 5)
        came, parts = 0, []
        for piece in connection.body(head, 8192 if asked.manner == "slow" else 256 << 10):
            if expected is not None and expected.parts is not None:
                parts.append(piece)
            elif expected is not None:
                if wrong := judge.bytes(asked, expected, expected.first + came, piece, torture.things):
                    torture.find(f"{asked}: {wrong}", asked.thing)
                    return None
            came += len(piece)
            torture.history.counts["bytes"] += len(piece)
            if came >= leaves_after:
                return None
            if asked.manner == "slow":
                if time.monotonic() > slow_until:
                    return None
                torture.stopping.wait(rng.uniform(0, 0.1))
        if expected is None:
            return came
        if expected.parts is not None:
            problems = judge.parts(asked, expected, head, b"".join(parts), torture.things)
        else:
            problems = filter(None, [judge.end(asked, expected, came)])
        for problem in problems:
            torture.find(f"{asked}: {problem}", asked.thing)
        return came

    def judge_break(self, asked, expected, what):
        excuse = self.torture.judge.excuse(asked, expected.generation if expected else None)
        if excuse is None and expected is not None and expected.must_break:
            excuse = "a length that was a lie"
        self.torture.history.note("broke", asked.thing, number=asked.number, how=what, excuse=excuse)
        self.torture.history.counts["broken"] += 1
        self.torture.history.counts[f"broken because of {excuse}"] += 1
        if excuse is None:
            self.torture.find(f"{asked}: broke {what}, without a reason", asked.thing)

    def count(self, head):
        counts = self.torture.history.counts
        counts["answers"] += 1
        counts[f"{head.status // 100}xx"] += 1
        status = head.field("cache-status", "")
        counts["hits"] += "hit" in status and "fwd" not in status

    def change(self, thing):
        """A POST, after which nobody may get what was there before."""
        try:
            connection = self.connect(False)
        except OSError:
            return
        try:
            connection.wait_at_most(FIRST_BYTE)
            connection.send(f"POST {thing.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n".encode())
            head = connection.head()
            for _ in connection.body(head):
                pass
            if head.status == 200:
                thing.note_barrier(float(head.field("x-posted")), time.monotonic(), "POST")
                self.torture.history.note("posted", thing)
        except (OSError, Broken):
            pass
        finally:
            connection.close()
