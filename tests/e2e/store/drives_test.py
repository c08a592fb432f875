"""Drives that are full, fail, are missing or lie: a client never sees more than a pass-through."""

import concurrent.futures
import importlib.util
import json
import os
import random
import resource
import statistics
import subprocess
import threading

import pytest
from support.failing_drive import FailingDrive
from support.larder import Node, origin_table
from support.scripted_origin import ScriptedOrigin
from support.wait import wait_until

MIB = 1 << 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
needs_fuse = pytest.mark.skipif(not os.path.exists("/dev/fuse") or importlib.util.find_spec("fusepy") is None,
                                reason="needs /dev/fuse and python3-fusepy")


def make_node(folder, origin, drives):
    return Node(folder / "node", origins=[origin_table(origin)], drives=drives)


def stat(node):
    return json.loads(node.cli("cache", "stat", "--json").stdout)


def listed(node):
    return json.loads(node.cli("cache", "list", "--json").stdout)["objects"]


def store_some(node, origin, folder):
    """The paths of eight files that are stored then, spread over the drives."""
    paths = [f"/{folder}/{i}.bin" for i in range(8)]
    for path in paths:
        origin.write(path[1:], 2 * MIB)
        node.get(path)
    node.wait_until_stored()
    return paths


def state_of(node, path):
    return next(drive["state"] for drive in stat(node)["drives"] if drive["path"] == str(path))


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(tmp_path, request):
    """A file system of its own, small, but so large that what waits to be freed is a small part of it."""
    path, image = tmp_path / "disk", tmp_path / "image"
    path.mkdir()
    if request.param == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", path]
    else:
        with open(image, "wb") as file:
            file.truncate(200 * MIB)  # less its own tables
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        mount = ["mount", "-o", "loop", image, path]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0 and request.param == "ext4":
        pytest.skip(f"this machine mounts no image: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    yield path
    subprocess.run(["umount", "--lazy", path], check=False)


@needs_root
def test_a_size_that_the_disk_has_not_evicts_as_if_the_drive_were_smaller(tmp_path, origin, small_disk):
    node = make_node(tmp_path, origin, [(small_disk, "1GB")])
    checked = node.cli("node", "check")
    assert f"warning: [[node.drive]] size: {small_disk} may take" in checked.stdout and ": OK" in checked.stdout
    node.start()
    try:
        kept = origin.write("full/kept.bin", 2 * MIB)
        node.get("/full/kept.bin")
        for i in range(80):
            expected = origin.write(f"full/{i}.bin", 6 * MIB if i % 2 else 900_000)
            for what in ("new", "again"):
                answer = node.get(f"/full/{i}.bin")
                assert answer.status == 200 and answer.body == expected, answer
            node.wait_until_stored()
            wait_until(lambda path=f"/full/{i}.bin": node.get(path).is_hit)
            answer = node.get("/full/kept.bin")
            assert answer.is_hit and answer.body == kept, (i, stat(node))
        assert stat(node)["evicted_objects"] > 5
        assert node.metric("larder_drive_failing") == 0
        assert node.metric("larder_drive_short") == 1
        assert node.metric("larder_drive_limit_bytes") < 200 * MIB
        ready = json.loads(node.admin("/readyz").body)
        assert ready["ready"] and [drive["state"] for drive in ready["drives"]] == ["short"]
        log = node.program.log.read_text()
        assert log.count("the file system gives a drive less than its size") == 1
        assert "every drive is failing" not in log
        node.kill()
        node.start()
        assert node.get("/full/kept.bin").is_hit
    finally:
        node.stop()


def used_on_disk(folder):
    """Bytes of all that is in it, as the file system counts them."""
    found = 0
    for path, _, files in os.walk(folder):
        for name in [*files, "."]:
            try:
                found += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return found


@needs_root
def test_a_small_drive_stays_nearly_full_and_never_above_its_size(tmp_path, origin, small_disk):
    """Clients ask for everything once, four at a time: what was evicted is held by the node for a moment."""
    size, count, clients = 64 * MIB, 160, 4
    node = make_node(tmp_path, origin, [(small_disk / "larder", "64MiB")]).start()
    for i in range(count):
        origin.write(f"nearly/{i}.bin", (300_000, 1_500_000, 3 * MIB)[i % 3])

    def ask(first):
        for i in range(first, count, clients):
            assert node.get(f"/nearly/{i}.bin").status == 200

    samples = []
    try:
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(ask, first) for first in range(clients)]
            while not all(one.done() for one in asking):
                facts = stat(node)
                if facts["evicted_objects"]:
                    samples.append(facts["used"])
                # Files come and go while they are counted: only what is counted twice is too much.
                assert used_on_disk(small_disk / "larder") <= size or used_on_disk(small_disk / "larder") <= size
                concurrent.futures.wait(asking, timeout=0.1)
            for one in asking:
                one.result()
        facts = stat(node)
        assert facts["evicted_bytes"] > size
        assert facts["used"] >= 0.8 * size, (facts, samples)
        assert statistics.median(samples) >= 0.8 * size, samples
    finally:
        node.stop()


