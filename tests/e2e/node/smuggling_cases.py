"""Requests that HTTP implementations read differently, and what a node may make of each.

{p} in a request stands for the case's own path. What may reach the origin:
  one(...)       exactly this request
  REFUSED        nothing; the answer, if any, is an error and the connection ends: what follows is not trusted
  NOTHING        nothing; the connection may go on
  maybe(...)     this request or, refused, nothing
A request here is METHOD, target as the origin must see it, and the body's bytes.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Expected:
    requests: tuple  # ((method, target, body), ...)
    may_be_none: bool = False
    ends: bool = False           # the connection ends after at most one answer
    origin_may_refuse: bool = False  # well-formed, yet more than this origin accepts


REFUSED = Expected((), ends=True)
NOTHING = Expected(())


def one(target="{p}", method="GET", body="", **more):
    return Expected(((method, target, body),), **more)


def maybe(target="{p}", method="GET", body="", **more):
    return one(target, method, body, may_be_none=True, **more)


POSTED = one(method="POST", body="abcd")
MAYBE_POSTED = maybe(method="POST", body="abcd")
SMUGGLED = "GET {p}/smuggled HTTP/1.1\r\nHost: packages.test\r\n\r\n"


def line(text, *fields, host="packages.test", body=""):
    """A request with this request line; closes afterwards."""
    host_line = () if host is None else (f"Host: {host}",)
    return "\r\n".join((text, *host_line, *fields, "Connection: close", "", "")) + body


def get(*fields, target="{p}", **more):
    return line(f"GET {target} HTTP/1.1", *fields, **more)


def post(*fields, body="abcd" + SMUGGLED, **more):
    """A body of four bytes with a request behind it, and the framing that `fields` say."""
    return line("POST {p} HTTP/1.1", *fields, body=body, **more)


def chunked(body, *fields):
    return post("Transfer-Encoding: chunked", *fields, body=body)


WHOLE_CHUNKS = "4\r\nabcd\r\n0\r\n\r\n"

REQUEST_LINES = {
    "plain": (get(), one()),
    "two spaces after the method": (line("GET  {p} HTTP/1.1"), REFUSED),
    "two spaces before the version": (line("GET {p}  HTTP/1.1"), REFUSED),
    "tab after the method": (line("GET\t{p} HTTP/1.1"), REFUSED),
    "tab before the version": (line("GET {p}\tHTTP/1.1"), REFUSED),
    "space at the start": (line(" GET {p} HTTP/1.1"), REFUSED),
    "space at the end": (line("GET {p} HTTP/1.1 "), REFUSED),
    "no version": (line("GET {p}"), REFUSED),
    "version 0.9 in words": (line("GET {p} HTTP/0.9"), REFUSED),
    "version 2": (line("GET {p} HTTP/2.0"), REFUSED),
    "version with two digits": (line("GET {p} HTTP/1.10"), REFUSED),
    "version in lower case": (line("GET {p} http/1.1"), REFUSED),
    "version with a space": (line("GET {p} HTTP /1.1"), REFUSED),
    "version 1.2 is read as 1.1": (line("GET {p} HTTP/1.2"), maybe()),
    "preface of HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    "a TLS client": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "a" * 40, REFUSED),
    "bare LF everywhere": ("GET {p} HTTP/1.1\nHost: packages.test\n\n", REFUSED),
    "bare LF after the request line": ("GET {p} HTTP/1.1\nHost: packages.test\r\n\r\n", REFUSED),
    "bare CR after the request line": ("GET {p} HTTP/1.1\rHost: packages.test\r\n\r\n", REFUSED),
    "an empty line before": ("\r\n" + get(), maybe()),
    "two requests in one line": ("GET {p} HTTP/1.1 GET {p}/smuggled HTTP/1.1\r\nHost: packages.test\r\n\r\n", REFUSED),
    "NUL in the method": (line("G\0ET {p} HTTP/1.1"), REFUSED),
    "at sign in the method": (line("G@T {p} HTTP/1.1"), REFUSED),
    "colon in the method": (line("GET: {p} HTTP/1.1"), REFUSED),
    "unknown method": (line("BREW {p} HTTP/1.1"), maybe(method="BREW")),
    "lower-case method": (line("get {p} HTTP/1.1"), maybe(method="get", origin_may_refuse=True)),
    "very long method": (line("G" * 100 + " {p} HTTP/1.1"), REFUSED),
    "CONNECT": (line("CONNECT packages.test:443 HTTP/1.1"), NOTHING),
    "CONNECT with a path": (line("CONNECT {p} HTTP/1.1"), REFUSED),
    "TRACE": (line("TRACE {p} HTTP/1.1"), NOTHING),
    "OPTIONS *": (line("OPTIONS * HTTP/1.1"), NOTHING),
    "GET *": (line("GET * HTTP/1.1"), REFUSED),
}

TARGETS = {
    "space": (get(target="{p} x"), REFUSED),
    "NUL": (get(target="{p}\0"), REFUSED),
    "DEL": (get(target="{p}\x7f"), REFUSED),
    "byte above ASCII": (get(target="{p}\xe9"), maybe("{p}\xe9")),
    "fragment": (get(target="{p}#x"), maybe("{p}#x")),
    "backslash": (get(target="{p}\\x"), maybe("{p}\\x")),
    "quotes and brackets": (get(target="{p}\"<>^`{|}"), maybe("{p}\"<>^`{|}")),
    "relative": (get(target="x{p}"), REFUSED),
    "double slash names no host": (get(target="//evil.test{p}"), one("//evil.test{p}")),
    "dot segments": (get(target="/a/../b/./{p}"), one("/a/../b/./{p}")),
    "above the root": (get(target="/..{p}"), one("/..{p}", origin_may_refuse=True)),
    "encoded dot segments": (get(target="/%2e%2e{p}"), one("/%2e%2e{p}", origin_may_refuse=True)),
    "encoded slash": (get(target="{p}%2f..%2f"), one("{p}%2f..%2f")),
    "encoded line end": (get(target="{p}%0d%0aX-Injected:%20a"), one("{p}%0d%0aX-Injected:%20a")),
    "encoded NUL": (get(target="{p}%00"), one("{p}%00", origin_may_refuse=True)),
    "wrong escape": (get(target="{p}%zz%"), one("{p}%zz%", origin_may_refuse=True)),
    "semicolon": (get(target="{p};a=b"), one("{p};a=b")),
    "empty query": (get(target="{p}?"), one("{p}?")),
    "two question marks": (get(target="{p}??a=?"), one("{p}??a=?")),
    "8 KiB and more": (get(target="{p}" + "a" * 9000), REFUSED),
    "absolute": (get(target="http://packages.test{p}"), one()),
    "absolute in capitals": (get(target="HTTP://PACKAGES.TEST{p}"), one()),
    "absolute wins over Host": (get(target="http://packages.test{p}", host="evil.test"), one()),
    "absolute of a stranger": (get(target="http://evil.test{p}"), NOTHING),
    "absolute without a path": (get(target="http://packages.test?{p}"), one("/?{p}")),
    "absolute with user": (get(target="http://packages.test@evil.test{p}"), REFUSED),
    "absolute with port and user": (get(target="http://packages.test:80@evil.test{p}"), REFUSED),
    "absolute with backslash": (get(target="http://packages.test\\@evil.test{p}"), REFUSED),
    "absolute with encoded dot": (get(target="http://packages%2etest{p}"), NOTHING),
    "absolute with encoded NUL": (get(target="http://packages.test%00.evil.test{p}"), NOTHING),
    "absolute with empty host": (get(target="http://{p}"), NOTHING),
    "absolute with one slash": (get(target="http:/packages.test{p}"), REFUSED),
    "absolute without slashes": (get(target="http:packages.test{p}"), REFUSED),
    "another scheme": (get(target="ftp://packages.test{p}"), REFUSED),
    "file": (get(target="file:///etc/passwd"), REFUSED),
}

OWN = "node1.larder.test"
ORIGINS = {
    "cacheHostOrigin": (get(target="{p}?cacheHostOrigin=packages.test", host=OWN), one()),
    "between others": (get(target="{p}?a=1&cacheHostOrigin=packages.test&b=2", host=OWN), one("{p}?a=1&b=2")),
    "a stranger": (get(target="{p}?cacheHostOrigin=evil.test"), NOTHING),
    "the last one counts": (get(target="{p}?cacheHostOrigin=evil.test&cacheHostOrigin=packages.test", host=OWN), one()),
    "the last one is a stranger": (get(target="{p}?cacheHostOrigin=packages.test&cacheHostOrigin=evil.test"), NOTHING),
    "encoded name is another parameter": (get(target="{p}?cacheHost%4frigin=evil.test"),
                                          one("{p}?cacheHost%4frigin=evil.test")),
    "with a line end": (get(target="{p}?cacheHostOrigin=packages.test%0d%0aX-Injected:%20a", host=OWN), NOTHING),
    "with NUL": (get(target="{p}?cacheHostOrigin=packages.test%00.evil.test", host=OWN), NOTHING),
    "with a path": (get(target="{p}?cacheHostOrigin=packages.test%2f..%2fx", host=OWN), NOTHING),
    "with user": (get(target="{p}?cacheHostOrigin=packages.test%40evil.test", host=OWN), NOTHING),
    "with a fragment": (get(target="{p}?cacheHostOrigin=packages.test%23", host=OWN), NOTHING),
    "encoded twice": (get(target="{p}?cacheHostOrigin=packages%252etest", host=OWN), NOTHING),
    "with an absolute target": (get(target="http://packages.test{p}?cacheHostOrigin=packages.test"), NOTHING),
    "no Host": (get(host=None), REFUSED),
    "empty Host": (get(host=""), NOTHING),
    "two hosts": (get("Host: evil.test"), REFUSED),
    "the same host twice": (get("Host: packages.test"), REFUSED),
    "hosts in a list": (get(host="packages.test, evil.test"), NOTHING),
    "Host with a space": (get(host="packages.test evil.test"), NOTHING),
    "Host with user": (get(host="packages.test@evil.test"), NOTHING),
    "Host with a path": (get(host="packages.test/x"), NOTHING),
    "Host in capitals": (get(host="Packages.TEST"), one()),
    "Host with a dot at the end": (get(host="packages.test."), one()),
    "Host with two dots at the end": (get(host="packages.test.."), NOTHING),
    "Host with port 0": (get(host="packages.test:0"), NOTHING),
    "Host with a port too large": (get(host="packages.test:65616"), NOTHING),
    "Host with a word as port": (get(host="packages.test:http"), NOTHING),
    "Host with two ports": (get(host="packages.test:80:80"), NOTHING),
    "Host in brackets": (get(host="[packages.test]"), NOTHING),
    "Host with a byte above ASCII": (get(host="packages.t\xe9st"), NOTHING),
    "Host with an escape": (get(host="packages%2etest"), NOTHING),
    "HTTP/1.0 without Host": (line("GET {p} HTTP/1.0", host=None), NOTHING),
}

FIELDS = {
    "space before the colon": (get("X-Note : a"), REFUSED),
    "tab before the colon": (get("X-Note\t: a"), REFUSED),
    "folded": (get("X-Note: a", " b"), REFUSED),
    "folded by a tab": (get("X-Note: a", "\tHost: evil.test"), REFUSED),
    "fold before the first field": ("GET {p} HTTP/1.1\r\n Host: packages.test\r\n\r\n", REFUSED),
    "no colon": (get("X-Note"), REFUSED),
    "no name": (get(": a"), REFUSED),
    "NUL in a value": (get("X-Note: a\0b"), REFUSED),
    "NUL in a name": (get("X-No\0te: a"), REFUSED),
    "bare CR in a value": (get("X-Note: a\rHost: evil.test"), REFUSED),
    "bare LF in a value": (get("X-Note: a\nHost: evil.test"), REFUSED),
    "vertical tab in a value": (get("X-Note: a\x0bb"), REFUSED),
    "byte above ASCII in a name": (get("X-N\xf6te: a"), REFUSED),
    "brackets in a name": (get("X(Note): a"), REFUSED),
    "LF at the end of the head": ("GET {p} HTTP/1.1\r\nHost: packages.test\r\n\n", REFUSED),
    "CR at the end of the head": ("GET {p} HTTP/1.1\r\nHost: packages.test\r\n\r\r\n", REFUSED),
    "head of 40 KiB": (get("X-Note: " + "a" * 40000), REFUSED),
    "200 fields": (get(*["X-Note: a"] * 200), REFUSED),
    "Connection names Host": (get("Connection: Host"), one()),
    "Connection names Content-Length": (post("Content-Length: 4", "Connection: Content-Length", body="abcd"),
                                        MAYBE_POSTED),
    "Upgrade to HTTP/2": (get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), one()),
    "method in a field": (get("X-HTTP-Method-Override: DELETE", "X-Method-Override: PUT"), one()),
    "target in a field": (get("X-Original-URL: {p}/smuggled", "X-Rewrite-URL: {p}/smuggled"), one()),
    "host in a field": (get("X-Forwarded-Host: evil.test", "X-Host: evil.test", "Forwarded: host=evil.test"), one()),
}

LENGTHS = {
    "plain": (post("Content-Length: 4", body="abcd"), POSTED),
    "body behind the answer's end": (post("Content-Length: 4"), POSTED),
    "no length": (line("POST {p} HTTP/1.1"), maybe(method="POST")),
    "zero": (line("POST {p} HTTP/1.1", "Content-Length: 0"), one(method="POST")),
    "two different": (post("Content-Length: 4", "Content-Length: 5"), REFUSED),
    "two different, zero first": (post("Content-Length: 0", "Content-Length: 4"), REFUSED),
    "two equal": (post("Content-Length: 4", "Content-Length: 4", body="abcd"), MAYBE_POSTED),
    "list of equal": (post("Content-Length: 4, 4", body="abcd"), maybe(method="POST", body="abcd")),
    "list of different": (post("Content-Length: 4, 5"), REFUSED),
    "plus sign": (post("Content-Length: +4"), REFUSED),
    "minus sign": (post("Content-Length: -4"), REFUSED),
    "minus zero": (post("Content-Length: -0"), REFUSED),
    "hexadecimal": (post("Content-Length: 0x4"), REFUSED),
    "fraction": (post("Content-Length: 4.0"), REFUSED),
    "exponent": (post("Content-Length: 4e0"), REFUSED),
    "letters behind": (post("Content-Length: 4a"), REFUSED),
    "number behind a space": (post("Content-Length: 4 5"), REFUSED),
    "empty": (post("Content-Length:"), REFUSED),
    "underscore": (post("Content-Length: 1_0"), REFUSED),
    "leading zeros": (post("Content-Length: 0004", body="abcd"), MAYBE_POSTED),
    "beyond 64 bits": (post("Content-Length: 18446744073709551620"), REFUSED),
    "very large": (post("Content-Length: " + "9" * 40), REFUSED),
    "space before the colon": (post("Content-Length : 4"), REFUSED),
    "underscore in the name": (post("Content_Length: 99", "Content-Length: 4", body="abcd"), MAYBE_POSTED),
    "form feed in front": (post("Content-Length: \x0c4"), REFUSED),
    "GET with a body": (get("Content-Length: 4", body="abcd" + SMUGGLED), REFUSED),
    "GET with an empty body": (get("Content-Length: 0"), one()),
    "HEAD with a body": (line("HEAD {p} HTTP/1.1", "Content-Length: 4", body="abcd" + SMUGGLED), REFUSED),
    "DELETE with a body": (line("DELETE {p} HTTP/1.1", "Content-Length: 4", body="abcd" + SMUGGLED),
                           maybe(method="DELETE", body="abcd")),
    "body cut short": (post("Content-Length: 40", body="abcd"), NOTHING),
    "100-continue": (post("Content-Length: 4", "Expect: 100-continue", body="abcd"), POSTED),
    "unknown expectation": (post("Content-Length: 4", "Expect: x"), REFUSED),
    "HTTP/1.0": (line("POST {p} HTTP/1.0", "Content-Length: 4", body="abcd"), POSTED),
}

CODINGS = {
    "plain": (chunked(WHOLE_CHUNKS), POSTED),
    "length first": (post("Content-Length: 4", "Transfer-Encoding: chunked", body=WHOLE_CHUNKS + SMUGGLED), REFUSED),
    "length last": (post("Transfer-Encoding: chunked", "Content-Length: 4", body=WHOLE_CHUNKS + SMUGGLED), REFUSED),
    "length zero": (post("Transfer-Encoding: chunked", "Content-Length: 0", body=WHOLE_CHUNKS + SMUGGLED), REFUSED),
    "capitals": (post("Transfer-Encoding: Chunked", body=WHOLE_CHUNKS), POSTED),
    "name in lower case": (post("transfer-encoding: chunked", body=WHOLE_CHUNKS), POSTED),
    "tab in front": (post("Transfer-Encoding:\tchunked", body=WHOLE_CHUNKS), MAYBE_POSTED),
    "space before the colon": (post("Transfer-Encoding : chunked", body=WHOLE_CHUNKS), REFUSED),
    "vertical tab in front": (post("Transfer-Encoding: \x0bchunked", body=WHOLE_CHUNKS), REFUSED),
    "unknown": (post("Transfer-Encoding: xchunked"), REFUSED),
    "identity": (post("Transfer-Encoding: identity"), REFUSED),
    "identity beside a length": (post("Transfer-Encoding: identity", "Content-Length: 4"), REFUSED),
    "chunked, identity": (post("Transfer-Encoding: chunked, identity", body=WHOLE_CHUNKS), REFUSED),
    "gzip, chunked": (post("Transfer-Encoding: gzip, chunked", body=WHOLE_CHUNKS), REFUSED),
    "chunked twice": (post("Transfer-Encoding: chunked, chunked", body=WHOLE_CHUNKS), REFUSED),
    "in two fields": (post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=WHOLE_CHUNKS), REFUSED),
    "with a parameter": (post("Transfer-Encoding: chunked;q=1", body=WHOLE_CHUNKS), REFUSED),
    "in quotes": (post('Transfer-Encoding: "chunked"', body=WHOLE_CHUNKS), REFUSED),
    "with an empty element": (post("Transfer-Encoding: ,chunked", body=WHOLE_CHUNKS), MAYBE_POSTED),
    "empty": (post("Transfer-Encoding:"), REFUSED),
    "folded": (post("Transfer-Encoding:", " chunked", body=WHOLE_CHUNKS), REFUSED),
    "inside another field": (post("X-Note: a\n Transfer-Encoding: chunked", body=WHOLE_CHUNKS), REFUSED),
    "underscore in the name": (post("Transfer_Encoding: chunked", "Content-Length: 4", body="abcd"), MAYBE_POSTED),
    "named by Connection": (post("Transfer-Encoding: chunked", "Connection: Transfer-Encoding", body=WHOLE_CHUNKS),
                            MAYBE_POSTED),
    "HTTP/1.0": (line("POST {p} HTTP/1.0", "Transfer-Encoding: chunked", body=WHOLE_CHUNKS + SMUGGLED), REFUSED),
    "GET": (get("Transfer-Encoding: chunked", body=WHOLE_CHUNKS), REFUSED),
}

CHUNKS = {
    "extension": (chunked('4;a=b;c="d"\r\nabcd\r\n0\r\n\r\n'), POSTED),
    "digits in capitals and zeros": (chunked("0004\r\nabcd\r\n000\r\n\r\n"), POSTED),
    "two": (chunked("1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n"), POSTED),
    "a request as data": (chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n"), one(method="POST", body="\r\n\r\n")),
    "trailers": (chunked("4\r\nabcd\r\n0\r\nX-Note: a\r\n\r\n"), POSTED),
    "framing in trailers": (chunked("4\r\nabcd\r\n0\r\nContent-Length: 9\r\nHost: evil.test\r\n"
                                    "Transfer-Encoding: gzip\r\n\r\n"), MAYBE_POSTED),
    "folded trailer": (chunked("4\r\nabcd\r\n0\r\nX: a\r\n b\r\n\r\n" + SMUGGLED), REFUSED),
    "trailer without colon": (chunked("4\r\nabcd\r\n0\r\nabc\r\n\r\n" + SMUGGLED), REFUSED),
    "bare LF after the size": (chunked("4\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "bare LF after the data": (chunked("4\r\nabcd\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "bare LF in an extension": (chunked("4;a\nb\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "bare CR in an extension": (chunked("4;a\rb\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "bare LF at the end": (chunked("4\r\nabcd\r\n0\n\n" + SMUGGLED), REFUSED),
    "hexadecimal prefix": (chunked("0x4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "plus sign": (chunked("+4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "minus sign": (chunked("-4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "space in front": (chunked(" 4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "space behind": (chunked("4 \r\nabcd\r\n0\r\n\r\n" + SMUGGLED), maybe(method="POST", body="abcd", ends=True)),
    "letters": (chunked("4g\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "no size": (chunked("\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "size beyond 64 bits": (chunked("10000000000000004\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "data longer than the size": (chunked("3\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "data shorter than the size": (chunked("5\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
    "no last chunk": (chunked("4\r\nabcd\r\n"), NOTHING),
    "no end of the last chunk": (chunked("4\r\nabcd\r\n0\r\n"), NOTHING),
    "endless extension": (chunked("4;" + "a" * 20000 + "\r\nabcd\r\n0\r\n\r\n" + SMUGGLED), REFUSED),
}

KEPT_OPEN = "GET {p} HTTP/1.1\r\nHost: packages.test\r\n\r\n"
PIPELINES = {
    "two": (KEPT_OPEN + get(target="{p}/2"), Expected((("GET", "{p}", ""), ("GET", "{p}/2", "")))),
    "a body and another": (
        "POST {p} HTTP/1.1\r\nHost: packages.test\r\nContent-Length: 4\r\n\r\nabcd" + get(target="{p}/2"),
        Expected((("POST", "{p}", "abcd"), ("GET", "{p}/2", "")))),
    "chunks and another": (
        "POST {p} HTTP/1.1\r\nHost: packages.test\r\nTransfer-Encoding: chunked\r\n\r\n" + WHOLE_CHUNKS
        + get(target="{p}/2"), Expected((("POST", "{p}", "abcd"), ("GET", "{p}/2", "")))),
    "garbage behind a request": (KEPT_OPEN + "garbage\r\n\r\n" + SMUGGLED, one()),
    "a request behind Connection: close": (get() + SMUGGLED, one()),
    "a request behind a refusal": (get("Host: evil.test") + SMUGGLED, REFUSED),
    "HTTP/1.0 closes": ("GET {p} HTTP/1.0\r\nHost: packages.test\r\n\r\n" + SMUGGLED, one()),
    "own path, then the origin's": ("GET /healthz HTTP/1.1\r\nHost: " + OWN + "\r\n\r\n" + get(), one()),
}

GROUPS = {"request line": REQUEST_LINES, "target": TARGETS, "origin": ORIGINS, "field": FIELDS, "length": LENGTHS,
          "coding": CODINGS, "chunk": CHUNKS, "pipeline": PIPELINES}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
