"""The units of systemd."""

import os
import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from taskapi.ops import gunicorn_settings
from tests.deployment.reading import BIN, REPOSITORY, commands

FOLDER = REPOSITORY / "deploy/systemd"
UNITS = sorted(path.name for path in FOLDER.iterdir() if path.is_file())
SERVICES = [name for name in UNITS if name.endswith(".service")]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")


def unit(name: str) -> RawConfigParser:
    # A setting may stand twice; what the tests look at does not.
    parser = RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(FOLDER / name)
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be installed, with programs that exist here."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    for name in SERVICES:
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/taskapi/bin/", f"{BIN}/"))
    return tmp_path


def analyze(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{folder}:"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@needs_systemd
def test_systemd_understands_every_line(installed: Path) -> None:
    assert analyze(installed, "verify", "--man=no", *UNITS) == ""


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_exposed_to_little(installed: Path, name: str) -> None:
    # 0 is nothing, 10 everything; a service without restrictions has 9.6.
    found = re.search(r"level for \S+: ([\d.]+)", analyze(installed, "security", "--offline=true", name))
    assert found
    assert float(found[1]) <= 2.0


def test_the_time_of_the_boot_can_be_read_for_the_figures_of_processes() -> None:
    # ProcSubset=pid would hide /proc/stat.
    assert unit("taskapi-.service.d/common.conf")["Service"].get("ProcSubset", "all") == "all"


def test_they_run_the_commands_of_the_procfile() -> None:
    started = {
        name.removeprefix("taskapi-").rstrip("@"): unit(f"{name}.service")["Service"]["ExecStart"]
        for name in ("taskapi-web", "taskapi-worker@", "taskapi-scheduler", "taskapi-migrate")
    }
    # Where there is no checkout, the application is that of the package.
    expected = {}
    for name, command in commands().items():
        installed = command.replace("flask", "taskapi", 1).replace("wsgi:app", "taskapi.wsgi:app")
        expected[name] = f"/opt/taskapi/bin/{installed}"
    expected["migrate"] = expected.pop("release")
    assert started == expected


def test_the_target_starts_each_of_them() -> None:
    wanted = unit("taskapi.target")["Unit"]["Wants"].split()
    assert {re.sub(r"@\d+", "@", name) for name in wanted} == set(SERVICES) - {"taskapi-migrate.service"}
    for name in set(SERVICES) - {"taskapi-migrate.service"}:
        assert "taskapi-migrate.service" in unit(name)["Unit"]["Wants"].split()
        assert "taskapi-migrate.service" in unit(name)["Unit"]["After"].split()


def test_who_is_stopped_has_time_to_end_what_it_does() -> None:
    assert int(unit("taskapi-web.service")["Service"]["TimeoutStopSec"]) > gunicorn_settings.graceful_timeout
    assert unit("taskapi-worker@.service")["Service"]["TimeoutStopSec"] == "6min"