@needs_root
def test_a_read_only_drive_is_told_with_the_line_that_allows_it(tmp_path, origin):
    path = tmp_path / "locked"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=100m", "tmpfs", path], check=True)
    try:
        node = make_node(tmp_path, origin, [(tmp_path / "good", "1GB"), (path / "larder", "64MiB")])
        checked = node.cli("node", "check").stdout
        assert f"ReadWritePaths={path}/larder" in checked and checked.count("warning") == 1
        node.start()
        try:
            assert f"ReadWritePaths={path}/larder" in node.program.log.read_text()
            assert json.loads(node.admin("/readyz").body)["drives"][0]["state"] == "missing"
        finally:
            node.stop()
    finally:
        subprocess.run(["umount", "--lazy", path], check=False)


@needs_root
def test_what_others_take_on_the_disk_is_given_up_and_comes_back(tmp_path, origin, small_disk):
    node = make_node(tmp_path, origin, [(small_disk, "1GB")]).start()
    try:
        for i in range(5):
            origin.write(f"others/{i}.bin", 6 * MIB)
            node.get(f"/others/{i}.bin")
            node.wait_until_stored()
            assert node.get(f"/others/{i}.bin").is_hit
        others = small_disk / "others"
        free = os.statvfs(small_disk)
        with open(others, "wb") as file:
            file.write(b"x" * (free.f_bavail * free.f_frsize - 256 * 1024))
        for i in range(10, 14):
            expected = origin.write(f"others/{i}.bin", 2 * MIB)
            assert node.get(f"/others/{i}.bin").body == expected
        wait_until(lambda: node.get("/others/13.bin").is_hit)
        assert node.metric("larder_drive_failing") == 0
        lowered = node.metric("larder_drive_limit_bytes")
        others.unlink()
        wait_until(lambda: node.metric("larder_drive_limit_bytes") > lowered, seconds=60)
    finally:
        node.stop()


@needs_root
@needs_fuse
def test_a_drive_with_io_errors_costs_nothing_but_its_bytes(tmp_path, origin):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node(tmp_path, origin, [(bad.path, "1GB")]).start()
        try:
            data = {f"/io/{i}.bin": origin.write(f"io/{i}.bin", size)
                    for i, size in enumerate((5000, 2 * MIB + 77, 100_000, 3 * MIB))}
            for path, expected in data.items():
                assert node.get(path).body == expected
            node.wait_until_stored()
            assert all(node.get(path).is_hit for path in data)

            bad.fail("write")
            for name in ("io/new1.bin", "io/new2.bin"):
                expected = origin.write(name, 2 * MIB)
                answer = node.get("/" + name)
                assert answer.status == 200 and answer.body == expected
            assert state_of(node, bad.path) == "failing"
            assert all(node.get(path).body == expected for path, expected in data.items())

            # A kill empties what the node had ready; reads then meet the drive.
            bad.work()
            node.kill()
            node.start()
            bad.fail("read", "write")
            subprocess.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"], check=False)
            for path, expected in data.items():
                answer = node.get(path)
                assert (answer.exit_code, answer.status, answer.body == expected) == (0, 200, True), path
            bad.work()
            assert all(node.get(path).body == expected for path, expected in data.items())
        finally:
            node.stop()


