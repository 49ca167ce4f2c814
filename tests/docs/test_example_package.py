"""The package in docs/examples is installed as its page says, and does what it says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from taskapi.schedules.actions import registry
from taskapi.schedules.actions.loading import load_plugins
from tests.e2e.installation import REPOSITORY
from tests.people import Person
from tests.work import run_jobs

PACKAGE = REPOSITORY / "docs" / "examples" / "taskapi-disk-space"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip put it, without asking any network."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, str(PACKAGE)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target


@pytest.fixture
def loaded(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(installed))
    load_plugins()
    yield
    registry.unregister("disk_space")


def run_of_it(app: Flask, owner: Person, **params: Any) -> Any:
    """Run the schedule that the page shows, with other params."""
    (shown,) = re.findall(r"```json\n(.*?)```", (PACKAGE / "README.md").read_text(), flags=re.DOTALL)
    schedule = json.loads(shown)
    created = owner.post("/api/schedules", schedule | {"params": schedule["params"] | params})
    assert created.status_code == 201, created.text
    run = owner.post(f"/api/schedules/{created.json['id']}/run").json
    run_jobs(app)
    return owner.get(f"/api/runs/{run['id']}").json


def test_its_action_runs_through_a_schedule(app: Flask, owner: Person, loaded: None) -> None:
    run = run_of_it(app, owner, free_percent=0)
    assert run["status"] == "completed"
    assert 0 <= run["result"]["free_percent"] <= 100


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [({"free_percent": 100}, "pending", "disk_full"), ({"path": "/no/where"}, "failed", "no_such_disk")],
)
def test_its_failures_say_why(
    app: Flask, owner: Person, loaded: None, params: dict[str, Any], status: str, code: str
) -> None:
    run = run_of_it(app, owner, **params)
    assert (run["status"], run["error"]["code"]) == (status, code)


def test_it_refuses_what_it_cannot_watch(app: Flask, owner: Person, loaded: None) -> None:
    body = {"action": "disk_space", "params": {"path": "var"}, "every": 3600}
    answer = owner.post("/api/schedules", body)
    assert (answer.status_code, answer.json["errors"]) == (422, {"params.path": ["Send an absolute path."]})


def test_the_service_finds_it_at_its_start(installed: Path, tmp_path: Path) -> None:
    program = (
        "from taskapi.app import create_app; from taskapi.schedules.actions import registry;"
        "create_app(); print(registry.find('disk_space').summary)"
    )
    environment = {"PYTHONPATH": str(installed), "DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "Watches the free space of a disk"
