"""Hits: server CPU time per request beside every peer."""

import statistics

from lib import peers, rounds
from lib.clients import client
from lib.figures import Figure, machine_facts
from lib.load import load
from lib.scene import BIG, SMALL, Scene
from support.program import run as run_program

# name: what it is, path, TLS, connections, how many times nginx's efficiency, ahead of whom
WORKS = {
    "small-http": ("4 KiB hits over HTTP", SMALL, False, 64, 2.2, peers.ALL),
    "range-http": ("random 1 MiB ranges of a hot object over HTTP", BIG, False, 16, 1.4, peers.ALL),
    "small-https": ("4 KiB hits over HTTPS", SMALL, True, 64, 2.2, ()),
    "range-https": ("random 1 MiB ranges of a hot object over HTTPS", BIG, True, 16, 1.6, ("h2o",)),
    "small-hosts": ("4 KiB hits over HTTP between two hosts", SMALL, False, 64, 2.2, peers.ALL),
    "range-hosts": ("random 1 MiB ranges of a hot object over HTTP between two hosts", BIG, False, 16, 1.4, peers.ALL),
}
BETWEEN_HOSTS = {"small-hosts", "range-hosts"}


def run(works, options):
    """Yields (work, figures, rows, facts)."""
    for hosts in (False, True):
        if chosen := [work for work in works if (work in BETWEEN_HOSTS) == hosts]:
            yield from _run_in_one_scene(chosen, options, hosts)


def _run_in_one_scene(works, options, hosts):
    """The caches are filled once."""
    needs_big = any(WORKS[work][1] == BIG for work in works)
    with Scene(big_mib=options.object_mib if needs_big else 0, folder=options.folder, hosts=hosts) as scene:
        servers = [scene.add_node()] + [scene.add_peer(name) for name in options.peers]
        for server in servers:
            for path in (SMALL, BIG) if needs_big else (SMALL,):
                scene.warm(server, path)
        facts = machine_facts(**scene.require_equal(servers), object_size=scene.big_size, rounds=options.rounds,
                              seconds=options.seconds, client_of_small="wrk" if options.wrk else "clients/hits.c")
        for work in works:
            yield work, *_measure(scene, servers, work, options), facts


def _measure(scene, servers, work, options):
    what, path, tls, connections, target, ahead_of = WORKS[work]
    beside = [server for server in servers if server.https_port or not tls]
    asked = len(scene.origin.requests())
    rows = rounds.interleave(beside, options.rounds,
                             lambda server: load(scene, server, path, tls, connections, options.seconds, options.wrk))
    if further := scene.origin.requests()[asked:]:
        raise SystemExit(f"{work}: the origin was asked {len(further)} times while hits were measured, "
                         f"first by {further[0]}")
    kept = figure(f"{what}, CPU per request", rows, target, ahead_of)
    if tls and path == BIG:
        # Of the node's time, what sealing 1 MiB takes if nothing else has to be done: the rest is all that can be gained.
        alone = statistics.median(float(run_program("taskset", "-c", "0", client("seal"), 0.2).stdout) for _ in range(7)) / 1000
        share = alone / rounds.medians(rows, "cpu_us_per_request")["larder"]
        kept.measured += f"; {share:.0%} of the limit that AES-GCM sets ({alone:.1f} us)"
    return [kept], rows


def figure(what, rows, target, ahead_of=()):
    """CPU time per request: at least `target` times less than nginx, and less than each of `ahead_of`. A peer that did not
    run beside the node proves nothing: the target is not kept then."""
    middle = rounds.medians(rows, "cpu_us_per_request")
    missing = [name for name in dict.fromkeys(("nginx", *ahead_of)) if name not in middle]
    kept, wanted, measured = not missing, [f"at least {target}x nginx"], []
    if "nginx" in middle:
        ratio, low, high = rounds.ratio(rows, "cpu_us_per_request", "nginx")
        kept = kept and ratio >= target
        measured.append(f"{ratio:.2f}x nginx ({low:.2f} to {high:.2f})")
    if ahead_of:
        kept = kept and all(middle["larder"] < middle[name] for name in ahead_of)
        wanted.append("ahead of " + ", ".join(ahead_of))
    if missing:
        measured.append("did not run: " + ", ".join(missing))
    return Figure(what, ", ".join(wanted), "; ".join([*measured, rounds.in_words(middle, "us")]), kept)
