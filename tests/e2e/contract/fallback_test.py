"""Section 4: what the client does when something fails, and so what a node must turn each failure into."""

import concurrent.futures
import signal
import socket
import threading
import time

import pytest

from support import network
from support.larder import Node, origin_table
from support.origin import Origin
from support.program import ROOT, run
from support.raw import exchange, split
from support.relay import Relay
from support.tls import alert
from support.wait import wait_until

HOST, MIB = "origin.do.test", 1 << 20


def drip(connection, data, rate):
    """Sends `data` at `rate` bytes a second on average: a late wake-up is made up for."""
    never, step, start = threading.Event(), max(1, rate // 10), time.monotonic()
    for at in range(0, len(data), step):
        connection.send(data[at:at + step])
        never.wait(max(0.0, start + (at + step) / rate - time.monotonic()))


@pytest.fixture(scope="module", autouse=True)
def waits(world):
    """The waits that take the node's whole patience, all at once and beside the other tests."""
    body = b"w" * (8 * MIB)

    def silent(request, connection):
        connection.hold()

    def stalls(request, connection):
        first, last = request.range or (0, len(body) - 1)
        if first < 5_000_000:
            connection.head(200 if request.range is None else 206, content_length=len(body) if request.range is None
                            else min(last, len(body) - 1) - first + 1, etag='"w"', cache_control="max-age=60",
                            content_range=None if request.range is None
                            else f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}")
            connection.send(body[first:5_000_000])
        connection.hold()

    pool = concurrent.futures.ThreadPoolExecutor(4)
    def trickles(request, connection):
        connection.head(200, content_length=len(body), etag='"t"', cache_control="max-age=60")
        drip(connection, body[:100_000], 2000)

    def trickles_for_one(request, connection):
        connection.head(200, content_length=len(body), cache_control="no-store")
        drip(connection, body[:100_000], 2000)

    addresses = {"silent": world.script("silent", silent), "stalls": world.script("stalls", stalls),
                 "trickles": world.script("trickles", trickles),
                 "trickles for one": world.script("trickles-for-one", trickles_for_one)}
    running = {}
    for name, address in addresses.items():
        client = world.client()
        running[name] = (client, pool.submit(client.download, address, most_attempts=1))
    yield running
    pool.shutdown(wait=False, cancel_futures=True)


@pytest.mark.contract("CC-4.1")
def test_every_start_and_resume_asks_the_node_first(world):
    data = world.files.write("again.bin", 2 * MIB)
    client = world.client()
    download = client.download(f"http://{HOST}/again.bin", stop_after=1000)
    for stop in (500_000, None):
        download = client.download(f"http://{HOST}/again.bin", continued=download, stop_after=stop)
    assert (download.places, download.content) == (["cache"] * 3, data)


@pytest.mark.contract("CC-4.1")
def test_first_failure_leads_to_the_origin_at_once(world):
    body, answers = b"y" * 10_000, []

    def fails_once(request, connection):
        answers.append(request.query)
        fails = "through-node" not in request.query and len(answers) == 1
        connection.head(503 if fails else 200, content_length=len(body))
        connection.send(body)

    done = world.client().download(world.script("fails-once", fails_once))
    assert (done.places, done.content) == (["cache", "origin"], body)


@pytest.mark.contract("CC-4.2")
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 505, 507])
def test_5xx_of_the_origin_bans_nobody(world, status):
    address = world.status(f"fails-{status}", status, retry_after=3600)
    client = world.client()
    for _ in range(2):
        done = client.download(address, most_attempts=1)
        assert done.places == ["cache"], "the next download asks the node again"
        assert 500 <= done.attempts[0].status < 600


@pytest.mark.contract("CC-4.3", "CC-4.18")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416])
def test_4xx_of_the_origin_is_the_clients_to_know(world, status):
    """It bans that origin only; the node's own 4xx stay away from passing trouble."""
    address = world.status(f"refuses-{status}", status)
    client = world.client()
    done = client.download(address, most_attempts=1)
    assert done.attempts[0].status == status
    assert client.is_banned("scripted.do.test") and not client.is_banned(HOST)


@pytest.mark.contract("CC-4.3", "CC-4.18")
@pytest.mark.parametrize("status", [408, 425, 429])
def test_4xx_that_is_passing_trouble_becomes_503(world, status):
    address = world.status(f"passing-{status}", status, retry_after=120, x_secret="told to the node alone")
    client = world.client()
    answer = client.download(address, most_attempts=1).attempts[0]
    assert (answer.status, answer.fields["Retry-After"]) == (503, "120")
    assert "X-Secret" not in answer.fields
    assert not client.is_banned("scripted.do.test")


