#!/usr/bin/python3
"""The open Delivery Optimization client's behaviour towards a cache host, its mistakes included.

A model for tests: same bytes on the wire, same reading of answers, same reactions. Its clock for bans is the test's.
"""

import argparse
import base64
import dataclasses
import json
import pathlib
import socket
import ssl
import sys
import time
import urllib.parse

USER_AGENT = "Microsoft-Delivery-Optimization-Lite/10.0.0.1"
BAN = 15 * 60
MOST_REDIRECTS = 10
CACHE_CONNECT_SECONDS = 3.0
LEAST_RATE, RATE_SECONDS = 4000, 20.0


class Fatal(Exception):
    """The download is over: state Paused with this code."""


class AgentDied(Exception):
    """The client's process is gone."""


class Failure(Exception):
    """One attempt failed; `bans` is None, "origin" or "all"."""

    def __init__(self, what, bans=None, status=None):
        super().__init__(what)
        self.what, self.bans, self.status = what, bans, status


@dataclasses.dataclass
class Attempt:
    where: str  # "cache" or "origin"
    outcome: str  # "complete", or why it failed
    status: int = None
    request: bytes = b""
    fields: dict = dataclasses.field(default_factory=dict)  # names as they were sent
    first_byte: float = None  # seconds from the request
    seconds: float = 0.0


@dataclasses.dataclass
class Download:
    state: str = "Created"  # Transferred or Paused
    error: str = None
    content: bytearray = dataclasses.field(default_factory=bytearray)
    total: int = 0
    attempts: list = dataclasses.field(default_factory=list)
    ranges: list = dataclasses.field(default_factory=list)  # of all requests so far: the client never forgets one

    @property
    def places(self):
        return [attempt.where for attempt in self.attempts]


def cache_host_from(folder):
    """What the client takes as its cache host from the files of its settings folder."""
    def read(name):
        file = pathlib.Path(folder) / name
        return json.loads(file.read_text()) if file.exists() else {}

    admin, sdk = read("admin-config.json"), read("sdk-config.json")
    if "DOCacheHost" in admin:  # also when it is empty: then there is no cache
        return admin["DOCacheHost"]
    text = sdk.get("ADUC_IoTConnectionString", "")
    at = text.lower().find("gatewayhostname=")
    return text[at + len("gatewayhostname="):].split(";")[0] if at >= 0 else ""


def rewrite(url, cache_host):
    """The address that is asked of the cache host: scheme, path and parameters stay, byte for byte."""
    scheme, rest = url.split("://", 1)
    rest = rest.split("#", 1)[0]
    end = min((rest.find(c) for c in "/?" if c in rest), default=len(rest))
    authority, target = rest[:end], rest[end:] or "/"
    user, _, host = authority.rpartition("@")
    name, _, port = host.partition(":")
    if ":" in cache_host.split("/")[0] and port:
        raise Fatal("0x800C0002")  # host:port:port
    if "," in cache_host:
        raise Fatal("0x800C0002")
    place = cache_host if not port else f"{cache_host}:{port}"
    separator = "&" if "?" in target else "?"
    return (f"{scheme}://{user + '@' if user else ''}{place}{target}{separator}cacheHostOrigin="
            + urllib.parse.quote(name.lower(), safe="-._~"))


