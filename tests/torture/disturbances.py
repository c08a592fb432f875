"""What happens to a node while clients use it: purges, pins, prefetches, reloads, looks at all bytes, kills."""

import json
import os
import random
import signal
import threading
import time

from support.program import run
from support.larder import PROGRAM
from torture.objects import HOST

WEIGHTS = {"change": 30, "focus": 12, "purge": 12, "purge prefix": 4, "pin": 4, "unpin": 4, "prefetch": 4, "reload": 4, "verify": 2}


class Disturbances(threading.Thread):
    def __init__(self, torture, seed, kills):
        super().__init__(daemon=True)
        self.torture, self.rng, self.kills = torture, random.Random(seed), kills
        self._pinned = set()
        self._next_kill = time.monotonic() + self.rng.uniform(3, 12)

    def run(self):
        while not self.torture.stopping.wait(self.rng.uniform(0.05, 0.8)):
            try:
                if self.kills and time.monotonic() > self._next_kill:
                    self.kill()
                    self._next_kill = time.monotonic() + self.rng.uniform(2, 25)
                what = self.rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
                self.torture.history.counts[what] += 1
                getattr(self, what.replace(" ", "_"))()
            except Exception as error:
                self.torture.history.find(f"a disturbance failed: {error!r}", context=self.torture.context())
                if not self.torture.node.program.is_running():
                    return

    def cli(self, *arguments, may_fail=True):
        done = run(PROGRAM, "cache", *arguments, "--config", self.torture.node.config, check=False)
        self.torture.history.note("cache " + " ".join(map(str, arguments)), code=done.returncode)
        if done.returncode and not may_fail:
            self.torture.find(f"larder cache {arguments} ended with {done.returncode}: {done.stdout} {done.stderr}")
        return done

    def change(self):
        thing = self.torture.choose(self.rng)
        generation = thing.change()
        self.torture.history.note("changed", thing, generation=generation.number)

    def focus(self):
        """All clients at one object."""
        self.torture.focus = self.rng.choice(self.torture.things), time.monotonic() + self.rng.uniform(0.2, 3)

    def purge(self):
        thing, began = self.torture.choose(self.rng), time.monotonic()
        if self.cli("purge", thing.url).returncode == 0:
            thing.note_barrier(began, time.monotonic(), "purge")

    def purge_prefix(self):
        folder, began = f"/t/{self.rng.randrange(5)}/", time.monotonic()
        if self.cli("purge", "--prefix", f"http://{HOST}{folder}").returncode == 0:
            for thing in self.torture.things:
                if thing.path.startswith(folder):
                    thing.note_barrier(began, time.monotonic(), "purge of the prefix")

    def pin(self):
        thing = self.rng.choice(self.torture.things)
        # What cannot be evicted must not be all that fits.
        if len(self._pinned) < 5 and thing.url not in self._pinned and thing.size < self.torture.drive_size / 50:
            self.cli("pin", thing.url, may_fail=False)
            self._pinned.add(thing.url)

    def unpin(self):
        if self._pinned:
            self.cli("unpin", self._pinned.pop(), may_fail=False)

    def prefetch(self):
        self.cli("prefetch", "--parallel", "3", *(self.torture.choose(self.rng).url for _ in range(3)))

    def reload(self):
        node = self.torture.node
        lines = node.config.read_text().splitlines()
        quota = self.rng.choice((0, self.torture.drive_size // 2, self.torture.drive_size // 4))
        wanted = {"quota": f'quota = "{quota}"', "idle_timeout": f'idle_timeout = "{self.rng.randint(2, 60)}s"',
                  "max_connections_per_origin": f"max_connections_per_origin = {self.rng.choice((16, 64, 128))}"}
        text = "\n".join(wanted.get(line.partition(" = ")[0], line) for line in lines) + "\n"
        # As an administrator's editor does it: the node never reads half a file.
        changed = node.config.with_suffix(".new")
        changed.write_text(text)
        changed.rename(node.config)
        os.kill(node.program.pid, signal.SIGHUP)
        self.torture.history.note("SIGHUP", quota=quota)

    def verify(self):
        done = self.cli("verify", "--json")
        if done.returncode:
            self.torture.find(f"larder cache verify ended with {done.returncode}: {done.stdout} {done.stderr}")

    def kill(self):
        torture = self.torture
        torture.check_logged_errors()
        if torture.has_died():
            return torture.stopping.set()
        torture.history.begin_outage()
        torture.node.kill()
        torture.history.note("killed")
        torture.history.counts["kill"] += 1
        torture.node.start()
        torture.history.end_outage()
        torture.history.note("started again")

    def finish(self):
        for url in self._pinned:
            self.cli("unpin", url, may_fail=False)


def facts_of(node):
    """The node's gauges that must come back to nothing, by name."""
    names = ("larder_fills_running", "larder_fill_memory_bytes", "larder_cache_purges_pending", "larder_cache_unrecorded_uses")
    return {name: node.metric(name) for name in names}


def faults_of(node):
    """Counters that only a broken drive raises."""
    names = ("larder_cache_lost_slices_total", "larder_cache_write_errors_total", "larder_drive_read_errors_total",
             "larder_drive_missing", "larder_drive_failing", "larder_settings_refused")
    return {name: value for name in names if (value := node.metric(name))}


def pins(node):
    return json.loads(node.cli("cache", "pins", "--json").stdout)["pins"]
