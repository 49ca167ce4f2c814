"""Logs: one line per event, the same fields on each, and no secret in any."""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.administration import all_users
from taskapi.core.logging import redact
from tests.core.conftest import Log
from tests.people import Person
from tests.timed import work_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def test_a_line_of_ours_is_json_with_time_level_and_process(log_to: Callable[..., Log]) -> None:
    log = log_to()
    structlog.get_logger("here").warning("it.happened", count=3)
    line = log.line("it.happened")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "it.happened",
        "count": 3,
        "level": "warning",
        "logger": "here",
        "process": "web",
    }


def test_a_line_of_a_library_has_the_same_shape(log_to: Callable[..., Log]) -> None:
    log = log_to()
    logging.getLogger("library").info("%s of %d", "one", 2)
    assert log.line("one of 2").items() >= {"level": "info", "logger": "library", "process": "web"}.items()


def test_on_a_console_a_line_reads_as_text(log_to: Callable[..., Log]) -> None:
    log = log_to(LOG_FORMAT="console")
    structlog.get_logger("here").info("it.happened", count=3)
    assert "it.happened" in log.text
    assert "count=3" in log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x1b[2K\x1b[1A"])
def test_no_text_of_a_line_begins_another(log_to: Callable[..., Log], log_format: str, end: str) -> None:
    log = log_to(LOG_FORMAT=log_format)
    forged = f"tea{end}2026-01-01T00:00:00Z [info] all is well"
    fields = {"text": forged, "short": f"a{end}b", "deep": {"list": [forged]}}
    structlog.get_logger("here").info("it.happened", **fields)
    structlog.get_logger("here").info(forged)
    logging.getLogger("library").info("it said %s", forged)
    assert len(log.text.splitlines()) == 3
    assert "\x1b[2K" not in log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_half_of_a_surrogate_pair_can_be_written(log_to: Callable[..., Log], log_format: str) -> None:
    log = log_to(LOG_FORMAT=log_format)
    structlog.get_logger("here").info("it.happened", text="a\ud800b")
    assert r"a\ud800b" in log.text
    assert log.text.encode("utf-8")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_below_the_level_is_left_out(log_to: Callable[..., Log], log_format: str) -> None:
    log = log_to(LOG_LEVEL="WARNING", LOG_FORMAT=log_format)
    structlog.get_logger("here").info("quiet")
    logging.getLogger("library").info("quiet")
    assert log.text == ""


def test_a_traceback_stays_within_its_line(log_to: Callable[..., Log]) -> None:
    log = log_to()
    try:
        raise ValueError("Bearer abc.def")
    except ValueError:
        structlog.get_logger("here").exception("failed")
    assert "test_a_traceback_stays_within_its_line" in log.line("failed")["exception"]
    assert "abc.def" not in log.text


@pytest.mark.parametrize("piece", ["eyJ", "eyJ.", "eyJa.b", "-eyJ-", "://a:", "tap_-"])
def test_a_text_that_looks_like_secrets_again_and_again_is_read_fast(piece: str) -> None:
    """Whoever writes it, as the description of a task to come, chooses how long it is."""
    long, short = (work_of(partial(redact, piece * times)) for times in (20_000, 2_000))
    assert long < 30 * short + 0.1


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "secret",
    [
        f"Authorization: Bearer {JWT}",
        f"token {JWT} refused",
        f"key_{JWT}",
        "bearer hunter2.hunter2",
        "tap_hunter2hunter2",
        "tar_hunter2hunter2",
        "GET /calendar/tac_hunter2hunter2.ics",
        "https://tasks.example.org/api/auth/password-reset/confirm#token=tvr_hunter2hunter2",
        "tve_hunter2hunter2",
        "signed with whsec_hunter2/hunter2+hunter2=",
        "postgresql://user:hunter2@db/name",
        "postgresql://user:p@hunter2@db/name",
        "redis://:hunter2@redis:6379/0",
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(
    log_to: Callable[..., Log], log_format: str, secret: str
) -> None:
    log = log_to(LOG_FORMAT=log_format)
    structlog.get_logger("here").info(secret, note=secret, deep={"list": [secret]})
    logging.getLogger("library").info("it said %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        structlog.get_logger("here").exception("failed", exception_text=secret)
    assert "***" in log.text
    assert "hunter2" not in log.text
    assert JWT not in log.text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "client_secret",
        "access_token",
        "Authorization",
        "Set-Cookie",
        "api_key",
        "APIKEY",
    ],
)
def test_a_field_with_a_secrets_name_is_hidden(log_to: Callable[..., Log], name: str) -> None:
    log = log_to()
    structlog.get_logger("here").info("it.happened", **{name: "hunter2", "deep": {name: ["hunter2"]}})
    line = log.line("it.happened")
    assert (line[name], line["deep"]) == ("***", {name: "***"})


@pytest.mark.parametrize(
    "harmless",
    [
        "http://localhost:8000/a@b",
        "mail to a@example.org",
        7,
        None,
        ("a", 1.5),
        {"count": 2},
        "",
        "https://a.example/x",
    ],
)
def test_what_is_no_secret_stays(harmless: object) -> None:
    assert redact(harmless) == (list(harmless) if isinstance(harmless, tuple) else harmless)


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert redact({"password": "", "token": None}) == {"password": "", "token": None}


@pytest.mark.parametrize(("wanted", "logged"), [("true", True), ("false", False)])
def test_sql_is_logged_on_request(log_to: Callable[..., Log], app: Flask, wanted: str, logged: bool) -> None:
    log = log_to(LOG_SQL=wanted)
    with app.app_context():
        all_users()
    assert ("SELECT" in log.text) is logged


def test_each_line_of_a_request_has_its_id_and_user(log_to: Callable[..., Log], owner: Person) -> None:
    log = log_to()
    owner.patch("/api/auth/me", {"full_name": "Olivia"}, headers={"X-Request-ID": "abc-1"})
    assert len(log.lines) == 2
    assert {(line["request_id"], line["user"]) for line in log.lines} == {("abc-1", str(owner.id))}


def test_a_request_is_one_line_with_what_it_was(log_to: Callable[..., Log], client: FlaskClient) -> None:
    log = log_to()
    client.get("/api/auth/me?token=hunter2")
    line = log.line("request")
    assert (line["method"], line["route"], line["status"], line["user"]) == ("GET", "/api/auth/me", 401, None)
    assert line["ms"] >= 0
    assert "hunter2" not in log.text


@pytest.mark.one_database
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_that_came_as_the_id_of_a_request_is_hidden(
    log_to: Callable[..., Log], client: FlaskClient, log_format: str
) -> None:
    log = log_to(LOG_FORMAT=log_format)
    client.get("/health", headers={"X-Request-ID": "tap_hunter2hunter2"})
    assert "/health" in log.text
    assert "hunter2" not in log.text


@pytest.mark.one_database
def test_requests_are_left_out_below_their_level(log_to: Callable[..., Log], client: FlaskClient) -> None:
    log = log_to(LOG_LEVEL="WARNING")
    client.get("/health")
    assert log.text == ""


def test_a_request_leaves_nothing_behind_for_the_next(log_to: Callable[..., Log], owner: Person) -> None:
    log = log_to()
    owner.get("/api/auth/me")
    structlog.get_logger("here").info("between")
    owner.client.get("/health")
    assert log.line("between").keys().isdisjoint({"request_id", "user"})
    assert log.lines[-1]["user"] is None


def test_the_file_gets_json_beside_the_console(log_to: Callable[..., Log], tmp_path: Path) -> None:
    log = log_to(LOG_FORMAT="console", LOG_FILE=str(tmp_path / "log/app.log"))
    structlog.get_logger("here").info("it.happened")
    assert json.loads((tmp_path / "log/app.log").read_text())["event"] == "it.happened"
    assert "it.happened" in log.text


def test_the_file_gets_the_line_of_the_stream(log_to: Callable[..., Log], tmp_path: Path) -> None:
    log = log_to(LOG_FORMAT="json", LOG_FILE=str(tmp_path / "log/app.log"))
    structlog.get_logger("here").info("it.happened")
    assert (tmp_path / "log/app.log").read_text() == log.text


def test_a_library_that_talks_too_much_is_heard_from_warnings_on(log_to: Callable[..., Log]) -> None:
    log = log_to()
    logging.getLogger("rq_scheduler").info("quiet")
    logging.getLogger("rq_scheduler").warning("loud")
    assert [line["event"] for line in log.lines] == ["loud"]
