"""A real program started by a test: its output goes to a log, it is stopped whatever happens."""

import os
import pathlib
import signal
import socket
import subprocess

from support import secrets_used
from support.wait import DeadlineMissed, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Program:
    def __init__(self, arguments, log, namespace=None, environment=None, folder=None):
        self.arguments = [str(argument) for argument in arguments]
        if namespace:
            # `ip netns exec` replaces itself by the program, so signals reach the program.
            self.arguments = ["ip", "netns", "exec", namespace.name, *self.arguments]
        self.log = pathlib.Path(log)
        self.environment = {**os.environ, **(environment or {})}
        self.folder = folder
        self.process = None
        secrets_used.register_log(self.log)

    def start(self):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, cwd=self.folder, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_for(self, condition, seconds=60, what=None):
        """wait_until that gives up at once, with the log, when the program ends."""
        def check():
            if not self.is_running():
                raise RuntimeError(f"{self.arguments} ended with {self.process.returncode}:\n{self.log_tail()}")
            return condition()
        try:
            return wait_until(check, seconds, what)
        except DeadlineMissed as error:
            raise DeadlineMissed(f"{error}\n{self.log_tail()}") from error

    def stop(self, seconds=60):
        """SIGTERM, then waits; returns the exit code. A program that does not stop is killed and it is an error."""
        if not self.is_running():
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
            # No DeadlineMissed, which may be tried once more: a deadlock at the end is one however busy the machine is.
            raise AssertionError(f"{self.arguments[0]} did not stop within {seconds} s:\n{self.log_tail()}") from None

    def kill(self):
        """kill -9."""
        if self.is_running():
            self._kill_group()

    def _kill_group(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log_tail(self, lines=40):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def accepts(port, host="127.0.0.1"):
    """Whether something accepts TCP connections there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(20)
        return probe.connect_ex((host, port)) == 0


def run(*arguments, namespace=None, check=True, timeout=120, input=None, environment=None):
    """A program that ends by itself; its output is text. Failure shows the output."""
    arguments = [str(argument) for argument in arguments]
    if namespace:
        arguments = ["ip", "netns", "exec", namespace.name, *arguments]
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", timeout=timeout,
                          input=input if input is not None else "",
                          env={**os.environ, **(environment or {})})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
