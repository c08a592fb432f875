"""Memory of idle keep-alive connections: what a server's own memory grows by, per connection, after one request.

The kernel's memory for sockets is extra and equal for all. Each server is fresh: a heap that has been larger before
hides what a connection costs.
"""

import sys
import time

from lib import rounds
from lib.clients import client
from lib.figures import Figure, machine_facts
from lib.processes import anonymous_bytes
from lib.scene import HOST, SMALL, Scene
from support.program import Program

HTTP_CONNECTIONS, TLS_CONNECTIONS = 10_000, 5_000
HTTP_TARGET, TLS_TARGET = 2048, 1.15


def _growth(scene, start, connections, tls):
    server = start()
    scene.warm(server)
    port = server.https_port if tls else server.http_port
    log = scene.folder / "idle.log"

    def hold(count):
        log.unlink(missing_ok=True)
        program = Program([client("hold"), "tls" if tls else "plain", port, count, HOST, SMALL], log,
                          scene.namespace).start()
        program.wait_for(lambda: "holding" in log.read_text(), seconds=120)
        return program

    # What the first connections bring into memory (tables, code paths) is not paid again.
    hold(64).stop()
    time.sleep(0.5)
    before = anonymous_bytes(server.pids)
    holder = hold(connections)
    time.sleep(1)  # a server that frees in the background may do so
    grown = anonymous_bytes(server.pids) - before
    holder.stop()
    server.stop()
    return {"connections": connections, "bytes_per_connection": grown / connections}


def run(works, options):
    rows = []
    with Scene(folder=options.folder) as scene:
        starts = {"larder": lambda: scene.add_node(), **{
            name: (lambda name=name: scene.add_peer(name)) for name in options.peers if name != "varnish"}}
        for number in range(min(options.rounds, 3)):
            for tls in (False, True):
                for name, start in starts.items():
                    rows.append({"server": name, "round": number, "tls": tls, **_growth(
                        scene, start, TLS_CONNECTIONS if tls else HTTP_CONNECTIONS, tls)})
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    plain = rounds.medians([row for row in rows if not row["tls"]], "bytes_per_connection")
    secure = rounds.medians([row for row in rows if row["tls"]], "bytes_per_connection")
    figures = [Figure(f"{HTTP_CONNECTIONS:,} idle keep-alive connections, memory of each",
                      f"at most {HTTP_TARGET} bytes", rounds.in_words(plain, "bytes", 0),
                      plain["larder"] <= HTTP_TARGET)]
    if "nginx" in secure:
        figures.append(Figure(
            f"{TLS_CONNECTIONS:,} idle TLS connections, memory of each", f"at most {TLS_TARGET}x nginx",
            f"{secure['larder'] / secure['nginx']:.2f}x nginx; {rounds.in_words(secure, 'bytes', 0)}",
            secure["larder"] <= TLS_TARGET * secure["nginx"]))
    yield "idle", figures, rows, machine_facts(rounds=min(options.rounds, 3))
