"""flask admin users show"""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.people import PASSWORD, Person
from tests.tasks.making import make_task

Run = Callable[..., Result]


@pytest.mark.parametrize("name", ["olivia", "OLIVIA@example.org", "id"])
def test_it_shows_who_that_is_and_how_much_they_have(flask: Run, owner: Person, name: str) -> None:
    make_task(owner)
    login = str(owner.id) if name == "id" else name
    (shown,) = json.loads(flask(f"admin users show {login} --json").stdout)
    assert (shown["id"], shown["username"], shown["role"]) == (str(owner.id), "olivia", "user")
    assert [shown[what] for what in ("tasks", "schedules", "files", "storage_bytes")] == [1, 0, 0, 0]
    assert shown["last_sign_in_at"] is not None


def test_a_closed_account_is_not_found(flask: Run, owner: Person) -> None:
    owner.delete("/api/auth/me", json={"password": PASSWORD})
    result = flask(f"admin users show {owner.id}")
    assert (result.exit_code, result.stderr) == (1, f"Error: The account {owner.id} is closed.\n")


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "command", ["show", "promote", "demote", "activate", "deactivate", "set-password", "delete --yes"]
)
def test_an_unknown_name_is_one_line_and_exit_code_1(flask: Run, command: str) -> None:
    result = flask(f"admin users {command} nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: There is no user 'nobody'.\n")
