"""The action create_task"""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.actions.create_task import CreateTaskParams, create_task
from taskapi.schedules.actions.templates import values_of
from tests.people import Person
from tests.schedules.actions.calling import run_now
from tests.schedules.making import at, make
from tests.work import run_jobs


def plan(person: Person, **params: Any) -> dict[str, Any]:
    return make(person, action="create_task", params={"title": "Tea", **params}, cron="0 9 * * 1")


def context_of(person: Person, *, run_id: UUID, timezone: str = "UTC") -> RunContext:
    return RunContext(
        run_id=run_id,
        schedule_id=run_id,
        schedule_name="Tea",
        owner_id=person.id,
        scheduled_for=at("2026-12-31 23:30"),
        attempt=1,
        timezone=timezone,
    )


RUN = UUID("01999999-0000-7000-8000-000000000000")


def refused(person: Person, **params: Any) -> dict[str, list[str]]:
    body = {"action": "create_task", "params": {"title": "Tea", **params}, "cron": "0 9 * * 1"}
    answer = person.post("/api/schedules", body)
    assert answer.status_code == 422, answer.text
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors


def test_a_run_makes_a_task_of_its_owners(app: Flask, owner: Person, teammate: Person) -> None:
    fields = {"description": "Hot", "priority": "high", "tags": ["drinks"], "notify_overdue": False}
    run = run_now(app, owner, plan(owner, **fields, assignee_id=str(teammate.id), due_in="PT2H"))
    assert run["status"] == "completed", run["error"]
    task = teammate.get(f"/api/tasks/{run['result']['task_id']}").json
    expected = {**fields, "title": "Tea", "status": "todo", "creator_id": str(owner.id)}
    assert {name: task[name] for name in expected} | {"tags": ["drinks"]} == expected
    assert [tag["name"] for tag in task["tags"]] == ["drinks"]
    assert at(task["due_date"][:19]) - at(run["scheduled_for"][:19]) == at("2026-01-01 02:00") - at(
        "2026-01-01"
    )


def test_an_attempt_after_the_first_makes_no_second_task(context: Flask, owner: Person) -> None:
    params = CreateTaskParams().load({"title": "Tea"})
    results = [create_task(context_of(owner, run_id=RUN), params) for _ in range(2)]
    assert results == [{"task_id": str(RUN)}] * 2
    assert [task["id"] for task in owner.get("/api/tasks").json["items"]] == [str(RUN)]


def test_a_task_that_was_deleted_meanwhile_stays_deleted(context: Flask, owner: Person) -> None:
    params = CreateTaskParams().load({"title": "Tea"})
    create_task(context_of(owner, run_id=RUN), params)
    assert owner.delete(f"/api/tasks/{RUN}").status_code == 204
    create_task(context_of(owner, run_id=RUN), params)
    assert owner.get("/api/tasks").json["total"] == 0


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("template", "timezone", "text"),
    [
        ("{date} {time}", "UTC", "2026-12-31 23:30"),
        ("{date} {time}", "Europe/Paris", "2027-01-01 00:30"),
        ("{weekday}, {day} {month} {year}", "UTC", "Thursday, 31 December 2026"),
        ("Week {week}", "Europe/Paris", "Week 53"),
        ("{{date}} {{", "UTC", "{date} {"),
        ("{run}", "UTC", str(RUN)),
    ],
)
def test_placeholders_tell_of_the_due_time_where_the_schedule_is(
    context: Flask, owner: Person, template: str, timezone: str, text: str
) -> None:
    params = CreateTaskParams().load({"title": template, "description": template})
    create_task(context_of(owner, run_id=RUN, timezone=timezone), params)
    task = owner.get(f"/api/tasks/{RUN}").json
    assert (task["title"], task["description"]) == (text, text)


@pytest.mark.one_database
def test_the_zone_is_that_of_the_schedule(app: Flask, owner: Person) -> None:
    schedule = make(
        owner,
        action="create_task",
        params={"title": "{date} {time}"},
        timezone="Asia/Kathmandu",
        cron="0 9 * * 1",
    )
    run = run_now(app, owner, schedule)
    values = values_of(at(run["scheduled_for"][:19]), "Asia/Kathmandu", RUN)
    title = owner.get(f"/api/tasks/{run['result']['task_id']}").json["title"]
    assert title == f"{values['date']} {values['time']}"


@pytest.mark.one_database
@pytest.mark.parametrize(
    "template", ["{name}", "{}", "{0}", "{", "}", "{date!r}", "{date:>9}", "{date.year}", "{date[0]}"]
)
@pytest.mark.parametrize("field", ["title", "description"])
def test_a_template_that_cannot_be_filled_in_is_refused(owner: Person, field: str, template: str) -> None:
    assert list(refused(owner, **{field: template})) == [f"params.{field}"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 195 + "{month}"}, "title"),
        ({"due_in": -1}, "due_in"),
        ({"due_in": "P1M"}, "due_in"),
        ({"due_date": "2030-01-01T00:00:00Z"}, "due_date"),
        ({"external_id": "T-1"}, "external_id"),
        ({"status": "overdue"}, "status"),
        ({"assignee_id": str(RUN)}, "assignee_id"),
    ],
)
def test_what_no_task_can_be_is_refused(owner: Person, params: dict[str, Any], field: str) -> None:
    assert list(refused(owner, **params)) == [f"params.{field}"]


def leave(app: Flask, person: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, person.id).is_active = False


def test_an_assignee_who_left_fails_the_run_for_good(app: Flask, owner: Person, teammate: Person) -> None:
    schedule = plan(owner, assignee_id=str(teammate.id))
    leave(app, teammate)
    run = run_now(app, owner, schedule)
    assert (run["status"], run["attempt"], run["error"]["code"]) == ("failed", 1, "validation_error")
    assert "assignee_id: There is no active user" in run["error"]["message"]


def test_an_owner_who_left_makes_no_tasks(app: Flask, owner: Person, admin: Person) -> None:
    schedule = plan(owner)
    run_id = owner.post(f"/api/schedules/{schedule['id']}/run").json["id"]
    leave(app, owner)
    run_jobs(app)
    run = admin.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["error"]["code"]) == ("failed", "owner_inactive")
    assert admin.get("/api/tasks").json["total"] == 0
