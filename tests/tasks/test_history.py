"""GET /api/tasks/{id}/history"""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.core.db import transaction
from taskapi.core.events import record_event
from taskapi.tasks import jobs
from tests.accounts.test_close_account import close
from tests.people import Person, make_person
from tests.tasks.making import make_task, path_of


def history(person: Person, task: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    answer = person.get(f"{path_of(task)}/history{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_it_tells_who_changed_what_from_what_to_what_newest_first(owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id), tags=["home"])
    change = {"title": "Tea", "due_date": "2030-01-01T00:00:00Z", "tags": ["garden"]}
    teammate.patch(path_of(task), change, headers={"X-Request-ID": "mine"})
    changed, created = history(owner, task)
    assert (changed["type"], changed["request_id"]) == ("task.updated", "mine")
    assert changed["actor"] == {"id": str(teammate.id), "username": "tariq"}
    assert changed["changes"] == [
        {"field": "due_date", "from": None, "to": "2030-01-01T00:00:00Z"},
        {"field": "tags", "from": ["home"], "to": ["garden"]},
        {"field": "title", "from": "Water the plants", "to": "Tea"},
    ]
    assert (created["type"], created["actor"]["username"]) == ("task.created", "olivia")
    assert {"field": "title", "from": None, "to": "Water the plants"} in created["changes"]
    assert created["at"] <= changed["at"]


def test_long_texts_are_told_whole(owner: Person) -> None:
    task = make_task(owner, description="x" * 50_000)
    owner.patch(path_of(task), {"description": "y" * 50_000})
    (change,) = history(owner, task)[0]["changes"]
    assert (change["from"], change["to"]) == ("x" * 50_000, "y" * 50_000)


def test_deleting_restoring_and_falling_overdue_are_in_it(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date="2020-01-01")
    owner.delete(path_of(task))
    owner.post(f"{path_of(task)}/restore")
    with app.app_context():
        jobs.mark_overdue()
    entries = history(owner, task)
    types = ["task.overdue", "task.restored", "task.deleted", "task.created"]
    assert [entry["type"] for entry in entries] == types
    assert entries[0]["actor"] is None
    assert entries[0]["changes"] == [{"field": "status", "from": "todo", "to": "overdue"}]


def test_what_happens_with_its_comments_and_files_is_in_it(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    with app.app_context(), transaction():
        for subject in ("comment", "file"):
            record_event(
                f"{subject}.created",
                subject=(subject, owner.id),
                actor=owner.actor,
                owner_id=owner.id,
                topic_id=UUID(task["id"]),
                after={"content": "Well"},
            )
    entries = history(owner, task, "?sort=at")
    assert [entry["type"] for entry in entries] == ["task.created", "comment.created", "file.created"]
    assert entries[1]["changes"] == [{"field": "content", "from": None, "to": "Well"}]


def test_whom_a_comment_mentions_is_no_field_of_it(owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    owner.post(f"{path_of(task)}/comments", {"content": "@tariq, look"})
    assert history(owner, task)[0]["changes"] == [{"field": "content", "from": None, "to": "@tariq, look"}]


def test_who_sees_the_task_sees_its_history_and_nobody_else(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    assert history(owner, task) == history(teammate, task) == history(admin, task)
    stranger = make_person(app, "sam@example.org")
    answer = stranger.get(f"{path_of(task)}/history")
    assert (answer.status_code, answer.json["code"]) == (404, "task_not_found")
    owner.delete(path_of(task))
    assert owner.get(f"{path_of(task)}/history").status_code == 404


def test_it_comes_in_pages(owner: Person) -> None:
    task = make_task(owner)
    for number in range(4):
        owner.patch(path_of(task), {"title": f"{number}"})
    whole = [entry["id"] for entry in history(owner, task)]
    first = owner.get(f"{path_of(task)}/history?per_page=3").json
    rest = owner.get(f"{path_of(task)}/history?cursor={first['next_cursor']}").json
    assert [entry["id"] for entry in first["items"] + rest["items"]] == whole
    assert first["total"] == len(whole) == 5


@pytest.mark.one_database
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_changes_it(admin: Person, method: str) -> None:
    task = make_task(admin)
    assert admin.call(method, f"{path_of(task)}/history").status_code == 405


def test_who_is_gone_has_no_name_in_it(owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    teammate.patch(path_of(task), {"title": "Tea"})
    close(teammate)
    unassigned, changed, _created = history(owner, task)
    assert (unassigned["actor"], changed["actor"]) == (None, None)
    assert [change["field"] for change in unassigned["changes"]] == ["assignee_id"]
