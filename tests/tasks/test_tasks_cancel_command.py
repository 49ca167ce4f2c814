"""flask admin tasks cancel"""

import json
from collections.abc import Callable

from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of
from tests.tasks.test_history import history

Run = Callable[..., Result]


def test_it_cancels_a_task_in_nobodys_name(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    assert owner.get("/api/tasks?status=cancelled").json["total"] == 0
    (shown,) = json.loads(flask(f"admin tasks cancel {task['id']} --json").stdout)
    assert shown["status"] == "cancelled"
    assert owner.get("/api/tasks?status=cancelled").json["total"] == 1
    entry = history(owner, task)[0]
    assert (entry["type"], entry["actor"]) == ("task.updated", None)


def test_twice_is_as_once(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    for _ in range(2):
        assert flask(f"admin tasks cancel {task['id']}").exit_code == 0
    assert owner.get(path_of(task)).json["version"] == 2


def test_a_deleted_task_is_not_cancelled(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    owner.delete(path_of(task))
    result = flask(f"admin tasks cancel {task['id']}")
    assert (result.exit_code, result.stderr) == (1, f"Error: Task {task['id']} is deleted.\n")
