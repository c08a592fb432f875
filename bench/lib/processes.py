"""What processes use: CPU time and memory."""

import contextlib
import pathlib
import re


def family(pid):
    """`pid` and its descendants: nginx, varnish and others work in children."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu_nanoseconds(pids):
    """CPU time of these processes, their threads and their descendants so far."""
    total = 0
    for root in pids:
        for pid in family(root):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    total += int((task / "schedstat").read_text().split()[0])
    return total


def anonymous_bytes(pids):
    """Resident memory that is no file: what a process has allocated and touched."""
    total = 0
    for root in pids:
        for pid in family(root):
            with contextlib.suppress(FileNotFoundError):
                found = re.search(r"^RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
                total += int(found[1]) * 1024 if found else 0
    return total
