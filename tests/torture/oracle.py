"""What an answer may be, given what the origin had, what it did wrong and when, and what happened to the node."""

import dataclasses
import re
import threading
import time

from torture.client import Malformed
from torture.objects import TROUBLE_LASTS, Generation, Thing, resolve_ranges

ROUNDING = 1.5  # the node counts age in whole seconds
GAP = 128  # bytes between two ranges that become one
JOINED = 5  # seconds for which an answer that is coming is shared although it may not be used again
OWN_ERRORS = (500, 502, 503, 504)
HARMLESS = {"ignored range", "late", "shorter than said"}  # a node copes with these
LIES_OF_LENGTH = {"longer than said", "wrong total"}


def one_for(ranges):
    """The range that answers several which overlap or are not far apart; None when it takes several."""
    begin, end = None, None
    for first, last in sorted(ranges):
        if begin is None:
            begin, end = first, last
        elif first > end + GAP:
            return None
        end = max(end, last)
    return begin, end


@dataclasses.dataclass
class Asked:
    """A request, as far as it matters for its answer."""
    number: int
    thing: Thing
    method: str = "GET"
    variant: str = ""
    is_tls: bool = False
    form: str = "host"
    is_agent: bool = False  # a Delivery Optimization client
    ranges: str = None
    if_range: str = None
    none_match: str = None
    match: str = None
    directive: str = None
    has_authorization: bool = False
    manner: str = "fast"
    sent: float = 0.0

    def __str__(self):
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)
                if field.name not in ("number", "thing", "sent") and getattr(self, field.name) != field.default}
        return f"request {self.number} for {self.thing.path} {said}"


@dataclasses.dataclass
class Expected:
    """The body that belongs to a head."""
    generation: Generation
    start: int
    first: int = 0
    last: int = -1  # None: the end of chunks tells
    parts: list = None  # (first, last) of a multipart body
    must_break: bool = False


