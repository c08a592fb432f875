"""Settings that change while a node serves: all of a file or nothing, and no connection is dropped."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import threading

import pytest

from support.bad_origin import Thing
from support.larder import Node, origin_table
from support.misbehaving_origin import MisbehavingOrigin
from support.ports import free_port
from support.program import accepts
from support.wait import wait_until


@pytest.fixture()
def own_node(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
    yield node
    node.stop()


def edit(node, pattern, replacement):
    text, count = re.subn(pattern, replacement, node.config.read_text(), flags=re.M)
    assert count, pattern
    node.config.write_text(text)


def reload(node, check=True):
    return node.cli("node", "reload", "--json", check=check)


def readiness(node):
    return json.loads(node.admin("/readyz").body)


def test_new_origin_and_limit_are_in_force_and_named(own_node, origin):
    origin.write("added.bin", 100)
    assert own_node.get("/fresh/added.bin", host="added.test").status == 403
    edit(own_node, r'hosts = \["packages.test"\]', 'hosts = ["packages.test", "added.test"]')
    edit(own_node, r"^\[node\]$", '[node]\nidle_timeout = "30s"\nthreads = 3')
    report = json.loads(reload(own_node).stdout)
    assert set(report["changed"]) == {"[node] idle_timeout", "[[origin]] packages"}
    assert report["needs_restart"] == ["[node] threads"]
    assert own_node.get("/fresh/added.bin", host="added.test").status == 200
    assert readiness(own_node)["needs_restart"] == ["[node] threads"]
    assert own_node.metric("larder_settings_needing_restart") == 1


@pytest.mark.parametrize("wrong", ['idle_timeout = "soon"', "no_such_setting = 1", "client_rate_limit = 10"])
def test_wrong_file_is_refused_whole(own_node, origin, wrong):
    good = own_node.config.read_text()
    edit(own_node, r"^\[node\]$", f"[node]\nmax_connections = 17\n{wrong}")
    edit(own_node, r'hosts = \["packages.test"\]', 'hosts = ["other.test"]')
    own_node.program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: readiness(own_node)["settings"] == "refused")
    assert readiness(own_node)["ready"] is True
    assert own_node.metric("larder_settings_refused") == 1
    assert "larder.toml:" in own_node.program.log.read_text()
    origin.write("kept.bin", 100)
    assert own_node.get("/fresh/kept.bin").status == 200
    own_node.config.write_text(good)
    own_node.program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: readiness(own_node)["settings"] == "in force")
    assert own_node.metric("larder_settings_refused") == 0


def test_listener_comes_and_goes_while_its_connections_are_served(own_node, origin):
    body = origin.write("listened.bin", 1000)
    client = http.client.HTTPConnection("127.0.0.1", own_node.http_port, timeout=20)
    client.request("GET", "/fresh/listened.bin", headers={"Host": "packages.test"})
    assert client.getresponse().read() == body
    old, new = own_node.http_port, free_port()
    edit(own_node, rf'http_listen = .*', f'http_listen = ["127.0.0.1:{new}"]')
    report = json.loads(reload(own_node).stdout)
    assert report["changed"] == ["[node] http_listen"]
    own_node.http_port = new
    assert own_node.get("/fresh/listened.bin").body == body
    wait_until(lambda: not accepts(old))
    client.request("GET", "/fresh/listened.bin", headers={"Host": "packages.test"})
    assert client.getresponse().read() == body


def test_address_that_is_taken_refuses_the_file(own_node, origin):
    origin.write("a.bin", 10)
    edit(own_node, r'http_listen = .*', f'http_listen = ["127.0.0.1:{origin.port}"]')
    done = reload(own_node, check=False)
    assert done.returncode == 1 and "cannot bind" in done.stderr
    assert own_node.get("/fresh/a.bin").status == 200


def test_wildcard_address_gives_way_to_one_on_the_same_port(own_node, origin):
    body = origin.write("b.bin", 10)
    for address in ("0.0.0.0", "127.0.0.1"):
        edit(own_node, r'http_listen = .*', f'http_listen = ["{address}:{own_node.http_port}"]')
        reload(own_node)
        assert own_node.get("/fresh/b.bin").body == body


def test_no_request_fails_during_many_reloads(own_node, origin):
    body = origin.write("busy.bin", 200_000)
    own_node.get("/fresh/busy.bin")
    ended = threading.Event()
    failures, answers = [], []

    def load(keep_alive):
        client = None
        while not ended.is_set():
            try:
                client = client or http.client.HTTPConnection("127.0.0.1", own_node.http_port, timeout=20)
                client.request("GET", "/fresh/busy.bin", headers={"Host": "packages.test"})
                answer = client.getresponse()
                if answer.status != 200 or answer.read() != body:
                    failures.append(answer.status)
                answers.append(1)
                if not keep_alive:
                    client.close()
                    client = None
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
                client = None

    threads = [threading.Thread(target=load, args=(index % 2 == 0,)) for index in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(20):
            edit(own_node, r"^\[node\]$(\nidle_timeout.*)?", f'[node]\nidle_timeout = "{30 + turn}s"')
            before = own_node.metric("larder_settings_reloads_total")
            own_node.program.process.send_signal(signal.SIGHUP)
            wait_until(lambda: own_node.metric("larder_settings_reloads_total") > before)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures and len(answers) > 20
    # Nothing piles up: threads and open files are what they were.
    assert len(os.listdir(f"/proc/{own_node.program.pid}/fd")) < 200


def test_download_that_runs_goes_on_where_its_origin_is_taken_out(tmp_path):
    thing, go_on = Thing(64 << 20), threading.Event()

    def script(request, connection):
        part = thing.begin(request, connection)
        connection.send(part[:1000])
        go_on.wait(30)
        connection.send(part[1000:])
    with MisbehavingOrigin() as origin:
        origin.scripts["/runs"] = script
        node = Node(tmp_path / "node", origins=[origin_table(origin)]).start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(node.get, "/runs", "--range", f"0-{len(thing.data) - 1}")
            wait_until(lambda: origin.of("/runs"))
            edit(node, r'hosts = \["packages.test"\]', 'hosts = ["other.test"]')
            reload(node)
            assert node.get("/runs").status == 403
            go_on.set()
            answer = running.result()
        node.stop()
    assert (answer.status, answer.exit_code) == (206, 0) and answer.body == thing.data


def test_access_log_moves_to_another_file_and_is_reopened(own_node, origin):
    origin.write("logged.bin", 10)
    log = own_node.folder / "elsewhere.log"
    edit(own_node, r"^\[node\]$", f'[node]\naccess_log = "{log}"')
    reload(own_node)
    own_node.get("/fresh/logged.bin?first")
    wait_until(lambda: "/fresh/logged.bin" in log.read_text())
    moved = log.with_suffix(".1")
    log.rename(moved)
    own_node.program.process.send_signal(signal.SIGUSR1)
    wait_until(log.exists)
    own_node.get("/fresh/logged.bin")
    wait_until(lambda: "/fresh/logged.bin" in log.read_text())
    assert moved.read_text().count("/fresh/logged.bin") == 1


def test_event_log_becomes_json(own_node):
    edit(own_node, r"^\[node\]$", "[node]\nlog_json = true")
    reload(own_node)
    reload(own_node)
    last = own_node.program.log.read_text().splitlines()[-1]
    assert json.loads(last)["event"] == "settings are in force"
