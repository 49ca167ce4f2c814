"""Starting: what a process loads before anybody needs it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from flask import Flask

REPOSITORY = Path(__file__).parents[2]
# Each takes longer to load than a room of ours, and most processes never use it.
LATE = (
    *("alembic", "flask_migrate", "icalendar", "markdown_it", "nh3", "xlsxwriter", "openpyxl"),
    *("prometheus_client", "puremagic", "boto3", "botocore", "zxcvbn", "rq_dashboard", "flask_cors"),
)
START = """
import sys
from taskapi.app import create_app

create_app()
print(*sorted(set(sys.modules) & set(sys.argv[1:])))
"""


# Which of these are loaded by whoever runs the command in the arguments.
COMMAND = """
import sys
from taskapi.wsgi import app

ours = sorted(name for name in sys.modules if name.startswith("taskapi."))
print(*(name for name in ours if name.endswith(("views", "cli"))))
print(sorted(app.blueprints))
"""


def told(code: str, arguments: Sequence[str], folder: Path) -> str:
    """What a new process says that runs this code."""
    environment = {"DATA_DIR": str(folder), "SECRET_KEY": "a secret for tests that is long enough"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_what_few_processes_use_is_not_loaded_at_the_start(tmp_path: Path) -> None:
    assert told(START, LATE, tmp_path).split() == []


@pytest.mark.one_database
@pytest.mark.parametrize("command", ["admin", "db", "scheduler", "worker"])
def test_who_answers_no_requests_loads_no_endpoints(tmp_path: Path, command: str) -> None:
    modules, blueprints = told(COMMAND, [command], tmp_path).splitlines()
    assert modules.split() == ["taskapi.cli", "taskapi.ops.cli"]
    assert blueprints == "[]"


@pytest.mark.one_database
@pytest.mark.parametrize("arguments", [[], ["run"], ["-c", "worker"]])
def test_everybody_else_has_them_and_no_commands_of_rooms(tmp_path: Path, arguments: list[str]) -> None:
    modules, blueprints = told(COMMAND, arguments, tmp_path).splitlines()
    assert "taskapi.tasks.views" in modules.split()
    assert "taskapi.tasks.cli" not in modules.split()
    assert "tasks" in blueprints


@pytest.mark.one_database
def test_the_document_is_written_when_it_is_asked_for_and_once(app: Flask) -> None:
    api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    api.spec = None
    first = app.test_client().get("/openapi.json").json
    written = api.spec
    assert app.test_client().get("/openapi.json").json == first
    assert api.spec is written
    assert first is not None
    assert len(first["paths"]) > 50


@pytest.mark.one_database
def test_a_document_that_could_not_be_written_is_tried_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    api.spec = None
    with monkeypatch.context() as patched:
        patched.setattr("taskapi.core.api.list_problem_codes", lambda _spec: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            _ = api.spec
    assert "Problem" in api.spec.to_dict()["components"]["schemas"]


@pytest.mark.one_database
def test_a_path_can_be_built_though_nobody_linked_to_it_before(app: Flask) -> None:
    with app.test_request_context():
        assert app.url_for("api-docs.openapi_json") == "/openapi.json"
        assert app.url_for("api-docs.openapi_json", a="b") == "/openapi.json?a=b"
