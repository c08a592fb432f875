"""Whatever a client sends, an origin sees exactly one well-formed request for it, or none: nginx behind the node, a
client of raw sockets before it. The requests are in smuggling_cases.py; each is sent whole and in small pieces."""

import json
import re
import socket

import pytest
from smuggling_cases import CASES

from support.larder import Node
from support.ports import free_port
from support.program import Program, accepts
from support.tap import Tap
from support.wait import wait_until

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  # $request_body is known only where the request is passed on: to the second server, which answers.
  log_format seen escape=json '{{"method":"$request_method","target":"$request_uri","host":"$http_host",'
                              '"status":$status,"body":"$request_body"}}';
  merge_slashes off; underscores_in_headers on; large_client_header_buffers 8 32k;
  server {{
    listen 127.0.0.1:{port};
    access_log {folder}/seen.log seen;
    location / {{ proxy_pass http://127.0.0.1:{sink}; proxy_method POST; }}
  }}
  server {{
    listen 127.0.0.1:{sink}; access_log off; large_client_header_buffers 8 32k;
    location / {{ add_header Cache-Control no-store; return 200 "seen\\n"; }}
  }}
}}
"""
HEAD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[\x21-\x7e\x80-\xff]*) HTTP/1\.1\r\n"
                  rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n")
NEVER = {"transfer-encoding", "te", "upgrade", "http2-settings", "proxy-connection", "keep-alive", "trailer", "expect",
         "x-forwarded-host", "forwarded", "x-http-method-override", "x-method-override", "x-original-url",
         "x-rewrite-url", "x-injected"}
CASE_TARGET = re.compile(r"/case\d{3}[wp]")


def ways():
    """The whole at once; and cut after every seventh byte, in as many packets."""
    return ("whole", None), ("in pieces", 7)


def exchange(port, data, step):
    """Everything that is answered until the node closes or, the client having said that it is done, gives up."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for at in range(0, len(data), step or len(data)):
                # A long filler need not come in small pieces to be in pieces.
                connection.sendall(data[at:at + step] if step and at < 700 else data[at:])
                if not step or at >= 700:
                    break
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # it did not want the rest
    return answer


class Origin:
    """nginx that notes what it understood, and a tap that keeps what it was sent."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=folder, port=self.port, sink=free_port()))
        self.program = Program(["nginx", "-p", folder, "-c", conf, "-e", folder / "error.log"], folder / "output.log")

    def start(self):
        self.program.start()
        self.program.wait_for(lambda: accepts(self.port))
        return self

    def seen(self):
        log = self.folder / "seen.log"
        return [json.loads(line) for line in log.read_text("latin-1").splitlines()] if log.exists() else []


def strictly_read(data):
    """The requests of a connection, by the grammar of RFC 9112 alone: one Host, one framing, nothing left over."""
    requests = []
    while data:
        head = HEAD.match(data)
        assert head, data
        fields = [line.split(b":", 1) for line in head[3].split(b"\r\n") if line]
        names = [name.decode().lower() for name, _ in fields]
        assert names.count("host") == 1 and not NEVER & set(names), head[0]
        lengths = [value.strip() for name, value in fields if name.lower() == b"content-length"]
        assert len(lengths) <= 1 and all(each.isdigit() for each in lengths), head[0]
        end = head.end() + int(lengths[0] if lengths else 0)
        assert len(data) >= end, data
        requests.append(tuple(each.decode("latin-1") for each in (head[1], head[2], data[head.end():end])))
        data = data[end:]
    return requests


def path_of(number, way):
    return f"/case{number:03}{'w' if way == 'whole' else 'p'}"


@pytest.fixture(scope="module")
def outcome(folder):
    """All cases are sent first, then judged: what would arrive late has arrived by then."""
    origin = Origin(folder / "recording").start()
    answers = {}
    with Tap(("127.0.0.1", origin.port)) as tap:
        node = Node(folder / "node", names=["node1.larder.test"], origins=[{
            "name": "packages", "hosts": ["packages.test"], "url": f"http://127.0.0.1:{tap.port}", "scheme": "http",
            "allow_addresses": ["127.0.0.1/32"], "methods": ["*"]}]).start()
        for number, (name, (request, _)) in enumerate(CASES.items()):
            for way, step in ways():
                data = request.replace("{p}", path_of(number, way)).encode("latin-1")
                answers[name, way] = exchange(node.http_port, data, step)
        assert node.get("/last").status == 200
        wait_until(lambda: any(each["target"] == "/last" for each in origin.seen()))
        node.stop()
        origin.program.stop()
        yield {"answers": answers, "seen": origin.seen(),
               "sent": [request for each in tap.sent for request in strictly_read(bytes(each))]}


def statuses(answer):
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


@pytest.mark.parametrize("way", ["whole", "in pieces"])
@pytest.mark.parametrize("name", CASES)
def test_origin_sees_one_request_or_none(outcome, name, way):
    number = list(CASES).index(name)
    path, expected = path_of(number, way), CASES[name][1]
    # Sorted, not as they came: after one with a body the next one has another connection.
    sent = sorted(each for each in outcome["sent"] if path in each[1])
    wanted = sorted((method, target.replace("{p}", path), body) for method, target, body in expected.requests)
    answer = outcome["answers"][name, way]
    assert [each[:2] for each in sent] == [each[:2] for each in wanted] or (expected.may_be_none and not sent), answer
    for (_, _, body), (_, _, allowed) in zip(sent, wanted):
        assert body == allowed or (allowed is None and body in ("", "abcd"))
    seen = sorted((each["method"], each["target"], each["body"]) for each in outcome["seen"] if path in each["target"])
    assert seen == sent or (expected.origin_may_refuse and not seen)
    if expected.ends and not sent:
        final = [status for status in statuses(answer) if status >= 200]
        assert len(final) <= 1 and all(400 <= status < 600 for status in final), answer


def test_nothing_else_reached_the_origin(outcome):
    """Nothing that belongs to no case, and nothing that nginx could not read but for what it does not accept."""
    assert [each for each in outcome["sent"] if not CASE_TARGET.search(each[1]) and each[1] != "/last"] == []
    assert {each["host"] for each in outcome["seen"] if each["status"] == 200} == {"packages.test"}
    refused = [each for each in outcome["seen"] if each["status"] != 200]
    assert len(outcome["seen"]) == len(outcome["sent"])
    most = sum(2 * len(expected.requests) for _, expected in CASES.values() if expected.origin_may_refuse)
    assert len(refused) <= most and {each["status"] for each in refused} <= {400}
