"""Errors: every one is a problem (RFC 9457), and none tells what is inside."""

import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts import sign_in
from taskapi.accounts.tokens import new_access_token
from taskapi.app import create_app
from taskapi.core.access import set_authenticator
from taskapi.core.db import db
from taskapi.core.ids import new_id
from tests.conftest import settings_for
from tests.core.conftest import Log
from tests.core.floor import install_probes

JSON = {"content_type": "application/json"}
PROBLEMS = [
    ("GET", "/nowhere", {}, 404, "not_found"),
    ("OPTIONS", "/nowhere", {}, 404, "not_found"),
    ("GET", "/probe/things/x", {}, 404, "not_found"),
    ("GET", "/probe/things/1/", {"query_string": {"x": "1"}}, 422, "validation_error"),
    ("DELETE", "/probe/things", {}, 405, "method_not_allowed"),
    ("BREW", "/health", {}, 405, "method_not_allowed"),
    ("POST", "/probe/things", {"data": b"{", **JSON}, 400, "malformed_json"),
    ("POST", "/probe/things", {"data": b"", **JSON}, 400, "malformed_json"),
    ("POST", "/probe/things", {"data": b"[]", **JSON}, 422, "validation_error"),
    ("POST", "/probe/things", {"data": b"null", **JSON}, 422, "validation_error"),
    ("POST", "/probe/things", {"data": b" " * 1_048_577, **JSON}, 413, "content_too_large"),
    ("POST", "/probe/things", {"data": {"id": "1"}}, 415, "unsupported_media_type"),
    ("POST", "/probe/things", {"data": b"{}"}, 415, "unsupported_media_type"),
    ("POST", "/probe/things", {"data": b"{}", "content_type": "text/json"}, 415, "unsupported_media_type"),
    (
        "POST",
        "/probe/things",
        {"data": b"{}", "content_type": "application/json; charset=latin-1"},
        415,
        "unsupported_media_type",
    ),
    (
        "POST",
        "/probe/things",
        {"data": b"{}", "headers": {"Content-Encoding": "gzip"}, **JSON},
        415,
        "unsupported_media_type",
    ),
    ("GET", "/probe/read", {}, 401, "unauthorized"),
    ("GET", "/probe/bug", {}, 500, "internal_error"),
    ("POST", "/probe/bug", {}, 500, "internal_error"),
    ("GET", "/probe/constraint", {}, 500, "internal_error"),
    ("GET", "/probe/crowded", {}, 503, "database_unavailable"),
    ("GET", "/probe/lost-race", {}, 409, "conflict"),
    ("GET", "/probe/teapot", {}, 418, "bad_request"),
    ("GET", "/problems/nonsense", {}, 404, "not_found"),
    ("GET", "/docs/assets/nothing.js", {}, 404, "not_found"),
    ("GET", "/docs/assets/../../config.py", {}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), PROBLEMS)
def test_every_error_is_a_problem(
    floor: FlaskClient, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = floor.open(path, method=method, **options)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["type"] == f"http://127.0.0.1:8000/problems/{code}"
    assert (answer.json["code"], answer.json["status"]) == (code, status)
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert answer.json["title"]
    assert answer.json["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/api/auth/login", 405),
        ("/probe/read", 401),
        ("/probe/bug", 500),
        ("/probe/crowded", 503),
    ],
)
def test_head_gets_the_same_problem_without_a_body(floor: FlaskClient, path: str, status: int) -> None:
    answer = floor.head(path)
    assert (answer.status_code, answer.mimetype, answer.data) == (status, "application/problem+json", b"")


def test_a_wrong_method_is_told_the_right_ones(floor: FlaskClient) -> None:
    allowed = floor.put("/probe/things/1").headers["Allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}


def test_who_is_not_signed_in_is_told_how(floor: FlaskClient) -> None:
    assert floor.get("/probe/read").headers["WWW-Authenticate"] == "Bearer"


def test_a_bug_shows_nothing_and_is_logged_with_its_traceback(
    floor: FlaskClient, log_to: Callable[..., Log]
) -> None:
    log = log_to()
    answer = floor.get("/probe/bug", headers={"X-Request-ID": "find-me"})
    assert answer.json is not None
    assert answer.json["detail"] == "Something went wrong on our side."
    assert not {"hunter2", "ZeroDivisionError", "Traceback"} & set(re.findall(r"\w+", answer.text))
    line = log.line("request.failed")
    assert (line["request_id"], line["level"]) == ("find-me", "error")
    assert "ZeroDivisionError: hunter2 divided by zero" in line["exception"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_in_the_log_shows_no_variables(
    floor: FlaskClient, log_to: Callable[..., Log], log_format: str
) -> None:
    log = log_to(LOG_FORMAT=log_format)
    floor.get("/probe/bug")
    assert "Traceback (most recent call last)" in log.text
    assert "a secret in a variable" not in log.text


def test_a_database_error_shows_neither_sql_nor_values(floor: FlaskClient) -> None:
    assert "probe (key)" not in floor.get("/probe/constraint").text


def test_a_statement_that_takes_too_long_is_ended_and_may_be_tried_again(
    tmp_path: Path, redis_url: str, postgresql_url: str
) -> None:
    """SQLite has no such limit; there a request is bounded by what it may ask for."""
    app = create_app(settings_for(tmp_path, redis_url, DATABASE_URL=postgresql_url))
    install_probes(app)
    answer = app.test_client().get("/probe/slow")
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert "Retry-After" in answer.headers
    with app.app_context():
        db.engine.dispose()


def test_the_application_goes_on_after_a_bug(floor: FlaskClient) -> None:
    floor.get("/probe/bug")
    assert floor.get("/health").status_code == 200


@pytest.fixture
def without_database(tmp_path: Path, redis_url: str) -> Iterator[FlaskClient]:
    """A client of an application whose PostgreSQL server is not there."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://x:hunter2@127.0.0.1:{closed.getsockname()[1]}/x"
        app = create_app(settings_for(tmp_path, redis_url, DATABASE_URL=url))
        install_probes(app)
        yield app.test_client()


def get_statement(client: FlaskClient) -> TestResponse:
    return client.get("/probe/statement", headers={"Authorization": "Bearer reader"})


def test_without_a_database_the_answer_says_so_and_when_to_try_again(without_database: FlaskClient) -> None:
    answer = get_statement(without_database)
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert not {"127.0.0.1:", "hunter2"} & set(answer.json["detail"].split())


def test_who_one_is_cannot_be_found_out_without_a_database(without_database: FlaskClient) -> None:
    with without_database.application.app_context():
        set_authenticator(sign_in.authenticate)
        token = new_access_token(user_id=new_id(), session_id=new_id(), lifetime=timedelta(minutes=1))
    answer = without_database.get("/probe/read", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 503


def test_the_health_of_the_process_does_not_ask_the_database(without_database: FlaskClient) -> None:
    assert without_database.get("/health").status_code == 200


def test_an_outage_is_logged_in_one_line(without_database: FlaskClient) -> None:
    with structlog.testing.capture_logs() as lines:
        get_statement(without_database)
    (line,) = (line for line in lines if line["event"] == "database.unavailable")
    assert "\n" not in line["error"]
