"""The job that marks tasks overdue"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.names import MARK_OVERDUE
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.ops.scheduling import HOUSEKEEPING
from taskapi.tasks import jobs, overdue
from taskapi.tasks.models import Task
from tests.people import Person
from tests.tasks.making import make_task, path_of, titles

LONG_AGO, SOME_DAY = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def mark(app: Flask) -> None:
    with app.app_context():
        jobs.mark_overdue()


def status_of(person: Person, task: dict[str, Any]) -> str:
    return str(person.get(path_of(task)).json["status"])


def told(app: Flask) -> list[bool]:
    """Of each marking, oldest first, whether people are told."""
    with app.app_context():
        events = session().scalars(sa.select(Event).where(Event.type == "task.overdue").order_by(Event.id))
        return [(event.after or {})["notify"] for event in events]


@pytest.mark.one_database
def test_it_is_done_every_five_minutes() -> None:
    assert [entry.interval for entry in HOUSEKEEPING if entry.job_name == MARK_OVERDUE] == [300]


def test_what_is_open_and_past_its_date_is_marked(app: Flask, owner: Person) -> None:
    late = [make_task(owner, due_date=LONG_AGO, status=status) for status in ("todo", "in_progress")]
    others = [
        make_task(owner, due_date=LONG_AGO, status="done"),
        make_task(owner, due_date=LONG_AGO, status="cancelled"),
        make_task(owner, due_date=SOME_DAY),
        make_task(owner),
    ]
    deleted = make_task(owner, due_date=LONG_AGO)
    owner.delete(path_of(deleted))
    mark(app)
    assert [status_of(owner, task) for task in late] == ["overdue"] * 2
    assert [owner.get(path_of(task)).json for task in others] == others
    assert owner.post(f"{path_of(deleted)}/restore").json["status"] == "todo"


def test_it_is_a_change_that_everybody_notices(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO, assignee_id=str(teammate.id))
    assert titles(teammate, status="overdue") == []
    mark(app)
    assert titles(teammate, status="overdue") == [task["title"]]
    marked = owner.get(path_of(task)).json
    assert (marked["version"], marked["updated_at"] > task["updated_at"]) == (2, True)
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "task.overdue")).one()
    assert (event.actor_id, event.owner_id, str(event.topic_id)) == (None, owner.id, task["id"])
    assert event.before == {"status": "todo", "due_date": LONG_AGO}
    assert event.after == {"status": "overdue", "due_date": LONG_AGO, "notify": True}


def test_a_second_time_does_nothing(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO)
    mark(app)
    marked = owner.get(path_of(task)).json
    mark(app)
    assert owner.get(path_of(task)).json == marked
    assert told(app) == [True]


def test_a_new_date_brings_the_earlier_status_back(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO, status="in_progress")
    mark(app)
    assert owner.patch(path_of(task), {"due_date": "2021-01-01"}).json["status"] == "overdue"
    assert owner.patch(path_of(task), {"due_date": SOME_DAY}).json["status"] == "in_progress"
    owner.patch(path_of(task), {"due_date": LONG_AGO})
    mark(app)
    assert owner.patch(path_of(task), {"due_date": None}).json["status"] == "in_progress"


def test_finishing_ends_it(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO)
    mark(app)
    done = owner.patch(path_of(task), {"status": "done"}).json
    assert (done["status"], done["completed_at"] is None) == ("done", False)
    mark(app)
    assert status_of(owner, task) == "done"


def test_people_are_told_once_for_each_date(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO)
    mark(app)
    for change in ({"status": "todo"}, {"status": "in_progress"}):
        owner.patch(path_of(task), change)
        mark(app)
    assert status_of(owner, task) == "overdue"
    assert told(app) == [True, False, False]
    owner.patch(path_of(task), {"status": "todo", "due_date": "2021-01-01"})
    mark(app)
    assert told(app) == [True, False, False, True]


def test_who_does_not_want_to_know_is_not_told(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date=LONG_AGO, notify_overdue=False)
    mark(app)
    owner.patch(path_of(task), {"status": "todo", "notify_overdue": True})
    mark(app)
    assert told(app) == [False, True]


def test_many_are_marked_in_batches_the_longest_overdue_first(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "BATCH", 2)
    monkeypatch.setattr(overdue, "MAX_BATCHES", 2)
    tasks = [{"title": f"{day}", "due_date": f"2020-01-0{day}"} for day in (5, 2, 4, 1, 3)]
    owner.post("/api/tasks/bulk", {"tasks": tasks})
    mark(app)
    assert titles(owner, status="overdue", sort="title") == ["1", "2", "3", "4"]
    mark(app)
    assert titles(owner, status="todo") == []


@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
def test_a_task_that_is_being_changed_stops_nobody(app: Flask, owner: Person) -> None:
    held, free = make_task(owner, due_date=LONG_AGO), make_task(owner, due_date=LONG_AGO)
    with app.app_context(), transaction():
        one = sa.select(Task.title).where(Task.id == UUID(held["id"]))
        session().execute(one.with_for_update())
        with ThreadPoolExecutor(1) as threads:
            threads.submit(mark, app).result(timeout=20)
    assert (status_of(owner, held), status_of(owner, free)) == ("todo", "overdue")


def test_it_goes_by_the_databases_clock_to_the_second(app: Flask, owner: Person) -> None:
    soon = clock.now() + timedelta(seconds=60)
    task = make_task(owner, due_date=soon.isoformat())
    mark(app)
    assert status_of(owner, task) == "todo"
    with clock.use(lambda: soon + timedelta(seconds=1)):
        mark(app)
    assert status_of(owner, task) == "overdue"


def test_it_uses_the_index_of_what_may_fall_due(app: Flask, statements: list[str]) -> None:
    mark(app)
    asked = next(statement for statement in statements if "due_date <" in statement)
    with app.app_context():
        if session().get_bind().dialect.name == "sqlite":
            plan = session().connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", (500, 0))
            assert "ix_tasks_falling_due" in " ".join(str(row) for row in plan)
    # Literally as the index says it, or it could not serve.
    assert "status IN (1, 2)" in asked
