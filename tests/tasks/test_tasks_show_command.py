"""flask admin tasks show"""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of

Run = Callable[..., Result]
UNKNOWN = "01999999-0000-7000-8000-000000000000"


def test_it_shows_a_task_also_a_deleted_one(flask: Run, owner: Person) -> None:
    task = make_task(owner, description="All of them", external_id="7")
    (shown,) = json.loads(flask(f"admin tasks show {task['id']} --json").stdout)
    assert (shown["id"], shown["title"], shown["creator"]) == (task["id"], task["title"], "olivia")
    assert (shown["description"], shown["external_id"], shown["deleted_at"]) == ("All of them", "7", None)
    owner.delete(path_of(task))
    (shown,) = json.loads(flask(f"admin tasks show {task['id']} --json").stdout)
    assert shown["deleted_at"] is not None


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("command", ["show", "cancel", "delete --yes", "delete", "restore"])
@pytest.mark.parametrize(("text", "named"), [(UNKNOWN, UNKNOWN), ("seven", "'seven'")])
def test_a_wrong_id_is_told_of_in_one_line(flask: Run, command: str, text: str, named: str) -> None:
    result = flask(f"admin tasks {command} {text}")
    assert (result.exit_code, result.stderr) == (1, f"Error: There is no task {named}.\n")
