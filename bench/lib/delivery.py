"""Hits: server CPU time per request beside every peer."""

from lib import rounds
from lib.figures import Figure, machine_facts
from lib.load import load
from lib.scene import BIG, SMALL, Scene

# name: what it is, path, TLS, connections, how many times nginx's efficiency; over HTTP ahead of every peer, too
WORKS = {
    "small-http": ("4 KiB hits over HTTP", SMALL, False, 64, 2.2),
    "range-http": ("random 1 MiB ranges of a hot object over HTTP", BIG, False, 16, 1.4),
    "small-https": ("4 KiB hits over HTTPS", SMALL, True, 64, 2.2),
    "range-https": ("random 1 MiB ranges of a hot object over HTTPS", BIG, True, 16, 1.6),
}


def run(works, options):
    """Yields (work, figures, rows, facts). All works share one scene: the caches are filled once."""
    needs_big = any(WORKS[work][1] == BIG for work in works)
    with Scene(big_mib=options.object_mib if needs_big else 0, folder=options.folder) as scene:
        servers = [scene.add_node()] + [scene.add_peer(name) for name in options.peers]
        for server in servers:
            for path in (SMALL, BIG) if needs_big else (SMALL,):
                scene.warm(server, path)
        facts = machine_facts(**scene.require_equal(servers), object_size=scene.big_size, rounds=options.rounds,
                              seconds=options.seconds, client_of_small="wrk" if options.wrk else "clients/hits.c")
        for work in works:
            yield work, *_measure(scene, servers, work, options), facts


def _measure(scene, servers, work, options):
    what, path, tls, connections, target = WORKS[work]
    beside = [server for server in servers if server.https_port or not tls]
    asked = len(scene.origin.requests())
    rows = rounds.interleave(beside, options.rounds,
                             lambda server: load(scene, server, path, tls, connections, options.seconds, options.wrk))
    if further := scene.origin.requests()[asked:]:
        raise SystemExit(f"{work}: the origin was asked {len(further)} times while hits were measured, "
                         f"first by {further[0]}")
    return [figure(f"{what}, CPU per request", rows, target, ahead_of_all=not tls)], rows


def figure(what, rows, target, ahead_of_all=False):
    """CPU time per request: at least `target` times less than nginx; ahead of every peer if that is wanted."""
    middle = rounds.medians(rows, "cpu_us_per_request")
    kept, wanted, measured = True, [], []
    if "nginx" in middle:
        ratio, low, high = rounds.ratio(rows, "cpu_us_per_request", "nginx")
        kept = ratio >= target
        wanted.append(f"at least {target}x nginx")
        measured.append(f"{ratio:.2f}x nginx ({low:.2f} to {high:.2f})")
    if ahead_of_all:
        kept = kept and min(middle, key=middle.get) == "larder"
        wanted.append("ahead of every peer")
    return Figure(what, ", ".join(wanted), "; ".join([*measured, rounds.in_words(middle, "us")]), kept)