class Judge:
    def __init__(self, history, origin, content, is_drive_short):
        self.history, self.origin, self.content, self.is_drive_short = history, origin, content, is_drive_short
        self._unshared, self._lock = set(), threading.Lock()

    def excuse(self, asked, generation=None):
        """Why an answer may have failed, been cut, or be older than usual; None when nothing explains it."""
        since, now = asked.sent - TROUBLE_LASTS, time.monotonic()
        if self.history.was_down(asked.sent, now):
            return "kill"
        troubles = [each for each in asked.thing.troubles_between(since, now) if each not in HARMLESS]
        if troubles:
            return troubles[-1]
        # Bytes of two generations must not be mixed. Before the first byte a change is no reason to fail.
        if generation and generation.ended <= now:
            return "changed"
        # Nor is a drive that gives up what is being read, where that can be had again.
        return "the drive is short" if self.is_drive_short and not asked.thing.kind.can_be_combined else None

    def head(self, asked, head):
        """([problems], Expected or None)"""
        problem = self._status(asked, head)
        if problem:
            return [f"{head.status}: {problem}"], None
        if head.status not in (200, 206, 304):
            return [], None
        generation, variant, problems = self._generation(asked, head)
        if generation is None:
            return problems, None
        problems += self._age(asked, head, generation)
        if head.status == 304:
            if generation.etag and generation.etag.removeprefix("W/") not in asked.none_match:
                problems.append(f"304 for {generation.etag}")
            return problems, None
        expected = Expected(generation, generation.starts[variant])
        try:
            problems += self._extent(asked, head, expected)
        except Malformed as error:
            problems.append(str(error))
        return problems, expected

    def _status(self, asked, head):
        status, excuse = head.status, self.excuse(asked)
        troubles = asked.thing.troubles_between(asked.sent - TROUBLE_LASTS, time.monotonic())
        if status == 200:
            if asked.is_agent and asked.method == "GET" and asked.ranges and not asked.if_range:
                return "for a range of a Delivery Optimization client"
            return None
        if status == 206:
            return None if asked.ranges and asked.method == "GET" else "nobody asked for a range"
        if status == 304:
            return None if asked.none_match else "nobody asked on that condition"
        if status == 412:
            return None if asked.match else "nobody asked on that condition"
        if status == 416:
            return self._unsatisfied(asked, head, troubles)
        if status in (404, 429):
            if asked.is_agent and status == 429:
                return "would keep a Delivery Optimization client away"
            return None if str(status) in troubles else "the origin never said so"
        if status in OWN_ERRORS:
            if status == 504 and asked.directive == "only-if-cached":
                return None
            if status == 503 and asked.is_agent and asked.thing.kind.framing != "length":
                return None  # it cannot do without a length
            self.history.counts[f"{status} because of {excuse}"] += 1
            return None if excuse else f"without a reason, {head.field('cache-status')}"
        return "not expected at all"

    @staticmethod
    def _unsatisfied(asked, head, troubles):
        if not asked.ranges:
            return "nobody asked for a range"
        if "416" in troubles:
            return None
        found = re.fullmatch(r"bytes \*/(\d+)", head.field("content-range", ""))
        if not found:
            return "without the length"
        size = int(found[1])
        if size not in [generation.size for generation in asked.thing.generations] and not LIES_OF_LENGTH & set(troubles):
            return f"no generation has {size} bytes"
        return "it can be satisfied" if resolve_ranges(asked.ranges, size) else None

    def _generation(self, asked, head):
        named = re.fullmatch(r"(\d+)/(\d+)/(\w*)", head.field("x-generation", ""))
        if not named:
            missing = [] if head.status == 304 else ["no generation is named"]
            return None, None, missing
        index, number, variant = int(named[1]), int(named[2]), named[3]
        thing = asked.thing
        if index != thing.index or number >= len(thing.generations):
            return None, None, [f"it is object {index} generation {number}"]
        generation, problems = thing.generations[number], []
        if variant != asked.variant:
            problems.append(f"variant {variant!r} instead of {asked.variant!r}")
        if variant not in generation.starts:
            return None, None, problems
        exchange = self._exchange(head)
        if exchange is None or (exchange.thing, exchange.generation, exchange.variant) != (index, number, variant):
            problems.append(f"fields of two answers: {named[0]} and {exchange}")
        for name, value in (("etag", generation.etag), ("last-modified", generation.modified)):
            if head.field(name) != value and (head.status != 304 or head.field(name)):
                problems.append(f"{name} {head.field(name)} instead of {value}")
        return generation, variant, problems

    def _exchange(self, head):
        serial = head.field("x-serial", "")
        return self.origin.exchanges[int(serial)] if serial.isdecimal() and int(serial) < len(self.origin.exchanges) else None

    def _age(self, asked, head, generation):
        """Whether the origin was asked when it had to be."""
        exchange, kind = self._exchange(head), asked.thing.kind
        if exchange is None:
            return []
        age, problems = asked.sent - exchange.time, []
        told = f"the origin said so {age:.3f} s before"
        barrier = asked.thing.barrier_before(asked.sent)
        if barrier and exchange.time < barrier[0]:
            problems.append(f"{told}, and {asked.sent - barrier[1]:.3f} s before came the end of a {barrier[2]}")
        alone = not kind.stored or (asked.has_authorization and not kind.must_revalidate)
        if alone:
            with self._lock:
                if head.field("x-serial") in self._unshared:
                    problems.append("what is for one client came twice")
                self._unshared.add(head.field("x-serial"))
        most = 0 if alone else JOINED + ROUNDING + (0 if asked.directive == "no-cache" else kind.lifetime)
        stands_in = not kind.must_revalidate and kind.stored and self.excuse(asked, generation)
        if age > most and not stands_in:
            problems.append(f"{told}, {most} are allowed")
        return problems

    def _extent(self, asked, head, expected):
        size, length = expected.generation.size, head.number("content-length")
        # A stored head keeps a lie until it is found out.
        troubles = asked.thing.troubles_between(expected.generation.began, time.monotonic())
        lied = LIES_OF_LENGTH & set(troubles)
        if head.status == 200:
            expected.last = None if length is None else length - 1
            if length is None:
                if asked.method == "HEAD":
                    return []
                if asked.thing.kind.framing == "length":
                    return ["chunked although the origin told the length"]
                return ["without a length"] if asked.is_agent else []
            expected.must_break = length != size
            return [f"length {length} instead of {size}"] if length != size and not lied else []
        if head.field("content-type", "").startswith("multipart/byteranges"):
            expected.parts = resolve_ranges(asked.ranges, size)
            return [] if len(expected.parts) > 1 else ["several parts for one range"]
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", head.field("content-range", ""))
        if not found:
            return [f"Content-Range {head.field('content-range')}"]
        first, last, total = map(int, found.groups())
        expected.first, expected.last = first, last
        problems = []
        if total != size and not lied:
            problems.append(f"of {total} bytes instead of {size}")
        # What is passed on is the origin's own, and a client has to look at what it gets; the agent does not.
        passed = not asked.is_agent and {"wrong range", "wrong total"} & set(troubles)
        if one_for(resolve_ranges(asked.ranges, total)) != (first, last) and not passed:
            problems.append(f"{found[0]} for {asked.ranges}")
        if length != last - first + 1:
            problems.append(f"length {length} of {found[0]}")
        condition = asked.if_range
        if condition and condition not in (expected.generation.etag, expected.generation.modified):
            problems.append(f"{found[0]} if it is {condition}, which it is not")
        return problems

    def bytes(self, asked, expected, offset, piece, things):
        """What is wrong with some bytes at that offset of the object."""
        if offset + len(piece) > expected.generation.size:
            return f"{offset + len(piece)} bytes of {expected.generation.size}"
        right = self.content.bytes(expected.start, offset, len(piece))
        if piece == right:
            return None
        at = next(i for i in range(len(piece)) if piece[i] != right[i])
        return (f"at {offset + at} not generation {expected.generation.number}: "
                + self.content.explain(piece[at:at + 64], things))

    def parts(self, asked, expected, head, body, things):
        """What is wrong with a whole multipart body."""
        boundary = b"\r\n--" + head.field("content-type").partition("boundary=")[2].strip('"').encode()
        pieces = (b"\r\n" + body).split(boundary)
        if pieces[0].strip() or not pieces[-1].startswith(b"--"):
            return ["no multipart body"]
        problems, covered = [], []
        for piece in pieces[1:-1]:
            text, _, data = piece.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)^content-range: bytes (\d+)-(\d+)/(\d+)\r?$", text, re.M)
            if not found:
                return ["a part without Content-Range"]
            first, last, total = map(int, found.groups())
            covered.append((first, last))
            if total != expected.generation.size or len(data) != last - first + 1:
                problems.append(f"a part {found[0]} of {len(data)} bytes")
            elif wrong := self.bytes(asked, expected, first, data, things):
                problems.append(wrong)
        for first, last in expected.parts:
            if not any(a <= first and last <= b for a, b in covered):
                problems.append(f"{first}-{last} is not among {covered}")
        return problems

    def end(self, asked, expected, came):
        """What is wrong with an answer that has come to its end after so many bytes."""
        if expected.must_break:
            return f"whole with a length that is not the object's: {came} of {expected.generation.size}"
        if expected.last is None and came != expected.generation.size:
            return f"whole with {came} bytes of {expected.generation.size}"
        return None
