"""flask admin users list"""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.core.db import db
from tests.people import Person

Run = Callable[..., Result]


def test_it_lists_accounts_oldest_first(flask: Run, owner: Person, admin: Person) -> None:
    users = json.loads(flask("admin users list --json").stdout)
    assert [user["username"] for user in users] == ["olivia", "ada"]
    assert datetime.fromisoformat(users[0]["created_at"]).tzinfo is not None


def test_for_people_it_is_a_table_with_nothing_cut_off(flask: Run, owner: Person) -> None:
    heading, row = flask("admin users list").stdout.splitlines()
    assert heading.split() == ["id", "email", "username", "role", "is_active", "created_at"]
    assert row.split()[:5] == [str(owner.id), "olivia@example.org", "olivia", "user", "True"]


@pytest.mark.parametrize(("role", "names"), [("admin", ["ada"]), ("USER", ["olivia"])])
def test_it_can_be_narrowed_to_a_role(
    flask: Run, owner: Person, admin: Person, role: str, names: list[str]
) -> None:
    users = json.loads(flask(f"admin users list --json --role {role}").stdout)
    assert [user["username"] for user in users] == names


def test_without_accounts_it_is_an_empty_list(flask: Run) -> None:
    assert json.loads(flask("admin users list --json").stdout) == []


def test_an_unknown_role_is_an_error_of_usage(flask: Run) -> None:
    assert flask("admin users list --role king").exit_code == 2


def test_a_database_that_is_not_migrated_is_one_line(flask: Run, app: Flask) -> None:
    with app.app_context(), db.engine.execution_options(taskapi_writes=True).begin() as connection:
        connection.execute(sa.text("ALTER TABLE users RENAME TO hidden_users"))
    try:
        result = flask("admin users list")
    finally:
        with app.app_context(), db.engine.execution_options(taskapi_writes=True).begin() as connection:
            connection.execute(sa.text("ALTER TABLE hidden_users RENAME TO users"))
    assert result.exit_code == 1
    with app.app_context():
        where = f" {db.engine.url.database}" if db.engine.dialect.name == "sqlite" else ""
    assert result.stderr.startswith(f"Error: the database{where} is not up to date, run 'flask db upgrade': ")
    assert result.stderr.count("\n") == 1
