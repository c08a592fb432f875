"""Interleaved rounds: neighbours on the machine change absolute values, so servers take turns and ratios count."""

import statistics
import sys


def interleave(servers, rounds, one_round, warm_up=True):
    """`one_round(server)` gives a row; each row is kept with the server's name and the round's number.
    The order turns around with every round. A first round of each does not count."""
    if warm_up:
        for server in servers:
            one_round(server)
    rows = []
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            rows.append({"server": server.name, "round": number, **one_round(server)})
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def medians(rows, key):
    """Of each server, in the order of the rows."""
    values = {}
    for row in rows:
        values.setdefault(row["server"], []).append(row[key])
    return {name: statistics.median(each) for name, each in values.items()}


def ratio(rows, key, peer, ours="larder"):
    """The peer's median over ours, and the smallest and largest ratio of one round: (median, low, high)."""
    of = {name: [row[key] for row in rows if row["server"] == name] for name in (peer, ours)}
    each = [theirs / own for theirs, own in zip(of[peer], of[ours])]
    middle = medians(rows, key)
    return middle[peer] / middle[ours], min(each), max(each)


def in_words(values, unit, digits=2):
    """'larder 6.12, nginx 14.03 us', the least first."""
    ordered = sorted(values.items(), key=lambda pair: pair[1])
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in ordered) + f" {unit}"
