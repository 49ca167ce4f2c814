"""flask admin tasks restore"""

from collections.abc import Callable

from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of

Run = Callable[..., Result]


def test_it_brings_a_deleted_task_back(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    owner.delete(path_of(task))
    assert flask(f"admin tasks restore {task['id']}").exit_code == 0
    assert owner.get(path_of(task)).status_code == 200


def test_what_cannot_be_restored_is_told_of_in_one_line(flask: Run, owner: Person) -> None:
    task = make_task(owner, external_id="7")
    result = flask(f"admin tasks restore {task['id']}")
    assert (result.exit_code, result.stderr) == (1, "Error: The task is not deleted.\n")
    owner.delete(path_of(task))
    make_task(owner, external_id="7")
    result = flask(f"admin tasks restore {task['id']}")
    assert (result.exit_code, result.stderr) == (1, "Error: A newer task has its outside id.\n")