@pytest.mark.contract("CC-4.4")
def test_304_that_nobody_asked_for_is_not_passed_on(world):
    done = world.client().download(world.status("unasked", 304), most_attempts=1)
    assert 500 <= done.attempts[0].status < 600


@pytest.mark.contract("CC-4.5")
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_origin_that_ends_without_a_reply_is_an_answer(world, ending):
    address = world.script(f"ends-{ending}", lambda request, connection: getattr(connection, ending)())
    assert world.client().download(address, most_attempts=1).attempts[0].status == 502


@pytest.mark.contract("CC-4.5")
def test_node_that_is_full_closes_instead_of_waiting(folder, origin):
    """Closed before a reply bans nobody; a connection that hangs bans everything. Idle ones make room."""
    node = Node(folder / "full", name="full", origins=[origin_table(origin, hosts=[HOST])], max_connections=16).start()
    data = origin.write("full.bin", 32 << 20)
    small = origin.write("full-small.bin", 5000)
    assert node.get("/full-small.bin", host=HOST).body == small
    crowd = [socket.create_connection((node.address, node.http_port)) for _ in range(40)]
    try:
        wait_until(lambda: node.get("/full-small.bin", host=HOST).body == small, what="the idle ones have made room")
        busy = []
        for _ in range(16):
            connection = socket.create_connection((node.address, node.http_port), 30)
            crowd.append(connection)
            busy.append(connection)
            connection.sendall(f"GET /full.bin HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            assert connection.recv(16).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        try:
            answer = exchange(node, f"GET /x?cacheHostOrigin={HOST} HTTP/1.1\r\nHost: n\r\n\r\n".encode(), until="answer")
        except ConnectionError:
            answer = b""
        assert answer == b""
        assert time.monotonic() - start < 3
        received = 0
        while piece := busy[0].recv(1 << 20):
            received += len(piece)
        assert received > len(data)
    finally:
        for connection in crowd:
            connection.close()
        node.stop()


@pytest.mark.contract("CC-4.6")
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_break_in_the_middle_goes_on_with_the_next_byte(world, ending):
    """Within the node where the origin allows it; at the latest at the client, which goes on with a range."""
    body, broken = bytes(range(256)) * 30_000, []

    def breaks(request, connection):
        first, last = request.range or (0, len(body) - 1)
        last = min(last, len(body) - 1)
        connection.head(206 if request.range else 200, content_length=last - first + 1, etag='"b"',
                        content_range=f"bytes {first}-{last}/{len(body)}" if request.range else None)
        if not broken:
            broken.append(True)
            connection.send(body[first:first + 2_500_000])
            getattr(connection, ending)()
        connection.send(body[first:last + 1])

    done = world.client().download(world.script(f"middle-{ending}", breaks))
    assert (done.state, done.content) == ("Transferred", body)


@pytest.mark.contract("CC-4.6")
def test_link_to_the_node_that_breaks_bans_nobody(world):
    data = world.files.write("link.bin", 6 * MIB)
    with Relay((world.node.address, world.node.http_port), cut_after=2_000_000) as relay:
        client = world.client(cache_host=f"127.0.0.1:{relay.port}")
        done = client.download(f"http://{HOST}/link.bin")
    assert (done.places[0], done.content) == ("cache", data)
    assert not client.is_banned(HOST)


@pytest.mark.contract("CC-4.7")
def test_ports_are_open_whatever_the_node_lacks(folder, origin):
    """Refused bans every origin: HTTPS is bound before there is a certificate, HTTP after a crash at once."""
    node = Node(folder / "bare", name="bare", origins=[origin_table(origin, hosts=[HOST])]).start()
    try:
        with socket.create_connection((node.address, node.https_port), 3):
            pass
        node.kill()
        node.start()
        data = origin.write("after.bin", 1000)
        assert node.get("/after.bin", host=HOST).body == data
    finally:
        node.stop()


@pytest.mark.contract("CC-4.7")
def test_nobody_is_refused_while_a_node_ends(folder, origin):
    """A stop waits for downloads: until the process is gone, who comes is served, or at worst closed."""
    node = Node(folder / "ending", name="ending", origins=[origin_table(origin, hosts=[HOST])],
                stop_grace="60s").start()
    large, small = origin.write("long.bin", 32 << 20), origin.write("short.bin", 5000)
    assert node.get("/short.bin", host=HOST).body == small
    process = node.program.process
    with socket.create_connection((node.address, node.http_port), 10) as running:
        running.settimeout(30)
        running.sendall(f"GET /long.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        received = len(running.recv(1 << 16))
        process.send_signal(signal.SIGTERM)

        def answer():
            return node.get("/short.bin", host=HOST)

        wait_until(lambda: answer().headers.get("connection") == "close")
        for _ in range(20):
            assert (answer().exit_code, answer().body) == (0, small)
        assert process.poll() is None
        while received < len(large):
            piece = running.recv(1 << 20)
            assert piece
            received += len(piece)
    # From here on it ends: connects succeed until it has.
    while True:
        try:
            socket.create_connection((node.address, node.http_port), 10).close()
        except ConnectionResetError:
            pass  # the kernel closes the socket at this moment
        except ConnectionRefusedError:
            break
    assert process.wait(15) == 0


@pytest.mark.contract("CC-4.8")
def test_name_of_the_node_is_not_needed_when_its_address_is_used(world, authority):
    """A name that does not resolve bans everything; addresses work, also over TLS, where no name is sent then."""
    data = world.files.write("by-address.bin", 1000)
    client = world.client(cache_host="no-such-name.invalid:80")
    assert client.download(f"http://{HOST}/by-address.bin").places == ["cache", "origin"]
    assert client.is_banned("any.other.origin")
    client = world.client(cache_host=f"127.0.0.1:{world.node.https_port}", trust=authority.root)
    assert client.download(f"https://{HOST}/by-address.bin").content == data


@pytest.mark.contract("CC-4.9")
def test_connections_are_taken_while_every_thread_has_work(world):
    """What waits in the kernel's queue looks like a dropped packet."""
    data = world.files.write("work.bin", 8 * MIB)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        busy = [pool.submit(world.client().download, f"http://{HOST}/work.bin") for _ in range(16)]
        for _ in range(20):
            start = time.monotonic()
            with socket.create_connection((world.node.address, world.node.http_port), 3):
                assert time.monotonic() - start < 3
        assert all(one.result().content == data for one in busy)


@pytest.mark.contract("CC-4.10")
def test_handshake_ends_within_three_seconds_even_without_a_certificate(folder, origin):
    node = Node(folder / "naked", name="naked", origins=[origin_table(origin, hosts=[HOST])]).start()
    try:
        start = time.monotonic()
        assert alert(node.address, node.https_port) is not None
        assert time.monotonic() - start < 3
    finally:
        node.stop()


@pytest.mark.contract("CC-4.12")
def test_node_is_no_slower_than_its_origin(world):
    """It passes on what comes when it comes: only an origin below 4000 bytes a second starves the client."""
    body = b"s" * 60_000

    def slow(request, connection):
        connection.head(200, content_length=len(body), etag='"slow"', cache_control="max-age=60")
        drip(connection, body, 20_000)

    done = world.client(rate_seconds=1.0).download(world.script("rate", slow))
    assert (done.places, done.content) == (["cache"], body)


@pytest.mark.contract("CC-4.14")
def test_6000_bytes_a_second_are_enough(world):
    body = b"6" * 24_000

    def slow(request, connection):
        connection.head(200, content_length=len(body))
        drip(connection, body, 6000)

    done = world.client(rate_seconds=2.0).download(world.script("six-thousand", slow))
    assert (done.places, done.content) == (["cache"], body)


@pytest.mark.contract("CC-4.15")
def test_certificate_that_the_client_does_not_trust_bans_nobody(world, tmp_path):
    from support.authority import Authority
    client = world.client(cache_host=f"127.0.0.1:{world.node.https_port}", trust=Authority(tmp_path / "other").root)
    done = client.download(f"https://{HOST}/x", most_attempts=1)
    assert done.attempts[0].outcome.startswith("TLS")
    assert not client.is_banned(HOST)


@pytest.mark.contract("CC-4.17")
def test_ban_ends_after_a_quarter_of_an_hour(world):
    data = world.files.write("ban.bin", 1000)
    client = world.client()
    client._cache_host, right = "127.0.0.1:9", client._cache_host
    assert client.download(f"http://{HOST}/ban.bin").places == ["cache", "origin"]
    client._cache_host = right
    client.now = 895
    assert client.download(f"http://{HOST}/ban.bin").places == ["origin"]
    client.now = 905
    done = client.download(f"http://{HOST}/ban.bin")
    assert (done.places, done.content) == (["cache"], data)


@pytest.mark.contract("CC-4.18")
def test_well_formed_requests_get_4xx_for_one_reason_only(world):
    """An origin that is not allowed. Whatever else is odd in a client's address is the origin's to judge."""
    world.files.write("odd.bin", 100)
    for target in ("/odd.bin", "//odd.bin", "/odd.bin?", "/odd.bin?&&", "/odd.bin?x=%zz", "/./odd.bin", "/odd.bin?a?b",
                   "/" + "x" * 4000, "/odd.bin?" + "y" * 4000, "/%00x", "/healthz", "/content/x"):
        separator = "&" if "?" in target else "?"
        answer = exchange(world.node, f"GET {target}{separator}cacheHostOrigin={HOST} HTTP/1.1\r\nHost: n\r\n"
                          "Connection: close\r\n\r\n".encode())
        status, fields, _ = split(answer)
        assert status in (200, 400, 404) and "fwd-status" in fields["Cache-Status"] or status == 200, (target, answer[:300])


@pytest.mark.contract("CC-4.19")
def test_while_both_sides_fail_the_node_answers_each_time_at_once(world):
    address = world.status("both-fail", 503)
    client = world.client(delay=-1)
    done = client.download(address, most_attempts=6)
    assert [attempt.status for attempt in done.attempts] == [503] * 6
    assert max(attempt.first_byte for attempt in done.attempts) < 3
    assert done.error == "0x80D02002"


@pytest.mark.contract("CC-4.20")
def test_4xx_of_the_origin_itself_ends_the_download(world):
    done = world.client().download(f"http://{HOST}/never-there.bin")
    assert [attempt.status for attempt in done.attempts] == [404, 404]
    assert (done.state, done.error) == ("Paused", "0x80190194")


@pytest.mark.contract("CC-4.21")
def test_client_with_a_delay_tries_the_node_until_the_origin_is_back(world):
    body, answers = b"d" * 1000, [503, 503, 200]

    def recovers(request, connection):
        status = answers.pop(0) if answers else 200
        connection.head(status, content_length=len(body))
        connection.send(body)

    done = world.client(delay=10).download(world.script("delayed", recovers))
    assert (done.places, done.content) == (["cache"] * 3, body)


@pytest.mark.contract("CC-4.22")
def test_client_that_may_not_fall_back_lives_by_the_nodes_answers(world):
    client = world.client(delay=-1)
    done = client.download(world.status("only-node", 503), most_attempts=4)
    assert done.places == ["cache"] * 4
    missing = world.client(delay=-1).download(f"http://{HOST}/never-there-either.bin", most_attempts=1)
    assert missing.attempts[0].status == 404


@pytest.mark.contract("CC-4.23")
def test_over_a_real_interface(folder):
    """The client falls back only where an interface other than loopback is up: node and client on two hosts."""
    network.require_root()
    link = network.Link("node", "client")
    origin = Origin(folder / "linked-origin", address=link.left_address, namespace=link.left)
    node = Node(folder / "linked", name="linked", address=link.left_address, namespace=link.left,
                origins=[origin_table(origin, hosts=[HOST])])
    try:
        origin.start()
        node.start()
        data = origin.write("linked.bin", 3 * MIB)
        output = folder / "linked.bin"
        run("/usr/bin/python3", ROOT / "tests/support/do_client.py", "--cache-host", f"{node.address}:{node.http_port}",
            "--output", output, f"http://{HOST}/linked.bin", namespace=link.right)
        assert output.read_bytes() == data
    finally:
        node.stop()
        origin.stop()
        link.remove()


@pytest.mark.contract("CC-4.11")
def test_origin_that_never_replies_is_504_before_the_client_gives_up(waits):
    client, running = waits["silent"]
    done = running.result(25)
    assert done.attempts[0].status == 504, done.attempts
    assert done.attempts[0].seconds < 20
    assert not client.is_banned("scripted.do.test")


@pytest.mark.contract("CC-4.12")
@pytest.mark.parametrize("what", ["trickles", "trickles for one"])
def test_answer_ends_before_a_slow_origin_makes_the_client_avoid_the_node(waits, what):
    """2000 bytes a second: the client goes on at the origin, and comes back to the node next time."""
    client, running = waits[what]
    done = running.result(25)
    assert done.attempts[0].outcome == "broken body", done.attempts
    assert done.attempts[0].seconds < 20 and not client.is_banned("scripted.do.test")


@pytest.mark.contract("CC-4.13")
def test_origin_that_stalls_ends_the_answer_before_the_client_gives_up(waits):
    client, running = waits["stalls"]
    done = running.result(60)
    assert done.attempts[0].outcome == "broken body", done.attempts
    assert 4_000_000 <= len(done.content) <= 5_000_000
    assert not client.is_banned("scripted.do.test")