@needs_root
@needs_fuse
def test_a_drive_that_fails_in_the_middle_of_an_answer_is_replaced_by_the_origin(tmp_path, origin):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node(tmp_path, origin, [(bad.path, "1GB")]).start()
        try:
            data = origin.write("io/large.bin", 20 * MIB)
            assert node.get("/io/large.bin").body == data
            node.wait_until_stored()
            node.kill()
            subprocess.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"], check=False)
            node.start()
            first = node.get("/io/large.bin", "--range", f"0-{8 * MIB - 1}")
            assert first.is_hit and first.body == data[:8 * MIB]
            bad.fail("read", "write")
            answer = node.get("/io/large.bin")
            assert (answer.exit_code, answer.status, answer.body == data) == (0, 200, True)
            bad.work()
            assert node.get("/io/large.bin").body == data
        finally:
            node.stop()


def test_a_missing_drive_is_left_out_and_comes_back(tmp_path, origin):
    one, two = tmp_path / "one", tmp_path / "two"
    node = make_node(tmp_path, origin, [(one, "1GB"), (two, "1GB")]).start()
    try:
        data = {f"/many/{i}.bin": origin.write(f"many/{i}.bin", 2 * MIB) for i in range(8)}
        for path in data:
            node.get(path)
        node.wait_until_stored()
        assert all(node.get(path).is_hit for path in data)
        node.kill()
        one.rename(tmp_path / "away")
        one.write_text("not a folder")
        node.start()
        assert [state_of(node, path) for path in (one, two)] == ["missing", "good"]
        assert node.metric("larder_drive_missing") == 1
        verified = node.cli("cache", "verify", check=False)
        assert verified.returncode == 1 and f"missing: the drive {one}" in verified.stdout
        assert all(node.get(path).body == expected for path, expected in data.items())
        node.cli("cache", "purge", "--prefix", "http://packages.test/many/0")
        node.kill()
        one.unlink()
        (tmp_path / "away").rename(one)
        node.start()
        assert state_of(node, one) == "good"
        assert not node.get("/many/0.bin").is_hit, "a purge holds for a drive that was away"
        assert all(node.get(path).body == expected for path, expected in data.items())
    finally:
        node.stop()


def test_a_limit_on_the_size_of_files_keeps_nothing_from_clients(tmp_path, origin):
    node = make_node(tmp_path, origin, [(tmp_path / "drive", "1GB")]).start()
    try:
        resource.prlimit(node.program.pid, resource.RLIMIT_FSIZE, (10 * MIB, 10 * MIB))
        data = origin.write("limited/large.bin", 20 * MIB)
        small = origin.write("limited/small.bin", 1000)
        assert node.get("/limited/large.bin").body == data
        assert node.get("/limited/small.bin").body == small
        assert node.get("/limited/large.bin").body == data
    finally:
        node.stop()


@needs_root
def test_a_drive_that_is_not_mounted_is_missing_and_its_mount_point_stays_empty(tmp_path, origin):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", disk]
    subprocess.run(mount, check=True)
    drives = [(disk / "cache", "150MB"), (tmp_path / "two", "150MB")]
    node = make_node(tmp_path, origin, drives).start()
    numbers = iter(range(1000))

    def serve_some():
        for _ in range(8):
            path = f"mounts/{next(numbers)}.bin"
            data = origin.write(path, 2 * MIB)
            assert node.get(f"/{path}").body == data
        node.wait_until_stored()

    try:
        serve_some()
        subprocess.run(["umount", "--lazy", disk], check=True)
        serve_some()
        wait_until(lambda: state_of(node, disk / "cache") == "missing", 60)
        serve_some()
        assert list(disk.iterdir()) == [], "while it runs"
        node.stop()
        assert "is not mounted now" in node.cli("node", "check").stdout
        node.start()
        assert [state_of(node, path) for path, _ in drives] == ["missing", "good"]
        serve_some()
        assert list(disk.iterdir()) == [], "after a start"
        node.stop()
        subprocess.run(mount, check=True)
        node.start()
        assert [state_of(node, path) for path, _ in drives] == ["good", "good"]
        node.stop()
        subprocess.run(["umount", disk], check=True)
        (node.folder / "state" / "drives.json").unlink()
        node.start()
        assert [state_of(node, path) for path, _ in drives] == ["good", "good"], "it is to begin anew"
        serve_some()
    finally:
        node.stop()
        subprocess.run(["umount", "--lazy", disk], check=False, stderr=subprocess.DEVNULL)


