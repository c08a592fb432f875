"""`larder cache prefetch` with several URLs at a time."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest
from support.bad_origin import Thing
from support.larder import PROGRAM, Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.program import ROOT, run
from support.wait import wait_until

MIB = 1 << 20


class Objects:
    """Small objects of an origin that answers when the test lets it."""

    def __init__(self, origin, count, size=1000):
        self.origin, self.lock = origin, threading.Lock()
        self.asked, self.now, self.most = set(), 0, 0
        self.let_go = {f"/{i}": threading.Event() for i in range(count)}
        self._body = bytes(size)
        for path in self.let_go:
            origin.scripts[path] = self._answer

    def urls(self):
        return [f"http://packages.test{path}" for path in self.let_go]

    def _answer(self, request, connection):
        with self.lock:
            self.asked.add(request.path)
            self.now += 1
            self.most = max(self.most, self.now)
        self.let_go[request.path].wait(120)
        with self.lock:
            self.now -= 1
        connection.answer(self._body, etag='"a"', cache_control="max-age=600", accept_ranges="none")


@pytest.fixture
def served(tmp_path):
    """A node, and what makes its origin's objects."""
    with MisbehavingOrigin() as origin:
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        made = []

        def make(count, **options):
            made.append(Objects(origin, count, **options))
            return made[-1]

        yield node, make
        for objects in made:
            for event in objects.let_go.values():
                event.set()
        node.stop()


@pytest.fixture
def begin(served, tmp_path):
    """Begins a prefetch of these URLs; what it prints goes to files."""
    node, _ = served
    programs = []

    def start(urls, *options):
        (tmp_path / "urls.txt").write_text("\n".join(urls) + "\n")
        with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
            programs.append(subprocess.Popen([PROGRAM, "cache", "prefetch", "--list", tmp_path / "urls.txt", "--json", *options,
                                              "--config", node.config], stdout=out, stderr=err))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
        program.wait(60)


def events(tmp_path):
    return [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]


def test_as_many_as_wanted_and_the_report_in_the_order_of_the_list(served, begin, tmp_path):
    node, make = served
    objects = make(7)
    urls = objects.urls()
    program = begin([*urls, urls[2]], "--parallel", "3")
    wait_until(lambda: len(objects.asked) == 3)
    assert objects.asked == {"/0", "/1", "/2"}
    # The first is the last to be ready: nothing is reported before it.
    for path in list(objects.let_go)[1:]:
        objects.let_go[path].set()
    wait_until(lambda: len(objects.asked) == 7)
    wait_until(lambda: node.get("/6").is_hit)
    assert not [one for one in events(tmp_path) if one["event"] != "progress"]
    objects.let_go["/0"].set()
    assert program.wait(60) == 0
    done = [one for one in events(tmp_path) if one["event"] == "done"]
    assert [one["url"] for one in done] == urls, "each once"
    assert {(one["bytes"], one["from_origin"]) for one in done} == {(1000, 1000)}
    assert objects.most == 3


def test_the_rate_is_that_of_all_together(served, begin, tmp_path):
    node, make = served
    objects = make(4, size=2 * MIB)
    for event in objects.let_go.values():
        event.set()
    began = time.monotonic()
    assert begin(objects.urls(), "--parallel", "4", "--rate", "4MB").wait(60) == 0
    assert time.monotonic() - began > 1.9
    assert sum(one.get("from_origin", 0) for one in events(tmp_path) if one["event"] == "done") == 8 * MIB
    for url in objects.urls():
        steps = [one for one in events(tmp_path) if one["event"] == "progress" and one["url"] == url]
        assert {one["total"] for one in steps} == {2 * MIB}
        done = [one["done"] for one in steps]
        assert len(set(done)) > 1 and done == sorted(done) and done[-1] <= 2 * MIB, done
    # What is there costs nothing, however low the rate is.
    assert begin(objects.urls(), "--rate", "100KB").wait(60) == 0
    assert {one["from_origin"] for one in events(tmp_path) if one["event"] == "done"} == {0}


def test_all_come_under_a_cap_that_feeds_one_at_a_time(tmp_path):
    with MisbehavingOrigin() as origin:
        for number in range(3):
            origin.scripts[f"/{number}"] = Thing(500_000)
        node = Node(tmp_path / "node", origins=[origin_table(origin)], upstream_rate=["100KB"]).start()
        node.cli("cache", "prefetch", *[f"http://packages.test/{number}" for number in range(3)])
        refused = node.metric("larder_upstream_refused_total")
        node.stop()
    assert refused > 3, "more than one wanted to"


