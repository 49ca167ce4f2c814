"""flask admin users delete"""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of

Run = Callable[..., Result]
DELETE = "admin users delete olivia"


def test_it_says_what_becomes_of_things_and_asks(flask: Run, owner: Person, admin: Person) -> None:
    make_task(owner)
    refused = flask(DELETE, typed="n\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    rows = [line.split() for line in refused.stderr.splitlines()]
    assert ["tasks", "deleted", "1", "-"] in rows
    assert "Delete olivia <olivia@example.org> for good?" in refused.stderr
    assert owner.get("/api/auth/me").status_code == 200
    assert flask(DELETE, typed="y\n").exit_code == 0
    assert owner.get("/api/auth/me").status_code == 401


def test_things_go_to_whoever_is_named(flask: Run, owner: Person, teammate: Person) -> None:
    task = make_task(owner)
    result = flask(f"{DELETE} --reassign-to TARIQ --yes --json")
    assert {"thing": "tasks", "outcome": "handed_over", "count": 1, "bytes": None} in json.loads(
        result.stdout
    )
    assert teammate.get(path_of(task)).json["creator_id"] == str(teammate.id)


def test_without_somebody_to_ask_nobody_is_deleted(flask: Run, owner: Person) -> None:
    result = flask(DELETE)
    assert result.exit_code == 1
    assert result.stderr.endswith("Nobody is there to be asked: say --yes.\n")
    assert owner.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("ada", "Make somebody else an administrator first."),
        ("ada --reassign-to olivia", "Make somebody else an administrator first."),
        ("olivia --reassign-to nobody", "reassign_to: There is no user 'nobody'."),
        ("olivia --reassign-to olivia", "reassign_to: Choose somebody else than who is deleted."),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    flask: Run, owner: Person, admin: Person, arguments: str, line: str
) -> None:
    result = flask(f"admin users delete --yes {arguments}")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {line}\n")