def test_without_any_drive_everything_is_passed_through(tmp_path, origin):
    (tmp_path / "file").write_text("not a folder")
    node = make_node(tmp_path, origin, [(tmp_path / "file", "1GB")]).start()
    try:
        expected = origin.write("none.bin", 2 * MIB + 5)
        for _ in range(2):
            answer = node.get("/none.bin")
            assert answer.status == 200 and answer.body == expected and not answer.is_hit
        assert node.get("/none.bin", "--range", "5-9").body == expected[5:10]
    finally:
        node.stop()


def test_a_purge_of_a_url_holds_for_a_drive_that_was_missing(tmp_path, origin):
    one, two = tmp_path / "one", tmp_path / "two"
    node = make_node(tmp_path, origin, [(one, "1GB"), (two, "1GB")]).start()
    try:
        paths = store_some(node, origin, "was")
        away = [item["url"] for item in listed(node) if item["drive"] == str(one)]
        assert 2 < len(away) < 6
        node.stop()
        one.rename(tmp_path / "away")
        one.write_text("not a folder")
        node.start()
        renewed, gone = (url.removeprefix("http://packages.test") for url in away[:2])
        node.get(renewed)
        node.wait_until_stored()
        assert "; drives that are away or failing follow" in node.cli("cache", "purge", away[0]).stdout
        assert "purged on the others, too" in node.cli("cache", "purge", away[1]).stdout
        node.kill()
        one.unlink()
        (tmp_path / "away").rename(one)
        node.start()
        assert [node.get(path).is_hit for path in paths] == [path not in (renewed, gone) for path in paths]
        wait_until(lambda: node.metric("larder_cache_purges_pending") == 0)
    finally:
        node.stop()


@needs_root
@needs_fuse
def test_a_drive_whose_folders_cannot_be_listed_serves_what_it_holds(tmp_path, origin):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node(tmp_path, origin, [(bad.path, "1GB")]).start()
        try:
            data = origin.write("list/large.bin", 2 * MIB)
            node.get("/list/large.bin")
            node.wait_until_stored()
            node.stop()
            bad.fail("list")
            node.start()
            assert state_of(node, bad.path) == "failing"
            answer = node.get("/list/large.bin")
            assert answer.is_hit and answer.body == data
            bad.work()
            wait_until(lambda: state_of(node, bad.path) == "good", 60)
        finally:
            node.stop()


@needs_root
@needs_fuse
def test_a_purge_holds_for_a_drive_that_does_not_take_it(tmp_path, origin):
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node(tmp_path, origin, [(bad.path, "1GB"), (tmp_path / "two", "1GB")]).start()
        try:
            for i in range(12):
                origin.write(f"bad/{i}.bin", 2 * MIB if i % 2 else 3000)
                node.get(f"/bad/{i}.bin")
            node.wait_until_stored()
            on_bad = [item["url"] for item in listed(node) if item["drive"] == str(bad.path)]
            assert len(on_bad) > 2
            bad.fail("write")
            for url in on_bad:
                node.cli("cache", "purge", url)
            node.kill()
            bad.work()
            node.start()
            assert not any(node.get(url.removeprefix("http://packages.test")).is_hit for url in on_bad)
            wait_until(lambda: node.metric("larder_cache_purges_pending") == 0)
        finally:
            node.stop()


