"""The origin of a torture: honest about each generation, until something goes wrong that it notes in the object."""

import collections
import random
import threading
import time

from support.misbehaving_origin import MisbehavingOrigin
from torture.objects import MIB, end_trouble, resolve_ranges

PIECE = 256 << 10
# What goes wrong, and how often beside each other.
TROUBLES = {"cut": 8, "reset": 5, "stall": 6, "late": 4, "long stall": 1, "trickle": 2, "500": 4, "503": 4, "404": 2, "429": 2,
            "no answer": 3, "garbage": 1, "longer than said": 3, "shorter than said": 3, "ignored range": 6, "416": 1,
            "wrong range": 3, "wrong total": 2, "changed meanwhile": 3}

BREAKS = ("cut", "reset", "stall", "trickle", "changed meanwhile")

Exchange = collections.namedtuple("Exchange", "time thing generation variant")


class Origin(MisbehavingOrigin):
    def __init__(self, things, content, seed, trouble_share):
        super().__init__()
        self.things, self.content, self.trouble_share = things, content, trouble_share
        self._rng = random.Random(seed)
        self._calm = threading.Event()
        self.exchanges = []  # by serial
        self.counts = collections.Counter()
        for thing in things:
            self.scripts[thing.path] = lambda request, connection, thing=thing: self._answer(thing, request, connection)

    def calm_down(self):
        """Nothing goes wrong any more, and what is stalled goes on."""
        self.trouble_share = 0
        self._calm.set()

    def forget_requests(self):
        """The list of the base is for tests that end soon."""
        with self.lock:
            self.requests.clear()

    def _enter(self, thing, generation, variant):
        with self.lock:
            self.exchanges.append(Exchange(time.monotonic(), thing.index, generation.number, variant))
            return len(self.exchanges) - 1

    def _answer(self, thing, request, connection):
        rng = self._rng
        self.counts["requests"] += 1
        if request.method == "POST":
            return self._change(thing, connection)
        what = None
        if thing.is_troubled and rng.random() < self.trouble_share:
            what = rng.choices(list(TROUBLES), TROUBLES.values())[0]
        generation = thing.current
        variant = (request.field("X-Flavor") or "plain") if thing.kind.varies else ""
        serial = self._enter(thing, generation, variant)
        if what is None:
            return self._send(thing, generation, variant, serial, request, connection, None)
        if thing.kind.framing == "close" and what in ("cut", "reset", "longer than said", "shorter than said"):
            what = "500"  # nobody could tell the end of such an answer from a break
        self.counts[what] += 1
        trouble = thing.begin_trouble(what)
        try:
            self._send(thing, generation, variant, serial, request, connection, what)
        finally:
            end_trouble(trouble)

    def _change(self, thing, connection):
        began = time.monotonic()
        generation = thing.change()
        connection.head(200, content_length=2, x_generation=f"{thing.index}/{generation.number}/", x_posted=began)
        connection.send(b"ok")

    def _send(self, thing, generation, variant, serial, request, connection, what):
        rng, kind = self._rng, thing.kind
        if what in ("late", "long stall"):
            self._calm.wait(rng.uniform(0.2, 7) if what == "late" else rng.uniform(15, 30))
        if what == "no answer":
            connection.close() if rng.random() < 0.5 else connection.reset()
        if what == "garbage":
            connection.send(rng.randbytes(200))
            connection.close()
        if what in ("500", "503", "404", "429"):
            text = b"trouble\n"
            connection.head(int(what), "Trouble", content_length=len(text),
                            retry_after=1 if what in ("503", "429") and rng.random() < 0.5 else None,
                            cache_control="max-age=1" if what == "404" and rng.random() < 0.5 else None)
            return connection.send(text if request.method != "HEAD" else b"")
        fields = {"etag": generation.etag, "last_modified": generation.modified, "cache_control": kind.cache_control,
                  "x_generation": f"{thing.index}/{generation.number}/{variant}", "x_serial": serial,
                  "vary": "X-Flavor" if kind.varies else None, "content_type": "application/octet-stream"}
        if self._is_unchanged(generation, request):
            return connection.head(304, "Not Modified", **fields)
        wanted = request.field("If-Match")
        if wanted and wanted not in ("*", generation.etag):
            return connection.head(412, "Precondition Failed", content_length=0, **fields)
        ranges = None
        if kind.ranges and request.method == "GET" and what != "ignored range":
            condition = request.field("If-Range")
            if condition is None or (condition == generation.etag and not condition.startswith("W/")) or condition == generation.modified:
                ranges = resolve_ranges(request.field("Range"), generation.size)
        if kind.ranges:
            fields["accept_ranges"] = "bytes"
        if ranges == [] or (what == "416" and ranges):
            return connection.head(416, "Range Not Satisfiable", content_length=0, content_range=f"bytes */{generation.size}", **fields)
        first, last, status = 0, generation.size - 1, 200
        if ranges and len(ranges) == 1:
            (first, last), status = ranges[0], 206
            total = generation.size
            if what == "wrong range" and last > first:
                first += 1
            if what == "wrong total":
                total += rng.choice((-1, 1, MIB)) if total > 1 else 1
            fields["content_range"] = f"bytes {first}-{last}/{total}"
        length = last - first + 1
        # Without any of these a HEAD would make what is stored look new, whatever the origin has by now.
        tells_length = request.method == "HEAD" and not generation.etag and not generation.modified
        if kind.framing == "length" or tells_length:
            fields["content_length"] = length + (rng.choice((1, 1000, 5 * MIB)) if what == "longer than said" else 0)
        elif kind.framing == "chunked":
            fields["transfer_encoding"] = "chunked"
        else:
            fields["connection"] = "close"
        connection.head(status, "Partial Content" if status == 206 else "OK", **fields)
        if request.method != "HEAD":
            self._send_body(thing, generation, variant, connection, first, length, what)
        if kind.framing == "close":
            connection.close()

    @staticmethod
    def _is_unchanged(generation, request):
        tags, since = request.field("If-None-Match"), request.field("If-Modified-Since")
        if tags is not None:
            if generation.etag is None:
                return False
            return generation.etag.removeprefix("W/") in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return since is not None and since == generation.modified

    def _send_body(self, thing, generation, variant, connection, first, length, what):
        rng, chunked = self._rng, thing.kind.framing == "chunked"
        breaks_at = rng.randrange(length) if what in BREAKS else length
        sent = 0
        while sent < length:
            if sent == breaks_at:
                breaks_at = length
                sent += self._break(thing, generation, variant, connection, first + sent, length - sent, what)
                continue
            step = min(PIECE, (breaks_at if sent < breaks_at else length) - sent)
            self._send_piece(generation, variant, connection, first + sent, step, chunked)
            sent += step
        if chunked:
            if what == "longer than said":
                connection.close()
            connection.send(b"0\r\n\r\n")
        if what == "shorter than said":
            connection.send(b"\xee" * rng.choice((1, 100, 70_000)))
            connection.close()
        if what == "longer than said":
            connection.close()

    def _send_piece(self, generation, variant, connection, offset, length, chunked):
        piece = self.content.bytes(generation.starts[variant], offset, length)
        connection.send(b"%x\r\n%s\r\n" % (length, piece) if chunked else piece)

    def _break(self, thing, generation, variant, connection, offset, left, what):
        """In the middle of a body; returns how many of its bytes this has sent."""
        if what == "cut":
            connection.close()
        if what == "reset":
            connection.reset()
        if what == "stall":
            self._calm.wait(self._rng.uniform(0.5, 25))
        if what == "changed meanwhile":
            thing.change()
        if what != "trickle":
            return 0
        count = min(40, left)
        for at in range(offset, offset + count):
            self._send_piece(generation, variant, connection, at, 1, thing.kind.framing == "chunked")
            self._calm.wait(0.3)
        return count
