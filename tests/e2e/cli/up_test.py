"""`larder up`: the first five minutes."""

import json
import socket

import pytest

from support.curl import curl
from support.larder import PROGRAM, larder
from support.ports import free_ports
from support.program import Program, run


@pytest.fixture
def base():
    return free_ports(376, offsets=(0, 10, 363, 365, 373, 374, 375))


def test_up_starts_joins_and_starts_again(tmp_path, base):
    folder = tmp_path / "data"
    program = Program([PROGRAM, "up", "--dir", folder, "--port-base", base], tmp_path / "up.log")
    program.start()
    try:
        program.wait_for(lambda: "Try next" in program.log.read_text(), what="up")
        config = folder / "larder.toml"
        assert curl(f"http://127.0.0.1:{base + 10}/readyz").status == 200
        assert curl(f"http://127.0.0.1:{base + 374}/").status == 200
        assert "did not join" not in program.log.read_text()
        program.wait_for(lambda: [node["name"] for node in
                                  json.loads(larder("node", "list", "--json", "--config", config).stdout)["nodes"]]
                         == ["node1"],
                         what="node in the site's list")
        assert program.stop() == 0
        config.write_text(config.read_text() + "\n# mine\n")
        program.start()
        program.wait_for(lambda: program.log.read_text().count("Try next") == 2, what="up again")
        assert config.read_text().endswith("# mine\n")
    finally:
        program.stop()


def test_up_says_which_port_is_taken(tmp_path, base):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", base))
        taken.listen()
        done = run(PROGRAM, "up", "--dir", tmp_path / "data", "--port-base", base, check=False)
    assert done.returncode == 1
    assert str(base) in done.stderr