@needs_root
@needs_fuse
@pytest.mark.parametrize("has_another", [True, False], ids=["two drives", "the only drive"])
def test_a_drive_that_does_not_answer_holds_nobody_up(tmp_path, origin, has_another):
    with FailingDrive(tmp_path / "bad") as bad:
        drives = [(bad.path, "1GB"), (tmp_path / "two", "1GB")]
        node = make_node(tmp_path, origin, drives if has_another else drives[:1]).start()
        try:
            files = {f"/hang/{i}.bin": origin.write(f"hang/{i}.bin", (2 * MIB + i, 3000, 9 * MIB)[i % 3]) for i in range(18)}
            for path in files:
                node.get(path)
            node.wait_until_stored()
            on_bad = [item["url"].removeprefix("http://packages.test") for item in listed(node)
                      if item["drive"] == str(bad.path)]
            assert len(on_bad) > 4
            node.stop()
            node.start()
            opened = list(files)[::2]
            for path in opened:
                assert node.get(path, "--head").is_hit  # nothing of its body is read
            bad.forget_pages()
            bad.hang()
            with concurrent.futures.ThreadPoolExecutor(24) as clients:
                answers = list(clients.map(lambda path: node.get(path, "--max-time", "19"), [*files, *on_bad]))
            for path, answer in zip([*files, *on_bad], answers):
                assert answer.status == 200 and answer.body == files[path], (path, answer)
            assert state_of(node, bad.path) == "failing"
            wait_until(lambda: "does not answer" in str(node.admin("/readyz").body))
            new = origin.write("hang/new.bin", 3 * MIB)
            for _ in range(3):
                answer = node.get("/hang/new.bin", "--max-time", "10")
                assert answer.status == 200 and answer.body == new
            assert answer.is_hit is has_another
            for path in files:
                answer = node.get(path, "--max-time", "10")
                assert answer.status == 200 and answer.body == files[path]
                assert answer.is_hit or not has_another
            if not has_another:
                verified = node.cli("cache", "verify", check=False)
                assert verified.returncode == 1 and "because their drive does not answer" in verified.stdout
            if has_another:
                assert node.cli("cache", "purge", f"http://packages.test{on_bad[0]}").stdout.startswith("purged")
            bad.work()
            wait_until(lambda: state_of(node, bad.path) == "good")
            node.kill()
            node.start()
            for path in files:
                answer = node.get(path)
                assert answer.body == files[path]
                # What was open and asked for meanwhile was given up, for another drive where there is one.
                assert answer.is_hit is not (path == on_bad[0]) if has_another else answer.is_hit or path in opened
        finally:
            bad.work()
            node.stop()


@needs_root
@needs_fuse
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_what_is_on_its_way_to_a_drive_that_stops_to_answer_arrives(tmp_path, length):
    body = random.Random(7).randbytes(24 * MIB)
    began, may_go_on = threading.Event(), threading.Event()

    def pieces():
        for at in range(0, len(body), MIB):
            if at == 8 * MIB:
                began.set()
                may_go_on.wait(30)
            piece = body[at:at + MIB]
            yield piece if length == "known" else b"%x\r\n%s\r\n" % (len(piece), piece)
        if length == "unknown":
            yield b"0\r\n\r\n"

    framing = ("Content-Length", str(len(body))) if length == "known" else ("Transfer-Encoding", "chunked")
    fields = [framing, ("ETag", '"1"'), ("Cache-Control", "max-age=600")]
    origin = ScriptedOrigin(lambda seen: (200, fields, pieces())).start()
    with FailingDrive(tmp_path / "bad") as bad:
        node = make_node(tmp_path, origin, [(bad.path, "1GB")]).start()
        try:
            with concurrent.futures.ThreadPoolExecutor(4) as clients:
                answers = [clients.submit(node.get, "/way.bin", "--max-time", "60") for _ in range(4)]
                assert began.wait(30)
                bad.hang()
                may_go_on.set()
                assert all(answer.result().body == body for answer in answers)
            assert node.get("/way.bin", "--max-time", "60").body == body
        finally:
            bad.work()
            node.stop()
            origin.stop()


def test_a_drive_that_was_out_of_the_settings_brings_nothing_purged_back(tmp_path, origin):
    one, two = tmp_path / "one", tmp_path / "two"
    node = make_node(tmp_path, origin, [(one, "1GB"), (two, "1GB")]).start()
    try:
        paths = store_some(node, origin, "out")
        node.stop()
        both = node.config.read_text()
        drives = both.split("[[node.drive]]")
        node.config.write_text("[[node.drive]]".join(part for part in drives if f'path = "{one}"' not in part))
        node.start()
        assert [drive["path"] for drive in stat(node)["drives"]] == [str(two)]
        node.cli("cache", "purge", "--prefix", "http://packages.test/out/")
        wait_until(lambda: node.metric("larder_cache_purges_pending") == 0)
        node.stop()
        node.config.write_text(both)
        node.start()
        assert not any(node.get(path).is_hit for path in paths)
    finally:
        node.stop()
