"""flask admin tasks delete"""

from collections.abc import Callable

from click.testing import Result

from tests.people import Person
from tests.tasks.making import make_task, path_of

Run = Callable[..., Result]


def test_it_asks_first(flask: Run, owner: Person) -> None:
    task = make_task(owner, title="Tea")
    refused = flask(f"admin tasks delete {task['id']}", typed="n\n")
    assert (refused.exit_code, "Delete task 'Tea'?" in refused.stderr) == (1, True)
    assert owner.get(path_of(task)).status_code == 200
    assert flask(f"admin tasks delete {task['id']}", typed="y\n").exit_code == 0
    assert owner.get(path_of(task)).status_code == 404


def test_with_yes_it_does_not_ask_and_the_task_can_be_restored(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    assert flask(f"admin tasks delete {task['id']} --yes").exit_code == 0
    again = flask(f"admin tasks delete {task['id']} --yes")
    assert (again.exit_code, again.stderr) == (1, f"Error: Task {task['id']} is deleted.\n")
    assert owner.post(f"{path_of(task)}/restore").status_code == 200
