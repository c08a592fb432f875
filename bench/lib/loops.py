"""What sharing costs: one node with two loops against two nodes with one loop each.

Both cores are busy in the same way on both sides: on each a loop and clients of its own, and half of the connections of each
client cross to the other core, as they do when a kernel spreads them over two loops. So the difference is what loops of one
process do to each other, and not what a busy neighbour or a far client does to a core.
"""

import itertools

from lib import rounds
from lib.figures import Figure, machine_facts
from lib.load import wrk_side_by_side
from lib.processes import cpu_nanoseconds
from lib.scene import Scene

TARGET = 1.1
CONNECTIONS = 32  # of each of four clients


class Pair:
    """Four loads at once, from each core to each of two servers; both may be one."""

    def __init__(self, name, servers):
        self.name, self.servers = name, servers

    def one_round(self, scene, seconds):
        pids = sorted({pid for server in self.servers for pid in server.pids})
        before = cpu_nanoseconds(pids)
        loads = [(server, CONNECTIONS, core) for server, core in itertools.product(self.servers, "01")]
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
