"""What has happened in a torture, and what of it was wrong."""

import collections
import json
import threading
import time

KEPT = 20_000  # events that a finding can show
MOST_FINDINGS = 20


class History:
    """Events by the time since the start; the last ones are written beside each finding."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        self.findings, self.outages = [], []
        self.counts = collections.Counter()
        self._events = collections.deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def note(self, what, thing=None, **facts):
        event = {"at": round(time.monotonic() - self.began, 4), "what": what, **facts}
        if thing is not None:
            event["thing"] = thing.index
        with self._lock:
            self._events.append(event)

    def find(self, problem, thing=None, context=""):
        """Something wrong: with everything about the object, and of the node, that led there."""
        with self._lock:
            self.findings.append(problem)
            number = len(self.findings)
            if number > MOST_FINDINGS:
                return
            events = [event for event in self._events if "thing" not in event or thing is None or event["thing"] == thing.index]
        lines = [f"at {time.monotonic() - self.began:.3f}: {problem}"]
        if thing is not None:
            lines.append(f"{thing.path}: {thing.kind}")
            lines += [f"generation {each.number}: {each.size} bytes, {each.etag} {each.modified}, "
                      f"{each.began - self.began:.3f} to {each.ended - self.began:.3f}" for each in thing.generations]
            lines += [f"trouble {began - self.began:.3f} to {ended - self.began:.3f}: {what}"
                      for began, ended, what in thing.troubles]
        lines += [json.dumps(event) for event in events] + [context]
        (self.folder / f"finding-{number}.txt").write_text("\n".join(lines) + "\n")
        print(f"FINDING {number}: {problem}", flush=True)

    def begin_outage(self):
        self.outages.append([time.monotonic(), float("inf")])

    def end_outage(self):
        self.outages[-1][1] = time.monotonic()

    def was_down(self, since, until):
        return any(began <= until and ended >= since for began, ended in self.outages)
