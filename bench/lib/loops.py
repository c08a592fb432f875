"""What sharing costs: one node with two loops against two nodes with one loop each.

Both cores are busy in the same way on both sides: on each a loop and a client of its own. So the difference is what
loops of one process do to each other, and not what a busy neighbour does to a core.
"""

from lib import rounds
from lib.figures import Figure, machine_facts
from lib.load import wrk_side_by_side
from lib.processes import cpu_nanoseconds
from lib.scene import Scene

TARGET = 1.1
CONNECTIONS = 64  # of each client


class Pair:
    """Two loads at once, one on each core; both may go to one server."""

    def __init__(self, name, servers):
        self.name, self.servers = name, servers

    def one_round(self, scene, seconds):
        pids = sorted({pid for server in self.servers for pid in server.pids})
        before = cpu_nanoseconds(pids)
        loads = [(server, CONNECTIONS, core) for server, core in zip(self.servers, "01")]
        count = sum(wrk_side_by_side(scene, loads, seconds))
        spent = cpu_nanoseconds(pids) - before
        return {"requests": count, "cpu_ns": spent, "cpu_us_per_request": spent / count / 1000}


def run(works, options):
    with Scene(folder=options.folder) as scene:
        two = scene.add_node("two-loops", cores="0,1", threads=2, tls=False)
        apart = [scene.add_node(f"one-loop-{core}", cores=core, tls=False) for core in "01"]
        for server in [two, *apart]:
            scene.warm(server)
        pairs = [Pair("one loop", apart), Pair("two loops", [two, two])]
        rows = rounds.interleave(pairs, options.rounds, lambda pair: pair.one_round(scene, options.seconds))
    middle = rounds.medians(rows, "cpu_us_per_request")
    ratio, low, high = rounds.ratio(rows, "cpu_us_per_request", "two loops", ours="one loop")
    figure = Figure("two loops instead of one, CPU per 4 KiB hit", f"at most {TARGET}x",
                    f"{ratio:.2f}x ({low:.2f} to {high:.2f}); {rounds.in_words(middle, 'us')}", ratio <= TARGET)
    yield "loops", [figure], rows, machine_facts(rounds=options.rounds, seconds=options.seconds)
