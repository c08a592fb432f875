"""What the program says at a terminal: usage, mistakes in settings, secrets."""

import os
import shutil
import subprocess

import pytest

from support.larder import PROGRAM, larder
from support.program import ROOT, run

EXAMPLE = ROOT / "packaging/larder.toml"


def test_exit_codes(tmp_path):
    assert larder("--version").stdout.startswith("larder ")
    assert larder("--help").returncode == 0
    assert larder(check=False).returncode == 2
    assert larder("node", check=False).returncode == 2
    assert larder("token", "create-join", check=False).returncode == 2
    assert larder("node", "check", "--config", tmp_path / "absent.toml", check=False).returncode == 1


def test_check_shows_every_mistake_with_its_line(tmp_path):
    file = tmp_path / "larder.toml"
    file.write_text('[node]\nname = "n1"\nhttp_listn = []\nidle_timeout = 5\n\n[[origin]]\nname = "o"\n'
                    'hosts = ["*.example.org"]\nallow_addresses = ["10.0.0.0/8"]\n')
    done = larder("node", "check", "--config", file, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:3", f"{file}:4", f"{file}:6"]
    assert 'did you mean "http_listen"?' in lines[0]


def test_example_settings_are_good():
    assert "OK" in larder("node", "check", "--config", EXAMPLE).stdout


def test_example_site_settings_are_good(tmp_path):
    """The commented [site] table of the example, with its comment signs taken away."""
    text = EXAMPLE.read_text()
    table = text[text.index("# [site]"):]
    file = tmp_path / "larder.toml"
    file.write_text("\n".join(line.removeprefix("# ") for line in table.splitlines()) + "\n")
    assert "OK" in larder("site", "check", "--config", file).stdout


def test_settings_come_from_the_environment_when_not_named():
    done = larder("node", "check", environment={"LARDER_CONFIG": str(EXAMPLE)})
    assert str(EXAMPLE) in done.stdout


def test_verbs_say_what_to_do_when_nothing_runs(tmp_path):
    file = tmp_path / "larder.toml"
    file.write_text(f'[node]\nname = "n1"\nstate_dir = "{tmp_path}/state"\n')
    done = larder("node", "status", "--config", file, check=False)
    assert done.returncode == 1
    assert f"{tmp_path}/state/control.sock" in done.stderr
    assert "Next: is it running" in done.stderr


def test_tokens_are_no_arguments(tmp_path):
    file = tmp_path / "larder.toml"
    file.write_text('[node]\nname = "n1"\n')
    assert larder("node", "join", "--config", file, "larder-join.abc", check=False).returncode == 2
    assert larder("node", "join", "--config", file, "--token", "larder-join.abc", check=False).returncode == 2


@pytest.mark.parametrize("role", ["node", "site"])
def test_units_are_well_formed_and_hardened(role, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    # verify wants to find the program.
    unit = tmp_path / f"larder-{role}.service"
    unit.write_text((ROOT / f"packaging/systemd/larder-{role}.service").read_text()
                    .replace("/usr/bin/larder", str(PROGRAM)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    assert unit.name not in done.stderr, done.stderr
    assert_is_hardened(unit)


def assert_is_hardened(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_units_that_fill_the_cache_fit_together(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    timer, service, node = (tmp_path / f"larder-{name}" for name in ("prefetch.timer", "prefetch.service", "node.service"))
    for unit in (timer, service, node):
        unit.write_text((ROOT / "packaging/systemd" / unit.name).read_text().replace("/usr/bin/larder", str(PROGRAM)))
    done = subprocess.run(["systemd-analyze", "verify", timer, service], capture_output=True, text=True, check=False,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    assert "larder-prefetch" not in done.stderr, done.stderr
    assert_is_hardened(service)


def test_units_of_the_signing_socket_fit_together(tmp_path):
    """The socket finds its service, the service's command is one that this program understands."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    units = [tmp_path / "larder-signer.socket", tmp_path / "larder-signer@.service"]
    for unit in units:
        unit.write_text((ROOT / "packaging/systemd" / unit.name).read_text().replace("/usr/bin/larder", str(PROGRAM)))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    assert "larder-signer" not in done.stderr, done.stderr
    assert_is_hardened(units[1])
    command = next(line for line in units[1].read_text().splitlines() if line.startswith("ExecStart="))
    done = run(*command.removeprefix("ExecStart=").split(), check=False)
    assert done.returncode == 1 and "unix socket" in done.stderr, done.stderr
    assert "--timeout 3600 " in command, "what the node may give is not cut"
