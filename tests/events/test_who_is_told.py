"""Whoever the API shows a thing is told of it, with the same words; nobody else is."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from taskapi.core.db import transaction
from taskapi.core.following import followed_kinds
from taskapi.notifications.service import notify
from tests.events.following import relay
from tests.files.uploading import TEXT, upload
from tests.people import Person, make_person, program_of, set_role
from tests.schedules.making import make
from tests.settings import settings_changed
from tests.tasks.importing import send_table
from tests.tasks.making import make_task, path_of
from tests.tasks.test_attachments import attached
from tests.work import run_jobs

Thing = tuple[str, str]
# Where the API lists the things of each kind; of comments, those of a task.
LISTS = {
    "task": "/api/tasks",
    "tag": "/api/tags",
    "file": "/api/files",
    "schedule": "/api/schedules",
    "run": "/api/runs",
    "import": "/api/tasks/imports",
    "notification": "/api/notifications",
}


@pytest.fixture
def people(app: Flask, owner: Person, teammate: Person, stranger: Person, admin: Person) -> dict[str, Person]:
    """The teammate is the task's assignee; the commentator wrote there while the task was theirs."""
    commentator = make_person(app, "carla@example.org")
    return {
        "owner": owner,
        "assignee": teammate,
        "stranger": stranger,
        "admin": admin,
        "commentator": commentator,
    }


@pytest.fixture
def task(people: dict[str, Person]) -> dict[str, Any]:
    """One of everything, of the owner's and around their task."""
    owner, commentator = people["owner"], people["commentator"]
    made = make_task(owner, assignee_id=str(commentator.id), tags=["kitchen"])
    commentator.post(f"{path_of(made)}/comments", {"content": "Mine, for now."})
    attached(commentator, made, "theirs.txt")
    owner.patch(path_of(made), {"assignee_id": str(people["assignee"].id)})
    owner.post(f"{path_of(made)}/comments", {"content": "Now @tariq's."})
    attached(owner, made)
    assert upload(owner, TEXT).status_code == 201
    webhook = {"url": "https://example.org/hook", "method": "POST", "secret": "of the owner"}
    schedule = make(owner, every=3600, action="webhook", params=webhook)
    assert owner.post(f"/api/schedules/{schedule['id']}/run").status_code == 202
    assert send_table(owner, "title\nImported\n").status_code == 202
    with owner.client.application.app_context(), transaction():
        notify(key="one", user_id=owner.id, kind="reminder", title="Tea", message="")
    return made


def as_told(person: Person) -> dict[Thing, Any]:
    """How a client that begins with nothing sees the things after it has read all changes."""
    relay(person)
    page = person.get("/api/changes", query_string={"limit": 500}).json
    assert not page["more"]
    seen = {}
    for item in page["items"]:
        thing = (item["subject"]["type"], item["subject"]["id"])
        seen[thing] = None if item["deleted"] else item["data"]
    return seen


def as_listed(person: Person, task_ids: set[str]) -> dict[Thing, Any]:
    """The same by the API's lists."""
    lists = list(LISTS.items())
    lists += [("comment", f"/api/tasks/{task_id}/comments") for task_id in task_ids]
    found: dict[Thing, Any] = {}
    for kind, path in lists:
        answer = person.get(path, query_string={"per_page": 100})
        assert answer.status_code in (200, 404), answer.text
        found |= {(kind, item["id"]): item for item in (answer.json.get("items") or [])}
    return found


def compare(people: dict[str, Person]) -> dict[str, set[str]]:
    """What each person is told is what they are shown; the kinds of things that they see."""
    feeds = {name: as_told(person) for name, person in people.items()}
    tasks = {thing_id for seen in feeds.values() for kind, thing_id in seen if kind == "task"}
    for name, person in people.items():
        told = {thing: data for thing, data in feeds[name].items() if data is not None}
        listed = as_listed(person, tasks)
        assert told.keys() - listed.keys() == set(), f"{name} is told of what they do not see"
        assert {thing: told.get(thing) for thing in listed} == listed, f"to {name}"
    return {name: {kind for (kind, _), data in seen.items() if data} for name, seen in feeds.items()}


def test_all_kinds_are_told_to_whom_they_are_shown(people: dict[str, Person], task: dict[str, Any]) -> None:
    kinds = compare(people)
    assert kinds["owner"] == set(followed_kinds()) == {*LISTS, "comment"}
    assert kinds["admin"] == set(followed_kinds()) - {"notification"}
    assert kinds["assignee"] == {"task", "comment", "file", "tag", "notification"}
    assert kinds["commentator"] == {"tag", "file"}
    assert kinds["stranger"] == {"tag"}


# One after the other.
STEPS: dict[str, Callable[[Person, dict[str, Any]], object]] = {
    "edited": lambda owner, task: owner.patch(path_of(task), {"title": "Tea", "priority": "high"}),
    "worked on": lambda owner, task: run_jobs(owner.client.application),
    "deleted": lambda owner, task: owner.delete(path_of(task)),
    "restored": lambda owner, task: owner.post(f"{path_of(task)}/restore"),
    "unassigned": lambda owner, task: owner.patch(path_of(task), {"assignee_id": None}),
    "emptied": lambda owner, task: empty(owner),
}


def empty(owner: Person) -> None:
    """Delete everything of theirs that can be."""
    for kind in ("file", "tag", "schedule", "task"):
        for item in owner.get(LISTS[kind]).json["items"]:
            assert owner.delete(f"{LISTS[kind]}/{item['id']}").status_code == 204


@pytest.mark.one_database
def test_so_it_stays_through_all_that_happens_to_them(
    people: dict[str, Person], task: dict[str, Any]
) -> None:
    relay(people["owner"])
    for step in STEPS.values():
        step(people["owner"], task)
        compare(people)


@pytest.mark.one_database
def test_where_all_see_all_tasks_all_are_told_of_them(
    app: Flask, people: dict[str, Person], task: dict[str, Any]
) -> None:
    some = {name: people[name] for name in ("assignee", "stranger")}
    with settings_changed(app, team_sees_tasks=True):
        kinds = compare(some)
    assert kinds["stranger"] == {"task", "comment", "file", "tag"}


@pytest.mark.one_database
def test_who_is_an_administrator_for_a_while_is_told_as_one_for_that_while(
    context: Flask, people: dict[str, Person], task: dict[str, Any]
) -> None:
    some = {name: people[name] for name in ("owner", "stranger")}
    for role, sees in (("admin", True), ("user", False)):
        with transaction():
            set_role(people["stranger"].email, role)
        assert ("schedule" in compare(some)["stranger"]) is sees


@pytest.mark.one_database
def test_a_secret_is_hidden_as_everywhere(people: dict[str, Person], task: dict[str, Any]) -> None:
    told = as_told(people["owner"])
    params = [data["params"] for (kind, _), data in told.items() if kind in ("schedule", "run")]
    assert [one["secret"] for one in params] == ["***", "***"]


@pytest.mark.one_database
def test_a_token_that_may_only_read_makes_no_administrator(
    people: dict[str, Person], task: dict[str, Any]
) -> None:
    reader = program_of(people["admin"], "read")
    assert {kind for kind, _ in as_told(reader)} == {"tag"}
