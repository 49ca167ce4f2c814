"""POST /api/tasks"""

from typing import Any

import pytest
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from tests.people import Person, make_person
from tests.schedules.test_races import at_once, with_own_client
from tests.tasks.making import make_task, path_of

ID = "01999999-0000-7000-8000-000000000000"
FULL = {
    "title": "Water the plants",
    "description": "All of them.\n\nTwice.",
    "status": "in_progress",
    "priority": "high",
    "due_date": "2030-01-02T03:04:05Z",
    "notify_overdue": False,
    "external_id": "JIRA/7",
}


def test_a_title_is_enough(owner: Person) -> None:
    answer = owner.post("/api/tasks", {"title": "  Tea  "})
    assert answer.status_code == 201
    task = answer.json
    assert answer.headers["Location"] == path_of(task)
    unset = dict.fromkeys(
        ("due_date", "assignee_id", "external_id", "city", "weather", "completed_at"),
    )
    none = dict.fromkeys(("comment_count", "file_count"), 0)
    expected: dict[str, Any] = {
        **unset,
        **none,
        "title": "Tea",
        "description": "",
        "status": "todo",
        "priority": "medium",
        "notify_overdue": True,
        "creator_id": str(owner.id),
        "tags": [],
        "version": 1,
        "comments": [],
        "files": [],
    }
    assert {name: task[name] for name in expected} == expected
    assert task["created_at"] == task["updated_at"]
    assert set(task) == {*expected, "id", "created_at", "updated_at"}


def test_it_is_shown_as_it_was_sent(owner: Person, teammate: Person) -> None:
    made = make_task(owner, **FULL, assignee_id=str(teammate.id), tags=["Garden", "home"])
    shown = teammate.get(path_of(made))
    assert shown.json == made
    assert {name: made[name] for name in FULL} == FULL
    assert made["assignee_id"] == str(teammate.id)
    assert [tag["name"] for tag in made["tags"]] == ["Garden", "home"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", None),
        ("title", "x" * 201),
        ("title", "a\nb"),
        ("title", 7),
        ("description", "x" * 50_001),
        ("description", "\x07"),
        ("status", "overdue"),
        ("status", "OVERDUE"),
        ("status", "nearly"),
        ("status", None),
        ("priority", "highest"),
        ("due_date", "2030-01-02T03:04:05"),
        ("due_date", "2030-02-30"),
        ("due_date", "2999-01-01"),
        ("due_date", "1066-10-14"),
        ("due_date", "soon"),
        ("due_date", 1),
        ("notify_overdue", "perhaps"),
        ("assignee_id", "olivia"),
        ("external_id", ""),
        ("external_id", "x" * 201),
        ("external_id", "a\x07b"),
        ("city", ""),
        ("tags", "home"),
        ("tags", [""]),
        ("tags", ["x" * 51]),
        ("tags", [str(number) for number in range(51)]),
        ("created_at", "2030-01-02T03:04:05Z"),
        ("creator_id", ID),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(owner: Person, field: str, value: Any) -> None:
    answer = owner.post("/api/tasks", {"title": "Tea", field: value})
    assert answer.status_code == 422
    assert [name.split(".")[0] for name in answer.json["errors"]] == [field]


@pytest.mark.one_database
def test_without_a_title_it_is_refused(owner: Person) -> None:
    answer = owner.post("/api/tasks", {})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["title"])


@pytest.mark.one_database
def test_words_are_read_in_any_case_and_older_ones_are_understood(owner: Person) -> None:
    task = make_task(owner, status="COMPLETED", priority="Urgent", description=None)
    assert (task["status"], task["priority"], task["description"]) == ("done", "urgent", "")
    assert task["completed_at"] == task["created_at"]


@pytest.mark.one_database
def test_a_plain_date_is_the_end_of_that_day_where_one_is(app: Flask) -> None:
    person = make_person(app, "kai@example.org", timezone="Pacific/Auckland")
    assert make_task(person, due_date="2030-01-02")["due_date"] == "2030-01-02T10:59:59Z"


def test_all_that_is_wrong_with_what_is_named_is_said_at_once(owner: Person) -> None:
    answer = owner.post("/api/tasks", {"title": "Tea", "assignee_id": ID, "tags": [ID]})
    assert answer.status_code == 422
    assert answer.json["errors"].keys() == {"assignee_id", "tags"}


def test_who_was_switched_off_this_moment_makes_nothing(app: Flask, owner: Person, admin: Person) -> None:
    # Their session is still believed: whoever switched them off has not said so yet.
    assert owner.get("/api/tasks").json["total"] == 0
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    answer = owner.post("/api/tasks", {"title": "Tea"})
    assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")
    assert admin.get("/api/tasks").json["total"] == 0


def test_only_who_is_there_and_active_is_assigned(app: Flask, owner: Person, teammate: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, teammate.id).is_active = False
    gone = make_person(app, "gus@example.org")
    assert gone.delete("/api/auth/me", json={"password": "correct horse battery"}).status_code == 204
    for user_id in (teammate.id, gone.id, ID):
        answer = owner.post("/api/tasks", {"title": "Tea", "assignee_id": str(user_id)})
        assert answer.json["errors"] == {"assignee_id": ["There is no active user with this id."]}
    assert owner.get("/api/tasks").json["total"] == 0


def test_tags_are_found_by_name_in_any_case_and_by_id_and_made_when_new(
    owner: Person, teammate: Person
) -> None:
    tag = make_task(teammate, tags=["Home"])["tags"][0]
    task = make_task(owner, tags=["garden", "HOME", tag["id"], " home ", "Garden"])
    assert [found["name"] for found in task["tags"]] == ["garden", "Home"]
    assert task["tags"][1] == tag
    answer = owner.post("/api/tasks", {"title": "Tea", "tags": [ID]})
    assert answer.json["errors"] == {"tags": ["There is no tag with this id."]}


def test_one_outside_id_is_one_task_of_its_creator(owner: Person, teammate: Person) -> None:
    make_task(owner, external_id="7")
    answer = owner.post("/api/tasks", {"title": "Tea", "external_id": "7"})
    assert (answer.status_code, answer.json["code"]) == (409, "external_id_taken")
    make_task(teammate, external_id="7")
    make_task(owner)
    make_task(owner)


def test_the_outside_id_of_a_deleted_task_is_free(owner: Person) -> None:
    first = make_task(owner, external_id="7")
    owner.delete(path_of(first))
    second = make_task(owner, external_id="7")
    answer = owner.post(f"{path_of(first)}/restore")
    assert (answer.status_code, answer.json["code"]) == (409, "external_id_taken")
    owner.patch(path_of(second), {"external_id": None})
    assert owner.post(f"{path_of(first)}/restore").json["external_id"] == "7"


def test_of_many_with_one_outside_id_at_once_one_is_made(app: Flask, owner: Person) -> None:
    def post(_position: int) -> int:
        body = {"title": "Tea", "external_id": "7", "tags": ["home"]}
        return with_own_client(app, owner).post("/api/tasks", body).status_code

    assert at_once(app, 4, post) == {201: 1, 409: 3}
    assert owner.get("/api/tasks").json["total"] == 1


def test_the_same_key_makes_one_task(owner: Person) -> None:
    headers = {"Idempotency-Key": "once"}
    first = owner.post("/api/tasks", {"title": "Tea"}, headers=headers)
    again = owner.post("/api/tasks", {"title": "Tea"}, headers=headers)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = owner.post("/api/tasks", {"title": "Coffee"}, headers=headers)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert owner.get("/api/tasks").json["total"] == 1
