"""Origins that are slow, and well: however little comes, it is passed on as long as it comes."""

import concurrent.futures
import time

import pytest
from support.wait import wait_until

RATE, SECONDS = 500, 22  # longer than silence is borne
BODY = bytes(range(250)) * (RATE * SECONDS // 250)


def trickle(transfer_encoding=None, **fields):
    def script(request, connection):
        length = None if transfer_encoding else len(BODY)
        connection.head(200, transfer_encoding=transfer_encoding, content_length=length, **fields)
        for at in range(0, len(BODY), RATE // 2):
            part = BODY[at:at + RATE // 2]
            connection.send(b"%x\r\n" % len(part) + part + b"\r\n" if transfer_encoding else part)
            time.sleep(0.5)
        if transfer_encoding:
            connection.send(b"0\r\n\r\n")
    return script


@pytest.fixture(scope="module")
def answers(bad_node, bad_origin):
    """All at once: each takes its time."""
    scripts = {"/trickle": trickle(cache_control="max-age=3600", etag='"one"'),
               "/trickle-chunked": trickle("chunked", cache_control="max-age=3600"),
               "/trickle-passed": trickle(cache_control="no-store"),
               "/trickle-passed-chunked": trickle("chunked", cache_control="no-store")}
    bad_origin.scripts.update(scripts)
    with concurrent.futures.ThreadPoolExecutor(len(scripts)) as pool:
        return dict(zip(scripts, pool.map(bad_node.get, scripts)))


@pytest.mark.parametrize("path", ["/trickle", "/trickle-chunked", "/trickle-passed", "/trickle-passed-chunked"])
def test_slow_answer_comes_to_its_end(answers, bad_node, bad_origin, path):
    answer = answers[path]
    assert answer.exit_code == 0 and answer.status == 200 and answer.body == BODY
    assert len(bad_origin.of(path)) == 1
    if "passed" not in path:
        wait_until(lambda: bad_node.get(path).is_hit)
