"""flask admin runs list, show, retry, cancel"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.people import Person
from tests.schedules.making import make

Call = Callable[..., Result]
COMMAND = "admin runs"


def rows(flask: Call, line: str) -> list[dict[str, Any]]:
    result = flask(f"{COMMAND} {line} --json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def start(person: Person) -> dict[str, Any]:
    answer = person.post(f"/api/schedules/{make(person, every=3600)['id']}/run")
    run: dict[str, Any] = answer.json
    return run


def test_list_tells_everybodys_newest_first(flask: Call, owner: Person, teammate: Person) -> None:
    mine, theirs = start(owner), start(teammate)
    found = rows(flask, "list")
    assert [(each["id"], each["owner"]) for each in found] == [
        (theirs["id"], "tariq"),
        (mine["id"], "olivia"),
    ]
    for options, ids in (
        ("--owner olivia", [mine["id"]]),
        (f"--schedule {theirs['schedule_id']}", [theirs["id"]]),
        ("--status FAILED", []),
        ("--status pending --action reminder --limit 1", [theirs["id"]]),
    ):
        assert [each["id"] for each in rows(flask, f"list {options}")] == ids


def test_one_is_shown_cancelled_and_done_again(flask: Call, owner: Person) -> None:
    run = start(owner)
    (shown,) = rows(flask, f"show {run['id']}")
    assert (shown["trigger"], shown["params"]) == ("manual", {"message": "Time for tea"})
    (cancelled,) = rows(flask, f"cancel {run['id']}")
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "manual")
    (again,) = rows(flask, f"retry {run['id']}")
    assert (again["id"], again["status"]) == (run["id"], "pending")


def test_what_cannot_be_done_is_one_line(flask: Call, owner: Person) -> None:
    run = start(owner)
    result = flask(f"{COMMAND} retry {run['id']}")
    assert (result.exit_code, result.stderr) == (1, "Error: The run has not ended: it is pending.\n")


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", ["tea", "01999999-0000-7000-8000-000000000000"])
@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
def test_a_wrong_id_is_one_line_and_exit_code_1(flask: Call, command: str, name: str) -> None:
    result = flask(f"{COMMAND} {command} {name}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: There is no run {name!r}.\n"
