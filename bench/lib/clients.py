"""Small clients of our own, in bench/clients, compiled when they are first wanted."""

import sys

from lib.paths import BENCH, BUILD
from support.program import run


# Beyond OpenSSL.
LIBRARIES = {"hits": ["-lIPSec_MB"], "seal": ["-lIPSec_MB"]}


def client(name):
    """The path of the program made from bench/clients/NAME.c."""
    source, program = BENCH / "clients" / f"{name}.c", BUILD / name
    changed = max(each.stat().st_mtime for each in source.parent.iterdir())
    if not program.exists() or program.stat().st_mtime < changed:
        BUILD.mkdir(parents=True, exist_ok=True)
        done = run("clang-19", "-O2", "-Wall", "-o", program, source, "-lssl", "-lcrypto",
                   *LIBRARIES.get(name, []), check=False)
        if done.returncode:
            sys.exit(f"{source}: {done.stderr}")
    return program
