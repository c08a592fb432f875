"""curl as a test's client: what it got, as one value."""

import dataclasses
import json
import pathlib
import subprocess
import tempfile


@dataclasses.dataclass(repr=False)
class Answer:
    exit_code: int
    error: str
    status: int
    headers: dict  # names in lower case; the last of several wins
    raw_headers: str
    body: bytes
    facts: dict  # curl's --write-out '%{json}'

    def __repr__(self):
        return (f"<curl exit {self.exit_code} {self.error!r}, {len(self.body)} bytes {self.body[:80]!r}\n"
                f"{self.raw_headers}>")

    @property
    def cache_status(self):
        return self.headers.get("cache-status", "")

    @property
    def parts(self):
        """(Content-Range, bytes) of each part of a multipart/byteranges answer."""
        boundary = self.headers["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
        end = b"\r\n--" + boundary + b"--\r\n"
        assert self.body.endswith(end)
        found = []
        for part in self.body.removesuffix(end).split(b"\r\n--" + boundary + b"\r\n")[1:]:
            head, _, body = part.partition(b"\r\n\r\n")
            found.append((dict(line.split(": ", 1) for line in head.decode().split("\r\n"))["Content-Range"], body))
        return found

    @property
    def is_hit(self):
        nearest = self.cache_status[max(0, self.cache_status.rfind("larder")):]
        return "hit" in nearest and "fwd" not in nearest


def curl(url, *options, namespace=None, timeout=120):
    """One request; a failed transfer is an Answer with an exit code, not an exception."""
    with tempfile.TemporaryDirectory() as folder:
        body, headers = pathlib.Path(folder, "body"), pathlib.Path(folder, "headers")
        arguments = ["curl", "--silent", "--show-error", "--noproxy", "", "--max-time", str(timeout),
                     "--dump-header", headers, "--output", body, "--write-out", "%{json}",
                     *map(str, options), url]
        if namespace:
            arguments = ["ip", "netns", "exec", namespace.name, *arguments]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout + 10)
        raw = headers.read_bytes().decode(errors="replace") if headers.exists() else ""
        facts = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return Answer(done.returncode, done.stderr.strip(), facts.get("http_code", 0), _fields(raw), raw,
                      body.read_bytes() if body.exists() else b"", facts)


def _fields(raw):
    blocks = [block for block in raw.replace("\r\n", "\n").split("\n\n") if block.strip()]
    fields = {}
    for line in blocks[-1].split("\n")[1:] if blocks else []:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return fields
