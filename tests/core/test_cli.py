"""What all commands share: tables, JSON, and one line for what goes wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy.exc import DataError

from taskapi.app import create_app
from taskapi.core.cli import fail_with_one_line, print_rows
from taskapi.core.errors import Conflict
from tests.conftest import settings_for


@dataclass(frozen=True)
class Row:
    name: str
    at: datetime | None = None


ROWS = [Row("x" * 300, datetime(2026, 11, 20, 9, 30, 59, tzinfo=UTC)), Row("ünï [bold] [/x]")]


def shown(app: Flask, *, as_json: bool) -> str:
    @click.command()
    def command() -> None:
        print_rows(ROWS, ("name", "at"), as_json=as_json)

    with app.app_context():
        return CliRunner().invoke(command).stdout


def test_a_table_cuts_nothing_off(floor_app: Flask) -> None:
    heading, *rows = shown(floor_app, as_json=False).splitlines()
    assert heading.split() == ["name", "at"]
    assert rows[0].split() == ["x" * 300, "2026-11-20", "09:30:59Z"]
    assert rows[1].split() == ["ünï", "[bold]", "[/x]", "-"]


def test_json_is_as_the_api_writes_it(floor_app: Flask) -> None:
    assert json.loads(shown(floor_app, as_json=True)) == [
        {"name": "x" * 300, "at": "2026-11-20T09:30:59Z"},
        {"name": "ünï [bold] [/x]", "at": None},
    ]


def test_a_refusal_is_one_line_and_exit_code_1() -> None:
    @click.command()
    @fail_with_one_line
    def command() -> None:
        raise Conflict("It is taken.")

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr) == (1, "Error: It is taken.\n")


@pytest.fixture
def without_database(tmp_path: Path) -> Flask:
    url = "postgresql://x:hunter2@127.0.0.1:1/x"
    return create_app(settings_for(tmp_path, "redis://localhost:1", DATABASE_URL=url))


def test_without_a_database_a_command_says_so_in_one_line(without_database: Flask) -> None:
    result = CliRunner().invoke(FlaskGroup(create_app=lambda: without_database), ["admin", "users", "list"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the database cannot do this: ")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_a_value_that_the_database_refuses_is_one_line_without_the_statement() -> None:
    @click.command()
    @fail_with_one_line
    def command() -> None:
        raise DataError("INSERT INTO users", {"password_hash": "hunter2"}, Exception("value too long\nhint"))

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr) == (1, "Error: the database cannot do this: value too long\n")


@pytest.mark.one_database
@pytest.mark.parametrize("command", ["users show", "users list -q", "runs list --action", "audit --actor"])
def test_an_argument_that_is_no_text_is_one_line(flask: Callable[..., Result], command: str) -> None:
    result = flask(f"admin {command}", "Z\udcfcrich")
    assert (result.exit_code, result.stderr) == (1, "Error: What was typed is not UTF-8.\n")
