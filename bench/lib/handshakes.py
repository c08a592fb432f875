"""TLS handshakes: connect, one small request, close; full ones and resumed ones."""

import re

from lib import rounds
from lib.clients import client
from lib.delivery import figure
from lib.figures import machine_facts
from lib.processes import cpu_nanoseconds
from lib.scene import HOST, SMALL, Scene
from support.program import run as run_program

TARGET = 1.15
KINDS = ("full", "resumed")
AT_ONCE = 16


def _one_round(scene, server, kind, seconds):
    before = cpu_nanoseconds(server.pids)
    printed = run_program("taskset", "-c", "1", client("handshakes"), server.https_port, seconds, AT_ONCE, kind, HOST,
                          SMALL, namespace=scene.namespace, timeout=seconds + 60).stdout
    spent = cpu_nanoseconds(server.pids) - before
    count, resumed = map(int, re.search(r"(\d+) handshakes, (\d+) resumed", printed).groups())
    if (kind == "full" and resumed) or (kind == "resumed" and resumed != count):
        raise SystemExit(f"{server.name}: {resumed} of {count} handshakes were resumed, wanted {kind}")
    return {"requests": count, "cpu_ns": spent, "cpu_us_per_request": spent / count / 1000}


def run(works, options):
    with Scene(folder=options.folder) as scene:
        servers = [scene.add_node()] + [scene.add_peer(name) for name in options.peers if name != "varnish"]
        for server in servers:
            scene.warm(server)
        facts = machine_facts(**scene.require_equal(servers), rounds=options.rounds, seconds=options.seconds)
        for kind in KINDS:
            rows = rounds.interleave(servers, options.rounds,
                                     lambda server, kind=kind: _one_round(scene, server, kind, options.seconds))
            yield f"handshakes-{kind}", [figure(f"{kind} TLS handshakes with one request, CPU of each", rows, TARGET)], rows, facts
