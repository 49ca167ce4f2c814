"""flask admin tasks list"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of

Run = Callable[..., Result]
HEADING = ["id", "title", "status", "priority", "due_date", "creator", "assignee", "created_at"]


def listed(flask: Run, options: str = "") -> list[dict[str, Any]]:
    result = flask(f"admin tasks list --json {options}")
    assert result.exit_code == 0, result.output
    tasks: list[dict[str, Any]] = json.loads(result.stdout)
    return tasks


def test_it_lists_everybodys_tasks_newest_first(flask: Run, owner: Person, teammate: Person) -> None:
    make_task(owner, title="a", assignee_id=str(teammate.id))
    make_task(teammate, title="b", due_date="2030-01-01T00:00:00Z")
    found = listed(flask)
    assert list(found[0]) == HEADING
    assert [(task["title"], task["creator"], task["assignee"]) for task in found] == [
        ("b", "tariq", None),
        ("a", "olivia", "tariq"),
    ]
    assert found[0]["due_date"] == "2030-01-01T00:00:00Z"


def test_options_choose(flask: Run, owner: Person, teammate: Person) -> None:
    make_task(owner, title="a", status="done")
    make_task(owner, title="b", assignee_id=str(teammate.id))
    owner.delete(path_of(make_task(owner, title="c")))
    for options, found in (
        ("--user olivia", ["b", "a"]),
        ("--user tariq@example.org", ["b"]),
        ("--status DONE", ["a"]),
        ("--status done --status todo", ["b", "a"]),
        ("--deleted", ["c"]),
        ("--limit 1", ["b"]),
    ):
        assert [task["title"] for task in listed(flask, options)] == found


def test_for_people_it_is_a_table(flask: Run, owner: Person) -> None:
    make_task(owner, title="Buy [b]milk")
    heading, row = flask("admin tasks list").stdout.splitlines()
    assert heading.split() == HEADING
    assert "Buy [b]milk" in row


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
def test_an_unknown_user_is_told_of_in_one_line(flask: Run) -> None:
    result = flask("admin tasks list --user nobody")
    assert (result.exit_code, result.stderr) == (1, "Error: There is no user 'nobody'.\n")
