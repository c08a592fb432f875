"""Every secret that a run makes, and every log that it writes: one test compares the two at the end."""

import json
import os
import pathlib

_secrets = {}  # text -> what it is
_logs = set()


def register_secret(text, what):
    """A token, key or password, as text. Short ones would match by accident and are a mistake here."""
    text = text.strip()
    if len(text) < 12:
        raise ValueError(f"{what} is too short to be searched for in logs")
    _secrets[text] = what


def register_token(text, what):
    """A bootstrap token or a JWS: the whole, and the parts that are secret by themselves."""
    register_secret(text, what)
    for part in text.strip().split("."):
        if len(part) > 40:
            register_secret(part, f"part of {what}")


def register_key_file(path):
    """A PEM private key: each of its full lines."""
    for line in pathlib.Path(path).read_text().splitlines():
        if len(line) >= 40 and not line.startswith("-----"):
            register_secret(line, f"private key {path}")


def register_keys_under(folder):
    """Every PEM private key below a program's state folder."""
    for file in pathlib.Path(folder).rglob("*"):
        try:
            if file.is_file() and file.stat().st_size < 16384 and b" PRIVATE KEY-----" in file.read_bytes():
                register_key_file(file)
        except FileNotFoundError:  # written by a running program, and renamed since the folder was read
            pass


def register_log(path):
    """A log file, or a folder of them, which need not exist yet."""
    _logs.add(pathlib.Path(path))


def save(path):
    """What this process knows, for load() in another one."""
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump({"secrets": _secrets, "logs": [str(log) for log in _logs]}, file)


def load(folder):
    """Adds what other processes saved there."""
    for file in pathlib.Path(folder).iterdir():
        known = json.loads(file.read_text())
        _secrets.update(known["secrets"])
        _logs.update(map(pathlib.Path, known["logs"]))


def log_files():
    for path in sorted(_logs):
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        elif path.is_file():
            yield path


def secret_count():
    return len(_secrets)


def leaks():
    """(log file, what leaked) for every secret that stands in a log."""
    found = []
    for file in log_files():
        text = file.read_bytes()
        found += [(file, what) for secret, what in _secrets.items() if secret.encode() in text]
    return found
