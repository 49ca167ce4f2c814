"""PUT and PATCH /api/tasks/{id}"""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.core.events import Event
from tests.people import Person
from tests.schedules.test_races import at_once, with_own_client
from tests.tasks.making import make_task, path_of


def events_of(app: Flask, task: dict[str, Any]) -> list[Event]:
    with app.app_context():
        wanted = sa.select(Event).where(Event.subject_type == "task").order_by(Event.id)
        return [event for event in session().scalars(wanted) if str(event.subject_id) == task["id"]]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_what_is_sent_changes(app: Flask, owner: Person, method: str) -> None:
    task = make_task(owner, description="Old", priority="low", tags=["home"], city=None)
    answer = owner.call(method, path_of(task), {"title": "Tea", "tags": ["garden"]})
    assert answer.status_code == 200
    changed = answer.json
    differs = {name for name in task if task[name] != changed[name]}
    assert differs == {"title", "tags", "version", "updated_at"}
    assert (changed["version"], changed["tags"][0]["name"]) == (2, "garden")
    event = events_of(app, task)[-1]
    assert (event.type, event.actor_id, event.owner_id) == ("task.updated", owner.id, owner.id)
    assert event.before == {"title": "Water the plants", "tags": ["home"]}
    assert event.after == {"title": "Tea", "tags": ["garden"]}


def test_what_is_so_already_is_no_change(app: Flask, owner: Person) -> None:
    task = make_task(owner, tags=["home", "garden"], due_date="2030-01-01T00:00:00Z", status="done")
    body = {"title": " Water the plants ", "tags": ["GARDEN", "home"], "status": "completed"}
    same = {"due_date": "2030-01-01T01:00:00+01:00", "description": None, "assignee_id": None}
    answer = owner.patch(path_of(task), {**body, **same})
    assert (answer.status_code, answer.json) == (200, task)
    assert owner.patch(path_of(task), {}).json == task
    assert [event.type for event in events_of(app, task)] == ["task.created"]


def test_what_is_set_to_nothing_is_gone(owner: Person, teammate: Person) -> None:
    fields = {"due_date": "2030-01-01", "external_id": "7", "assignee_id": str(teammate.id), "tags": ["home"]}
    task = make_task(owner, description="Long", **fields)
    nothing: dict[str, Any] = {**dict.fromkeys(fields), "tags": [], "description": None}
    changed = owner.patch(path_of(task), nothing).json
    assert {name: changed[name] for name in nothing} == {**nothing, "description": ""}


def test_the_status_tells_when_it_was_completed(owner: Person) -> None:
    task = make_task(owner)
    done = owner.patch(path_of(task), {"status": "done"}).json
    assert done["completed_at"] == done["updated_at"]
    edited = owner.patch(path_of(task), {"title": "Tea"}).json
    assert edited["completed_at"] == done["completed_at"]
    assert owner.patch(path_of(task), {"status": "in_progress"}).json["completed_at"] is None


@pytest.mark.one_database
@pytest.mark.parametrize(
    "body",
    [
        {"title": None},
        {"status": "overdue"},
        {"status": None},
        {"tags": None},
        {"priority": None},
        {"version": 7},
        {"creator_id": "01999999-0000-7000-8000-000000000000"},
        {"completed_at": "2030-01-01T00:00:00Z"},
        {"assignee_id": "01999999-0000-7000-8000-000000000000"},
        {"tags": ["01999999-0000-7000-8000-000000000000"]},
    ],
    ids=str,
)
def test_what_makes_no_sense_changes_nothing(owner: Person, body: dict[str, Any]) -> None:
    task = make_task(owner)
    answer = owner.patch(path_of(task), {**body, "description": "New"})
    assert (answer.status_code, list(answer.json["errors"])) == (422, list(body))
    assert owner.get(path_of(task)).json == task


def test_its_assignee_does_not_choose_by_what_id_its_creators_programs_find_it(
    owner: Person, teammate: Person, admin: Person
) -> None:
    task = make_task(owner, assignee_id=str(teammate.id), external_id="7")
    for external_id in ("8", None):
        answer = teammate.patch(path_of(task), {"external_id": external_id, "title": "Coffee"})
        assert (answer.status_code, answer.json["code"]) == (403, "task_forbidden")
    assert teammate.patch(path_of(task), {"external_id": "7", "title": "Coffee"}).status_code == 200
    for number, person in enumerate((owner, admin)):
        assert person.patch(path_of(task), {"external_id": f"{number}"}).status_code == 200


def test_its_assignee_and_admins_change_it_too_and_a_stranger_sees_none(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    task = make_task(owner)
    refused = teammate.patch(path_of(task), {"title": "Mine"})
    assert (refused.status_code, refused.json["code"]) == (404, "task_not_found")
    assert admin.patch(path_of(task), {"assignee_id": str(teammate.id)}).status_code == 200
    assert teammate.patch(path_of(task), {"title": "Ours"}).json["title"] == "Ours"
    assert [event.actor_id for event in events_of(app, task)] == [owner.id, admin.id, teammate.id]


def test_who_gives_a_task_away_sees_it_once_more_in_the_answer(owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    answer = teammate.patch(path_of(task), {"assignee_id": None})
    assert (answer.status_code, answer.json["assignee_id"]) == (200, None)
    assert teammate.get(path_of(task)).status_code == 404


def test_another_tasks_outside_id_is_taken(owner: Person) -> None:
    make_task(owner, external_id="7")
    task = make_task(owner, external_id="8")
    answer = owner.patch(path_of(task), {"external_id": "7"})
    assert (answer.status_code, answer.json["code"]) == (409, "external_id_taken")
    assert owner.get(path_of(task)).json == task


def test_of_many_edits_of_one_version_one_is_made(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    headers = {"If-Match": owner.get(path_of(task)).headers["ETag"]}

    def change(position: int) -> int:
        person = with_own_client(app, owner)
        return person.patch(path_of(task), {"title": f"Tea {position}"}, headers=headers).status_code

    assert at_once(app, 8, change) == {200: 1, 412: 7}
    assert owner.get(path_of(task)).json["version"] == 2


def test_edits_of_different_fields_at_once_are_all_made(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    changes = [{"title": "Tea"}, {"priority": "low"}, {"tags": ["home"]}, {"description": "New"}]

    def change(position: int) -> int:
        return with_own_client(app, owner).patch(path_of(task), changes[position]).status_code

    assert at_once(app, 4, change) == {200: 4}
    shown = owner.get(path_of(task)).json
    assert (shown["title"], shown["priority"], shown["description"]) == ("Tea", "low", "New")
    assert (shown["tags"][0]["name"], shown["version"]) == ("home", 5)
