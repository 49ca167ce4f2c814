"""The job that deletes tasks for good"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing
from taskapi.core import clock
from taskapi.core.batches import batches
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.files import removal
from taskapi.tasks import jobs, purging
from taskapi.tasks.models import Comment, Tag, Task, TaskTag, TaskWords
from tests.accounts.test_close_account import everything_told
from tests.files.making import key_of, row_of, store, used
from tests.people import Person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of, titles
from tests.work import run_jobs


def purge(app: Flask, *, days: int = 30) -> None:
    with settings_changed(app, task_purge_days=days), app.app_context():
        jobs.purge_tasks()
    run_jobs(app)


def test_the_files_of_a_task_are_removed_some_at_a_time(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes 65,535 values in a statement, and a task may have as many files."""
    named: list[int] = []

    def some_at_a_time(values: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
        for some in batches(values, 2):
            named.append(len(some))
            yield some

    monkeypatch.setattr(removal, "batches", some_at_a_time)
    task = make_task(owner)
    for number in range(5):
        store(owner, filename=f"{number}.txt", task_id=UUID(task["id"]))
    owner.delete(path_of(task))
    with app.app_context(), transaction():
        session().get_one(Task, UUID(task["id"])).deleted_at = clock.now() - timedelta(days=31)
    purge(app)
    assert named == [2, 2, 1]
    assert owner.get("/api/files").json["total"] == 0


def deleted(app: Flask, person: Person, *, days: float, **fields: Any) -> UUID:
    """A task that was deleted so many days ago."""
    task = make_task(person, **fields)
    assert person.delete(path_of(task)).status_code == 204
    with app.app_context(), transaction():
        session().get_one(Task, UUID(task["id"])).deleted_at = clock.now() - timedelta(days=days)
    return UUID(task["id"])


def count(app: Flask, *models: type[Any]) -> list[int | None]:
    with app.app_context():
        return [session().scalar(sa.select(sa.func.count()).select_from(model)) for model in models]


def test_unless_it_is_wanted_nothing_goes(app: Flask, owner: Person) -> None:
    deleted(app, owner, days=5000)
    purge(app, days=0)
    assert count(app, Task) == [1]


def test_what_was_deleted_long_ago_goes_with_all_that_hangs_on_it(
    app: Flask, owner: Person, teammate: Person
) -> None:
    task_id = deleted(app, owner, days=31, title="Quux", description="secret", tags=["home"])
    file_id = store(teammate, filename="quux.txt", task_id=task_id)
    key = key_of(app, file_id)
    with app.app_context(), transaction():
        said = {"content": "quux", "content_html": "quux"}
        session().add(Comment(task_id=task_id, author_id=teammate.id, **said))
    purge(app)
    assert count(app, Task, Comment, TaskTag, TaskWords, Tag) == [0, 0, 0, 0, 1]
    assert row_of(app, file_id) is None
    assert used(app, teammate) == (0, 0)
    with app.app_context():
        with pytest.raises(ObjectMissing):
            current_storage().open(key)
        assert "quux" not in everything_told().lower()
        events = session().scalars(sa.select(Event).where(Event.type == "task.purged")).all()
    assert [(event.subject_id, event.owner_id, event.actor_id) for event in events] == [
        (task_id, owner.id, None)
    ]


def test_what_is_younger_or_not_deleted_stays(app: Flask, owner: Person) -> None:
    young = deleted(app, owner, days=29)
    make_task(owner, title="Tea")
    purge(app)
    assert titles(owner) == ["Tea"]
    assert owner.post(f"/api/tasks/{young}/restore").status_code == 200


def test_its_words_are_not_found_by_another_task_of_its_number(app: Flask, owner: Person) -> None:
    deleted(app, owner, days=31, title="Quux")
    purge(app)
    make_task(owner, title="Tea")
    assert (titles(owner, q="quux"), titles(owner, q="tea")) == ([], ["Tea"])


def test_many_go_batch_by_batch(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    for _ in range(5):
        deleted(app, owner, days=31)
    purge(app)
    purge(app)
    assert count(app, Task) == [0]


def test_admins_see_at_once_that_it_is_gone(app: Flask, owner: Person, admin: Person) -> None:
    deleted(app, owner, days=31, title="Tea")
    assert titles(admin, deleted="true") == ["Tea"]
    purge(app)
    assert titles(admin, deleted="true") == []
