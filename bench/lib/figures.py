"""What a work found: figures with their targets, kept with the rows that they come from.

A result is bench/results/DATE-WORK.json: {"facts": {...}, "figures": [...], "rows": [...]}. `bench/report` prints the
figures of the newest file of each work as one table.
"""

import dataclasses
import datetime
import json
import pathlib
import platform
import re

from lib.paths import RESULTS, ROOT
from support.larder import PROGRAM
from support.program import run


@dataclasses.dataclass
class Figure:
    work: str      # what was done, for people: "4 KiB hits over HTTP"
    target: str    # "at least 2.2x nginx, ahead of every peer"
    measured: str  # "2.41x nginx; h2o 8.2, larder 6.1 us"
    kept: bool


def table(figures):
    lines = ["| work | target | measured | kept |", "| --- | --- | --- | --- |"]
    for each in figures:
        lines.append(f"| {each.work} | {each.target} | {each.measured} | {'yes' if each.kept else '**NO**'} |")
    return "\n".join(lines)


def _first_line(*command):
    try:
        done = run(*command, check=False)
    except FileNotFoundError:
        return "not installed"
    return ((done.stdout + done.stderr).strip().splitlines() or [""])[0]


def machine_facts(**more):
    """Of this machine and its programs, with what the work adds."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    package = ["dpkg-query", "--show", "--showformat", "${Version}"]
    return {"cpu": cpu[1] if cpu else platform.processor(), "kernel": platform.release(),
            "load_before": pathlib.Path("/proc/loadavg").read_text().split()[0],
            "larder": _first_line(PROGRAM, "--version"),
            "nginx": _first_line("nginx", "-v"),
            **{name: _first_line(*package, name) for name in ("varnish", "trafficserver", "h2o")},
            "openssl": _first_line("openssl", "version"),
            "commit": _first_line("git", "-C", ROOT, "rev-parse", "HEAD"), **more}


def keep(work, figures, rows, facts):
    """Writes today's result of `work`, in place of an earlier one of the same day."""
    RESULTS.mkdir(exist_ok=True)
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    path = RESULTS / f"{date}-{work}.json"
    path.write_text(json.dumps({"facts": facts, "figures": [dataclasses.asdict(each) for each in figures],
                                "rows": rows}, indent=1) + "\n")
    return path


def newest():
    """Of each work that has figures: its name, the date, the figures, the facts; in the order of the names."""
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        date, work = path.stem[:10], path.stem[11:]
        content = json.loads(path.read_text())
        if content.get("figures"):
            found[work] = (work, date, [Figure(**each) for each in content["figures"]], content["facts"])
    return list(found.values())
