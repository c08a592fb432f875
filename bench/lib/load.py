"""Clients that ask as fast as they can: requests and the server's CPU time that they took."""

import re
import sys

from lib.clients import client
from lib.paths import BENCH
from lib.processes import cpu_nanoseconds
from lib.scene import BIG, HOST, SMALL
from support.program import Program, run


def _at(server, tls):
    return f"{server.address}:{server.https_port if tls else server.http_port}"


def wrk_command(server, path, tls, connections, seconds, object_size=0, core="1", threads=1):
    """Small hits of SMALL or, of BIG, random unaligned ranges of 1 MiB."""
    command = ["taskset", "-c", core, "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s"]
    if path == BIG:
        command += ["-s", BENCH / "range.lua"]
    else:
        command += ["-H", f"Host: {HOST}"]
    command.append(f"{'https' if tls else 'http'}://{_at(server, tls)}{path}")
    if path == BIG:
        command += ["--", object_size, HOST]
    return command


def hits_command(server, path, tls, connections, seconds):
    """The same for one object by a client that needs less time per answer than wrk."""
    return ["taskset", "-c", "1", client("hits"), _at(server, tls), seconds, connections,
            path, HOST, *(["tls"] if tls else [])]


def requests_in(printed, what):
    """How many requests the client counted; errors end the measurement."""
    if "Non-2xx" in printed or "Socket errors" in printed:
        sys.exit(f"{what}: the load met errors:\n{printed}")
    return int(re.search(r"(\d+) requests in ", printed)[1])


def load(scene, server, path=SMALL, tls=False, connections=64, seconds=2, with_wrk=False):
    """One round: a row with the requests and the CPU time of the server."""
    if path == SMALL and not with_wrk:
        command = hits_command(server, path, tls, connections, seconds)
    else:
        command = wrk_command(server, path, tls, connections, seconds, scene.big_size)
    before = cpu_nanoseconds(server.pids)
    printed = run(*command, namespace=scene.client_namespace, timeout=seconds + 60).stdout
    spent = cpu_nanoseconds(server.pids) - before
    # A connection's request under way when the client stops is work done but not counted; it is the same few for all.
    count = requests_in(printed, f"{server.name} {path}")
    return {"requests": count, "cpu_ns": spent, "cpu_us_per_request": spent / count / 1000}


def wrk_side_by_side(scene, loads, seconds):
    """Several loads at once, each (server, connections, core): the requests of each."""
    programs = []
    for number, (server, connections, core) in enumerate(loads):
        command = wrk_command(server, SMALL, False, connections, seconds, core=core)
        log = scene.folder / f"wrk-{number}.log"
        log.unlink(missing_ok=True)
        programs.append(Program(command, log, scene.namespace).start())
    for program in programs:
        program.process.wait(seconds + 60)
    return [requests_in(program.log.read_text(), "wrk") for program in programs]
