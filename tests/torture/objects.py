"""What the origin has: objects of several kinds whose every byte follows from object, variant, generation and offset."""

import dataclasses
import email.utils
import hashlib
import random
import re
import threading
import time

MIB = 1 << 20
HOST = "packages.test"
FLAVORS = ("plain", "salt", "sweet")
LARGEST = 40 * MIB
EDGES = (1, 2, 4095, 65536, 65537, MIB - 1, MIB, MIB + 1, 2 * MIB, 8 * MIB, 8 * MIB + 1, 16 * MIB + 1, 32 * MIB + 5)
TROUBLE_LASTS = 45  # seconds for which what an origin did wrong may still show: attempts, waits, what is remembered
REMEMBERED = 2000  # troubles of an object


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    cache_control: str
    lifetime: float  # seconds without the origin's word
    etag: str = "strong"  # "weak" or ""
    modified: bool = False
    ranges: bool = True
    framing: str = "length"  # "chunked" or "close"
    varies: bool = False
    must_revalidate: bool = False
    stored: bool = True

    @property
    def can_be_combined(self):
        """Whether a part of it that was given up can be had again by itself."""
        return self.ranges and self.framing == "length" and (self.etag == "strong" or self.modified)


KINDS = (
    Kind("strong", "max-age=3600", 3600, modified=True),
    Kind("short", "max-age=2", 2),
    Kind("must", "max-age=1, must-revalidate", 1, must_revalidate=True),
    Kind("background", "max-age=2, stale-while-revalidate=4", 6),
    Kind("no-cache", "no-cache", 0, must_revalidate=True),
    Kind("weak", "max-age=20", 20, etag="weak"),
    Kind("modified", "max-age=20", 20, etag="", modified=True),
    Kind("bare", "max-age=20", 20, etag=""),
    Kind("no-ranges", "max-age=60", 60, ranges=False),
    Kind("chunked", "max-age=20", 20, ranges=False, framing="chunked"),
    Kind("chunked-bare", "max-age=5", 5, etag="", ranges=False, framing="chunked"),
    Kind("until-close", "max-age=10", 10, ranges=False, framing="close"),
    Kind("vary", "max-age=20", 20, varies=True),
    Kind("no-store", "no-store", 0, stored=False),
)


class Content:
    """One long row of random bytes; each generation begins at a place of its own in it."""

    LENGTH = 50_331_653  # a prime longer than any object

    def __init__(self, seed):
        self._row = random.Random(seed).randbytes(self.LENGTH)

    def bytes(self, start, offset, length):
        at = (start + offset) % self.LENGTH
        piece = self._row[at:at + length]
        while len(piece) < length:
            piece += self._row[:length - len(piece)]
        return piece

    def explain(self, data, things):
        """Where wrong bytes come from, as far as that can be told."""
        at = self._row.find(data[:32])
        if len(data) < 8 or at < 0:
            return f"bytes of no object: {data[:32].hex()}"
        found = [f"{thing.path} generation {generation.number} {variant} at {(at - start) % self.LENGTH}"
                 for thing in things for generation in thing.generations for variant, start in generation.starts.items()
                 if (at - start) % self.LENGTH < generation.size]
        return "bytes of " + (", ".join(found[:6]) or "no object")


@dataclasses.dataclass
class Generation:
    number: int
    size: int
    etag: str
    modified: str
    starts: dict  # by variant
    began: float
    ended: float = float("inf")


class Thing:
    """An object with its generations, and what the origin did wrong with it and when."""

    def __init__(self, index, kind, size, rng, troubled):
        self.index, self.kind, self.size, self.rng, self.is_troubled = index, kind, size, rng, troubled
        self.path = f"/t/{index % 5}/{index}-{kind.name}.bin"
        self.url = f"http://{HOST}{self.path}"
        self.lock = threading.Lock()
        self.generations, self.troubles, self.barriers = [], [], []
        self.change()

    @property
    def current(self):
        return self.generations[-1]

    @property
    def variants(self):
        return FLAVORS if self.kind.varies else ("",)

    def change(self):
        """Another generation; what has no tag gets another length with it, as there would be no other sign."""
        with self.lock:
            now, number = time.monotonic(), len(self.generations)
            size = self.size
            if number and (self.kind.etag != "strong" or self.rng.random() < 0.5):
                known = {generation.size for generation in self.generations}
                size = next(each for each in iter(lambda: max(1, self.size + self.rng.randrange(-self.size // 8 - 9, 5000)), 0)
                            if each not in known)
            tag = f'"{self.index}-{number}"'
            etag = {"strong": tag, "weak": "W/" + tag, "": None}[self.kind.etag]
            # A minute apart and long ago, so that it is a strong validator (RFC 9110 section 8.8.2.2).
            modified = email.utils.formatdate(time.time() - 30 * 86400 + number * 60, usegmt=True) if self.kind.modified else None
            if number:
                self.current.ended = now
            starts = {variant: int.from_bytes(hashlib.blake2b(f"{self.index}/{number}/{variant}".encode(),
                                                              digest_size=8).digest(), "big") % Content.LENGTH
                      for variant in self.variants}
            self.generations.append(Generation(number, size, etag, modified, starts, now))
            return self.current

    def begin_trouble(self, what):
        """To be given its end by end_trouble()."""
        with self.lock:
            self.troubles.append([time.monotonic(), float("inf"), what])
            del self.troubles[:-REMEMBERED]
            return self.troubles[-1]

    def troubles_between(self, since, until):
        with self.lock:
            return [what for began, ended, what in self.troubles if began <= until and ended >= since]

    def note_barrier(self, began, ended, what):
        """From `ended` on no answer may be older than `began`."""
        with self.lock:
            self.barriers.append((began, ended, what))

    def barrier_before(self, moment):
        with self.lock:
            return max((each for each in self.barriers if each[1] < moment), default=None)


def end_trouble(trouble):
    trouble[1] = time.monotonic()


def make_things(count, rng, size_limit=LARGEST):
    things = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)] if index < len(KINDS) else rng.choice(KINDS)
        size = rng.choice(EDGES) if rng.random() < 0.4 else int(2 ** rng.uniform(0, LARGEST.bit_length()))
        things.append(Thing(index, kind, max(1, min(size, size_limit, LARGEST)), random.Random(rng.random()),
                            rng.random() < 0.6))
    return things


def resolve_ranges(text, size):
    """[(first, last)] of those that can be satisfied, or None when the field means nothing."""
    found = re.fullmatch(r"bytes=(.+)", text or "")
    if not found:
        return None
    resolved = []
    for each in found[1].split(","):
        first, _, last = each.strip().partition("-")
        if first:
            if int(first) < size:
                resolved.append((int(first), min(int(last), size - 1) if last else size - 1))
        elif int(last) > 0:
            resolved.append((max(0, size - int(last)), size - 1))
    return resolved