def request_bytes(url, ranges=()):
    """The raw request: this order, nothing else. Each ranged retry adds one more Range line to those before it."""
    parts = urllib.parse.urlsplit(url)
    target = url.split("://", 1)[1].split("#", 1)[0]
    target = target[target.find("/"):] if "/" in target else "/"
    host = parts.netloc.rpartition("@")[2]
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}"]
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        lines.append("Authorization: Basic " + base64.b64encode(pair.encode()).decode())
    lines += [f"User-Agent: {USER_AGENT}", "Accept: */*", *(f"Range: bytes={first}-{last}" for first, last in ranges)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class DoClient:
    def __init__(self, cache_host="", settings=None, origins=None, trust=None, delay=None, resolve=None,
                 rate_seconds=RATE_SECONDS):
        """`settings` is a folder of its files, instead of `cache_host`. `origins` maps origin names to (address, port)
        for the fallback. `delay`: seconds until it may fall back, -1 never, None at once. `resolve` maps the cache
        host's name to an address. `rate_seconds` shortens its patience."""
        self._cache_host, self._settings = cache_host, settings
        self.origins, self.delay, self.resolve = origins or {}, delay, resolve or {}
        self.rate_seconds = rate_seconds
        self.now = 0.0
        self._banned = {}  # origin host, or None for all -> until
        self._context = ssl.create_default_context(cafile=trust) if trust else None
        if self._context:
            self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._idle = {}  # connections that are kept

    @property
    def cache_host(self):
        return cache_host_from(self._settings) if self._settings else self._cache_host

    def is_banned(self, host):
        return any(self._banned.get(key, 0) > self.now for key in (host, None))

    def download(self, url, stop_after=None, continued=None, most_attempts=8):
        """To its end. `stop_after`: paused when it has so many bytes; `continued` is such a download to go on with."""
        state = continued or Download()
        state.state = "Transferring"
        host = urllib.parse.urlsplit(url).hostname
        try:
            for number in range(most_attempts):
                # Every start asks the cache; without a delay the first failure leads to the origin.
                use_cache = bool(self.cache_host) and not self.is_banned(host)
                if number and self.delay is None:
                    use_cache = False
                if self._attempt(state, url, host, use_cache, stop_after):
                    return state
            state.state, state.error = "Paused", "0x80D02002"
        except Fatal as error:
            state.state, state.error = "Paused", str(error)
        return state

    def _attempt(self, state, url, host, use_cache, stop_after):
        """True when the download is over or paused."""
        attempt = Attempt("cache" if use_cache else "origin", "")
        state.attempts.append(attempt)
        if state.content:
            if not state.total:
                raise AgentDied("a range of a file whose length it does not know")
            state.ranges.append((len(state.content), state.total - 1))
        start = time.monotonic()
        try:
            where = rewrite(url, self.cache_host) if use_cache else url
            self._transfer(state, attempt, where, use_cache, stop_after)
            attempt.outcome = "complete"
        except Failure as failure:
            attempt.outcome, attempt.status = failure.what, failure.status or attempt.status
            if use_cache and failure.bans:
                self._banned[host if failure.bans == "origin" else None] = self.now + BAN
            if not use_cache and failure.status and 400 <= failure.status < 500:
                raise Fatal(f"0x80190{failure.status:03X}") from failure
            return False
        finally:
            attempt.seconds = time.monotonic() - start
        state.state = "Paused" if stop_after is not None and len(state.content) < state.total else "Transferred"
        return True

    def _transfer(self, state, attempt, url, to_cache, stop_after):
        for _ in range(MOST_REDIRECTS + 1):
            attempt.request = request_bytes(url, state.ranges)
            connection, place = self._connect(url, to_cache)
            keep = False
            try:
                keep = self._exchange(state, attempt, connection, stop_after)
            except TimeoutError as error:
                raise Failure("timeout", "all") from error
            except OSError as error:
                raise Failure(f"connection broke: {error}") from error
            finally:
                if keep:
                    self._idle[place] = connection
                else:
                    connection.close()
            if attempt.status not in (301, 302, 303, 307, 308):
                return
            url = urllib.parse.urljoin(url, attempt.fields.get("Location", ""))
        raise Failure("too many redirects")

    def _connect(self, url, to_cache):
        parts = urllib.parse.urlsplit(url)
        name, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        if name in self.origins and not parts.port:
            address = self.origins[name]
        else:
            address = (self.resolve.get(name, name), port)
        place = (parts.scheme, *address)
        if place in self._idle:
            return self._idle.pop(place), place
        try:
            raw = socket.create_connection(address, CACHE_CONNECT_SECONDS)
            if parts.scheme == "https":
                raw = self._context.wrap_socket(raw, server_hostname=name)
        except socket.gaierror as error:
            raise Failure("name does not resolve", "all") from error
        except TimeoutError as error:
            raise Failure("connect timeout", "all") from error
        except ConnectionRefusedError as error:
            raise Failure("refused", "all") from error
        except (ssl.SSLError, ConnectionError) as error:
            raise Failure(f"TLS: {error}") from error
        if parts.scheme == "https" and raw.selected_alpn_protocol() == "h2":
            raise AgentDied("HTTP/2: names in lower case, resume never ends")
        return raw, place

    def _exchange(self, state, attempt, connection, stop_after):
        """Reads one answer; True when the connection can be used again."""
        connection.settimeout(self.rate_seconds)
        sent = time.monotonic()
        connection.sendall(attempt.request)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                raise Failure("closed before a reply")
            attempt.first_byte = attempt.first_byte or time.monotonic() - sent
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        attempt.status = int(lines[0].split()[1])
        attempt.fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        # curl knows names in any case; the client's own look-ups do not.
        known = {name.lower(): value for name, value in attempt.fields.items()}
        length = int(known["content-length"]) if "content-length" in known else None
        if attempt.status in (301, 302, 303, 307, 308):
            return False
        if attempt.status in (204, 304):
            length = 0
        if not 200 <= attempt.status <= 206:
            bans = "origin" if 400 <= attempt.status <= 499 else None
            raise Failure(f"status {attempt.status}", bans, attempt.status)
        self._look_at_head(state, attempt)
        self._append(state, connection, body, length, known.get("transfer-encoding") == "chunked", stop_after)
        return length is not None and stop_after is None and known.get("connection", "") != "close"

    def _look_at_head(self, state, attempt):
        if attempt.status == 206:
            value = attempt.fields.get("Content-Range")
            if value is None or not value.rpartition("/")[2].isdigit():
                raise Fatal("0x80070490")
            state.total = int(value.rpartition("/")[2])
        elif not state.content:
            state.total = int(attempt.fields.get("Content-Length", 0))

    def _append(self, state, connection, body, length, chunked, stop_after):
        """Bytes are added to what there is, whatever was asked and answered."""
        received = 0
        window, window_bytes = time.monotonic(), 0
        source = _Chunked(body) if chunked else None
        while True:
            piece = source.take(body) if source else body
            state.content += piece
            received += len(piece)
            window_bytes += len(piece)
            if stop_after is not None and len(state.content) >= stop_after:
                del state.content[stop_after:]
                return
            if (length is not None and received >= length) or (source and source.ended):
                return
            if time.monotonic() - window > self.rate_seconds:
                if window_bytes < LEAST_RATE * self.rate_seconds:
                    raise Failure("too slow", "all")
                window, window_bytes = time.monotonic(), 0
            body = connection.recv(65536)
            if not body:
                if length is None and not source:
                    return
                if not state.total:
                    raise AgentDied("a transfer of unknown length broke")
                raise Failure("broken body")


class _Chunked:
    def __init__(self, _first):
        self._buffer, self._left, self.ended = b"", None, False

    def take(self, data):
        self._buffer += data
        out = b""
        while not self.ended:
            if self._left is None:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    break
                self._left, self._buffer = int(line.split(b";")[0], 16), rest
                if self._left == 0:
                    self.ended = True
            elif self._left > 0 and self._buffer:
                piece = self._buffer[:self._left]
                out += piece
                self._left -= len(piece)
                self._buffer = self._buffer[len(piece):]
            elif self._left == 0 and len(self._buffer) >= 2:
                self._buffer, self._left = self._buffer[2:], None
            else:
                break
        return out


def main():
    parser = argparse.ArgumentParser(description="Downloads as the open Delivery Optimization client does.")
    parser.add_argument("--cache-host", default="")
    parser.add_argument("--output", required=True)
    parser.add_argument("url")
    given = parser.parse_args()
    done = DoClient(given.cache_host).download(given.url)
    pathlib.Path(given.output).write_bytes(done.content)
    print(json.dumps({"state": done.state, "error": done.error, "places": done.places}))
    sys.exit(done.state != "Transferred")


if __name__ == "__main__":
    main()