def test_an_origin_that_asks_to_wait_is_not_asked_before(tmp_path):
    at = []

    def answer(request, connection):
        at.append(time.monotonic())
        if len(at) == 1:
            connection.head(429, "Too Many Requests", content_length=0, retry_after="3")
        else:
            connection.answer(b"right", etag='"a"', cache_control="max-age=600")

    with MisbehavingOrigin() as origin:
        origin.scripts["/later"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        node.cli("cache", "prefetch", "http://packages.test/later")
        node.stop()
    assert at[1] - at[0] >= 2.9


@pytest.mark.parametrize("freshness", ["no-cache", "max-age=0", "max-age=0, must-revalidate"])
def test_what_is_asked_about_at_every_use_is_stored(tmp_path, freshness):
    body = bytes(3000)

    def answer(request, connection):
        if request.field("If-None-Match") == '"a"':
            connection.head(304, "Not Modified", etag='"a"', cache_control=freshness)
        else:
            connection.answer(body, etag='"a"', cache_control=freshness, accept_ranges="none")

    with MisbehavingOrigin() as origin:
        origin.scripts["/asked"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        first = node.cli("cache", "prefetch", "http://packages.test/asked")
        again = node.cli("cache", "prefetch", "http://packages.test/asked")
        node.stop()
    assert "3.0 kB from the origin" in first.stdout and "was there" in again.stdout
    assert len([1 for request in origin.of("/asked") if not request.field("If-None-Match")]) == 1


def test_the_rate_holds_from_the_middle_of_an_object_on(tmp_path):
    """What the manual advises after an interrupt: the same command again."""
    size, sent = 24 * MIB, []

    def answer(request, connection):
        first, last = request.range or (0, size - 1)
        last = min(size - 1 if last is None else last, size - 1)
        sent.append((time.monotonic(), last + 1 - first))
        connection.head(206, content_length=last + 1 - first, content_range=f"bytes {first}-{last}/{size}", etag='"a"',
                        cache_control="max-age=600")
        connection.send(bytes(last + 1 - first))

    with MisbehavingOrigin() as origin:
        origin.scripts["/large"] = answer
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        node.get("/large", "--range", "0-99")
        node.wait_until_stored()
        sent.clear()
        began = time.monotonic()
        node.cli("cache", "prefetch", "http://packages.test/large", "--rate", "8MB")
        assert node.get("/large").is_hit
        node.stop()
    # The end, up to 8 MiB, may come along with what is before it.
    assert sum(amount for _, amount in sent) == size - MIB
    assert max(at for at, _ in sent) - began > 1, "it did not come at once"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_and_says_what_was_done(served, begin, tmp_path, end):
    _, make = served
    objects = make(6)
    objects.let_go["/1"].set()
    program = begin(objects.urls(), "--parallel", "2")
    wait_until(lambda: {"/0", "/2"} <= objects.asked)
    program.send_signal(end)
    assert program.wait(60) == 1
    assert [one["url"] for one in events(tmp_path) if one["event"] != "progress"] == [objects.urls()[1]]
    assert "interrupted: 1 of 6 are stored" in (tmp_path / "err").read_text()
    assert objects.asked == {"/0", "/1", "/2"}


def test_a_report_that_nobody_reads_ends_all_and_the_node_is_not_to_blame(served, tmp_path):
    node, make = served
    objects = make(3)
    objects.let_go["/0"].set()
    reading, writing = os.pipe()
    os.close(reading)
    with open(tmp_path / "err", "wb") as err:
        program = subprocess.Popen([PROGRAM, "cache", "prefetch", *objects.urls(), "--config", node.config], stdout=writing,
                                   stderr=err)
    os.close(writing)
    assert program.wait(60) == 1
    errors = (tmp_path / "err").read_text()
    assert "nobody reads the report any more" in errors and "goes on where this one ended" in errors
    assert "is the node running" not in errors


def test_a_node_that_goes_away_ends_all(served, begin, tmp_path):
    node, make = served
    objects = make(50)
    program = begin(objects.urls(), "--parallel", "2")
    wait_until(lambda: len(objects.asked) == 2)
    node.kill()
    assert program.wait(60) == 1
    errors = (tmp_path / "err").read_text()
    assert "the node does not answer: 0 of 50 are stored" in errors and "is the node running?" in errors
    assert len(events(tmp_path)) <= 2, "no line for each of the others"


def test_service_of_the_timer_fills_the_cache(served, tmp_path):
    """Its command and options, with the files of this node; the options are words of one variable, as systemd splits it."""
    node, make = served
    objects = make(3)
    for event in objects.let_go.values():
        event.set()
    urls = tmp_path / "prefetch.list"
    urls.write_text("# each night\n" + "\n".join(objects.urls()) + "\n")
    unit = (ROOT / "packaging/systemd/larder-prefetch.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart=")
    for old, new in (("/usr/bin/larder", PROGRAM), ("/etc/larder/larder.toml", node.config),
                     ("/etc/larder/prefetch.list", urls), ("$LARDER_PREFETCH_OPTIONS", "--rate 5MB --parallel 2")):
        assert old in command
        command = command.replace(old, str(new))
    run(*command.split())
    assert all(node.get(path).is_hit for path in objects.let_go)
