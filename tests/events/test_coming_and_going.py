"""Things come into somebody's sight and go out of it: they are told so once, and then nothing more."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import transaction
from taskapi.notifications.service import notify
from taskapi.tasks.models import Task
from taskapi.tasks.purging import purge_tasks
from tests.accounts.test_close_account import close
from tests.events.following import changes, now, relay, told
from tests.people import Person
from tests.settings import settings_changed
from tests.tasks.importing import import_table
from tests.tasks.making import make_task, path_of
from tests.tasks.test_attachments import attached


def kinds(person: Person, since: str | None = None) -> list[str]:
    """The types of what the person is told, but for notifications."""
    return [kind for kind, _ in told(person, since) if not kind.startswith("notification.")]


def give(owner: Person, task: dict[str, Any], person: Person | None) -> None:
    answer = owner.patch(path_of(task), {"assignee_id": str(person.id) if person else None})
    assert answer.status_code == 200, answer.text


def test_who_gets_a_task_gets_its_data_and_who_loses_it_a_tombstone(
    owner: Person, teammate: Person, stranger: Person, task: dict[str, Any]
) -> None:
    since = {person.id: now(person) for person in (owner, teammate, stranger)}
    give(owner, task, stranger)
    owner.patch(path_of(task), {"title": "Nothing of the teammate's any more"})
    owner.post(f"{path_of(task)}/comments", {"content": "Nor this."})
    (item,) = changes(teammate, since=since[teammate.id])["items"]
    assert (item["type"], item["deleted"], item["data"]) == ("task.removed", True, None)
    assert item["subject"] == {"type": "task", "id": task["id"]}
    assert kinds(stranger, since[stranger.id]) == ["task.updated", "task.updated", "comment.created"]
    assert kinds(owner, since[owner.id]) == ["task.updated", "task.updated", "comment.created"]
    owner.delete(path_of(task))
    assert kinds(teammate, since[teammate.id]) == ["task.removed"]


def test_who_reads_it_all_later_is_told_no_more_of_it(
    owner: Person, teammate: Person, stranger: Person, task: dict[str, Any]
) -> None:
    owner.patch(path_of(task), {"title": "The teammate's"})
    relay(owner)
    give(owner, task, stranger)
    assert kinds(teammate) == ["task.removed"]


def test_who_gets_it_back_has_it(owner: Person, teammate: Person, task: dict[str, Any]) -> None:
    since = now(teammate)
    give(owner, task, None)
    relay(owner)
    give(owner, task, teammate)
    last = told(teammate, since)[-1]
    assert last[0] in ("task.updated", "notification.created")
    assert [kind for kind, data in told(teammate, since) if kind == "task.updated" and data][-1:]


@pytest.mark.parametrize("ending", ["purged", "closed"])
def test_who_lost_a_task_that_is_gone_for_good_learns_it_all_the_same(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any], ending: str
) -> None:
    since = now(teammate)
    give(owner, task, None)
    relay(owner)
    if ending == "closed":
        assert close(owner).status_code == 204
    else:
        owner.delete(path_of(task))
        purge(app)
    assert kinds(teammate, since) == ["task.removed"]


def purge(app: Flask) -> None:
    with app.app_context(), settings_changed(app, task_purge_days=1):
        with transaction() as active:
            active.execute(sa.update(Task).values(deleted_at=clock.now() - timedelta(days=2)))
        assert purge_tasks() == 1


def test_a_deleted_task_is_a_tombstone_to_all_who_saw_it_and_comes_back(
    owner: Person, teammate: Person, admin: Person, stranger: Person, task: dict[str, Any]
) -> None:
    people = (owner, teammate, admin)
    since = {person.id: now(person) for person in (*people, stranger)}
    owner.delete(path_of(task))
    for person in people:
        assert told(person, since[person.id]) == [("task.deleted", None)]
    owner.post(f"{path_of(task)}/restore")
    for person in people:
        (_, deleted), (kind, data) = told(person, since[person.id])
        # How it is now, also in what is told of the time before.
        assert (kind, deleted["id"], data["id"]) == ("task.restored", task["id"], task["id"])
    assert told(stranger, since[stranger.id]) == []


def test_a_purged_task_takes_its_files_and_comments_along(
    app: Flask, owner: Person, admin: Person, task: dict[str, Any]
) -> None:
    attached(owner, task)
    owner.post(f"{path_of(task)}/comments", {"content": "Soon."})
    since = {person.id: now(person) for person in (owner, admin)}
    owner.delete(path_of(task))
    relay(owner)
    purge(app)
    for person in (owner, admin):
        assert kinds(person, since[person.id]) == ["task.deleted", "file.deleted", "task.purged"]
        assert all(data is None for _, data in told(person, since[person.id]))


def test_who_inherits_tasks_of_a_closed_account_is_told(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    made_by_teammate = make_task(teammate, assignee_id=str(owner.id))
    since = now(teammate)
    close(owner)
    found = {data["id"]: data for kind, data in told(teammate, since) if kind == "task.updated"}
    assert found[task["id"]]["creator_id"] == str(teammate.id)
    assert found[made_by_teammate["id"]]["assignee_id"] is None


def test_a_file_of_a_task_that_goes_with_an_account_stays_its_owners(
    app: Flask, owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    file = attached(teammate, task)
    give(owner, task, None)
    since = now(teammate)
    close(owner)
    (kind, data), *_ = [item for item in told(teammate, since) if item[0].startswith("file.")]
    assert (kind, data["id"], data["task_id"]) == ("file.detached", file["id"], None)


def test_what_was_read_in_one_window_is_read_in_the_other(app: Flask, owner: Person) -> None:
    with app.app_context(), transaction():
        for number in range(3):
            notify(key=f"{number}", user_id=owner.id, kind="reminder", title="Tea", message="")
    since = now(owner)
    first = owner.get("/api/notifications").json["items"][0]
    for _ in range(2):
        owner.put(f"/api/notifications/{first['id']}/read")
    ((kind, data),) = told(owner, since)
    assert (kind, data) == ("notification.read", {**first, "is_read": True})
    owner.put("/api/notifications/read-all")
    assert kinds_of(told(owner, since)) == ["notification.read"] * 3


def kinds_of(found: list[tuple[str, Any]]) -> list[str]:
    return [kind for kind, _ in found]


def test_an_import_is_followed_from_its_beginning_to_its_end(app: Flask, owner: Person) -> None:
    since = now(owner)
    job = import_table(app, owner, "title\nTea\nBread\n")
    steps = [item for item in told(owner, since) if item[0].startswith("import.")]
    assert kinds_of(steps) == [
        *("import.created", "import.progressed", "import.progressed", "import.completed")
    ]
    listed = owner.get("/api/tasks/imports").json["items"][0]
    assert [data for _, data in steps] == [listed] * 4
    assert listed["id"] == job["id"]


def test_where_all_see_all_tasks_who_loses_one_sees_it_still(
    app: Flask, owner: Person, teammate: Person, stranger: Person, task: dict[str, Any]
) -> None:
    with settings_changed(app, team_sees_tasks=True):
        since = {person.id: now(person) for person in (teammate, stranger)}
        give(owner, task, None)
        for person in (teammate, stranger):
            assert [(kind, data["id"]) for kind, data in told(person, since[person.id])] == [
                ("task.updated", task["id"])
            ]
