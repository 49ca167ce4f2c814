"""What the operator is told once the service answers."""

import io
import os
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from taskapi.config import load_settings
from taskapi.ops.output import Output
from taskapi.ops.welcome import Welcome, answers_health, describe_service
from tests.e2e.conftest import free_port


def describe(tmp_path: Path, **values: str) -> str:
    return describe_service(load_settings({"DATA_DIR": str(tmp_path), **values}))


def test_a_bare_machine_is_described(tmp_path: Path) -> None:
    text = describe(tmp_path, PORT="81")
    assert "taskapi is ready at http://127.0.0.1:81\n" in text
    assert f"{tmp_path} (SQLite, embedded Redis)\n" in text
    assert f"written to {tmp_path}/mail/*.eml\n" in text


def test_the_command_of_this_environment_is_named_as_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLASK_APP", raising=False)
    ours = Path(sys.executable).parent
    (tmp_path / "wsgi.py").touch()
    for path, folder, typed in (
        (str(ours), tmp_path, "flask"),
        (str(ours), ours, "taskapi"),
        (os.defpath, tmp_path, f"{ours}/flask"),
        (os.defpath, ours.parent, "bin/taskapi"),
    ):
        monkeypatch.setenv("PATH", path)
        monkeypatch.chdir(folder)
        assert f"  {typed} admin users create --admin you@example.org\n" in describe(tmp_path)


def test_no_password_is_shown(tmp_path: Path) -> None:
    text = describe(
        tmp_path,
        DATABASE_URL="postgres://me:hush@db.example.org/tasks",
        REDIS_URL="redis://:hush@cache:6379/1",
    )
    assert "(postgresql://db.example.org/tasks, redis://cache:6379/1)" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"MAIL_SERVER": "mx", "MAIL_PORT": "26"}, "mx:26"),
        ({"SENDGRID_API_KEY": "hush"}, "SendGrid"),
        ({"SENDGRID_API_KEY": "hush", "MAIL_SERVER": "mx"}, "SendGrid, else mx:25"),
    ],
)
def test_the_way_of_the_mail_is_told(tmp_path: Path, values: dict[str, str], expected: str) -> None:
    assert f" {expected}\n" in describe(tmp_path, **values)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_only_a_good_answer_counts(httpserver: HTTPServer, status: int, healthy: bool) -> None:
    httpserver.expect_request("/health").respond_with_data("", status=status)
    assert answers_health(httpserver.host, httpserver.port) is healthy


def test_it_greets_once_the_service_answers(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_data("")
    stream = io.StringIO()
    output = Output(stream, ["up"])
    quiet = Welcome(load_settings({"DATA_DIR": str(tmp_path), "PORT": str(free_port())}), output)
    assert (quiet(), stream.getvalue()) == (False, "")
    ready = Welcome(load_settings({"DATA_DIR": str(tmp_path), "PORT": str(httpserver.port)}), output)
    assert ready()
    assert "is ready at" in stream.getvalue()
