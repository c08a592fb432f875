"""Where things are; importing this makes `support` of the tests importable."""

import pathlib
import sys

BENCH = pathlib.Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
PEERS = BENCH / "peers"
RESULTS = BENCH / "results"
BUILD = ROOT / "build/bench"  # the programs of bench/clients

if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))
