"""A program behind a signing socket, as larder-signer.socket and larder-signer@.service have it: systemd's own
socket activation, without the manager."""

import os
import pathlib
import pwd
import shutil
import tempfile

import pytest

from support.larder import PROGRAM
from support.program import Program


def open_to_all(folder):
    """Other users may come to the folder, through those above it that the tests have made."""
    above = pathlib.Path(tempfile.gettempdir()).resolve()
    folder = folder.resolve()
    assert folder.is_relative_to(above), f"{folder} is not below {above}, which is open to all"
    for each in (folder, *folder.parents):
        if each == above or each.stat().st_uid != os.geteuid():
            break
        each.chmod(each.stat().st_mode | 0o755)


def as_user(name):
    """The words before a command that have it run as that user; as root only."""
    entry = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


class SigningSocket:
    """Listens as root does; `peer` may ask; `user`, when given, runs the program."""

    def __init__(self, folder, script, peer, user=None, timeout=600):
        if not shutil.which("systemd-socket-activate"):
            pytest.skip("systemd-socket-activate is not installed")
        self.path, self.peer = folder / "signer.socket", peer
        answer = [PROGRAM, "signer", "answer", "--peer", peer, "--timeout", timeout, "--", script]
        self.program = Program(["systemd-socket-activate", "--accept", "--inetd", "-l", self.path,
                                *(as_user(user) if user else []), *answer], folder / "signer.log")

    def start(self):
        self.program.start()
        self.program.wait_for(self.path.exists)
        if os.geteuid() == 0:
            os.chown(self.path, pwd.getpwnam(self.peer).pw_uid, -1)
        self.path.chmod(0o600)
        return self

    def stop(self):
        self.program.kill()
        self.path.unlink(missing_ok=True)
