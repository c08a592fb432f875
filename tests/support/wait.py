"""Waiting for a condition with a deadline: the only way a test here lets time pass."""

import threading
import time

_never = threading.Event()


class DeadlineMissed(AssertionError):
    """Something did not come in time, which on a busy machine says little: nothing that came was wrong."""


def wait_until(condition, seconds=60.0, what=None, seen=None):
    """Calls condition() until it returns something true, and returns that; fails after `seconds`.

    A generous deadline costs nothing: it is met as soon as the condition is. Exceptions of condition() count as
    "not yet"; the last one is shown when the deadline is missed, and what seen() returns then.
    """
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            found = condition()
            if found:
                return found
            last = None
        except (OSError, AssertionError, ValueError, KeyError, IndexError) as error:
            last = error
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", "condition")
            reason = f": {last}" if last else ""
            reason += f"; seen: {seen()}" if seen else ""
            raise DeadlineMissed(f"not within {seconds} s: {name}{reason}") from last
        _never.wait(0.01)


def wait_for_the_next_second():
    """Certificates count in whole seconds: one that is made after this ends later than one made before."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now)


def measure(condition, seconds, what=None):
    """As wait_until; returns the seconds that passed."""
    start = time.monotonic()
    wait_until(condition, seconds, what)
    return time.monotonic() - start
