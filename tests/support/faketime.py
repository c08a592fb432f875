"""A clock that a test moves, for a program that knows nothing of it (Debian's libfaketime)."""

import pathlib
import time

LIBRARY = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def at_another_time(shift):
    """The beginning of a command line: for one program, by "+2h" or "-100d". Not Debian's wrapper `faketime`: that one
    ends at once when a process of the same number was killed earlier and has left its semaphore."""
    return ["env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME={shift}"]


class FakeTime:
    """The wall clock of programs started with `environment`; steady time and timers go on as they are."""

    def __init__(self, folder):
        assert LIBRARY, "libfaketime is missing: packaging/install_missing test"
        self._file = pathlib.Path(folder) / "faketime"
        self.days = 0
        self.advance(0)

    def advance(self, days):
        """Read by the programs at once; the clock goes on from there."""
        self.days += days
        temporary = self._file.with_suffix(".new")
        temporary.write_text(f"{round(self.days * 86400):+d}\n")
        temporary.rename(self._file)

    @property
    def now(self):
        return time.time() + self.days * 86400

    @property
    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    @property
    def shell(self):
        """The same as lines of a shell script."""
        return "".join(f"export {name}={value}\n" for name, value in self.environment.items())
