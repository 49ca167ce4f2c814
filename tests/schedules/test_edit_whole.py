"""PUT of what GET answered, and null for what does not apply."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.schedules.models import Schedule
from tests.people import Person
from tests.schedules.making import Time, make
from tests.work import tick

TRIGGERS: list[dict[str, Any]] = [
    {"cron": "0 10 * * *", "exclude": ["2026-12-25", "2026-11-21T10:00:00Z"]},
    {"every": 3600, "max_runs": 5, "pause_after": 3, "ends_at": "2027-01-01T00:00:00.123456Z"},
    {"rrule": "FREQ=DAILY\nEXDATE;VALUE=DATE:20261201", "starts_at": "2026-11-19T10:00:00Z"},
    {"run_at": "2026-11-20T10:00:00Z", "start_deadline": "PT5M", "finish_deadline": 600},
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: next(iter(trigger)))
def test_what_is_sent_back_as_it_was_answered_changes_nothing(
    context: Flask, owner: Person, time: Time, trigger: dict[str, Any]
) -> None:
    path = f"/api/schedules/{make(owner, **trigger)['id']}"
    time.pass_(minutes=59, seconds=59, milliseconds=987)
    answered = owner.get(path).json
    sent_back = owner.put(path, answered)
    assert (sent_back.status_code, sent_back.json) == (200, answered), sent_back.text
    time.pass_(minutes=1)
    tick(context)
    answered = owner.get(path).json
    assert answered["last_run"]["status"] == "completed"
    assert owner.put(path, answered).json == answered


def test_one_field_of_the_whole_is_changed(owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 10 * * *")
    path = f"/api/schedules/{schedule['id']}"
    time.pass_(minutes=5, milliseconds=1)
    edited = owner.put(path, {**schedule, "name": "Tea", "cron": None, "every": 600})
    assert edited.status_code == 200, edited.text
    assert (edited.json["name"], edited.json["cron"], edited.json["every"]) == ("Tea", None, 600)
    assert edited.json["version"] == 2
    assert edited.json["starts_at"] == "2026-11-20T09:05:00.001Z", "a start that nobody chose starts anew"


def test_null_says_none_of_these(owner: Person, time: Time) -> None:
    schedule = make(owner, cron=None, every=30, rrule=None, max_runs=None, ends_at=None)
    path = f"/api/schedules/{schedule['id']}"
    none = dict.fromkeys(("run_at", "cron", "every", "rrule"))
    assert owner.patch(path, none).json == schedule
    assert owner.patch(path, {"ends_at": "2027-01-01T00:00:00Z", "max_runs": 3}).json["max_runs"] == 3
    bare = owner.patch(path, {"ends_at": None, "max_runs": None, "name": None}).json
    assert (bare["ends_at"], bare["max_runs"], bare["name"]) == (None, None, schedule["name"])
    refused = owner.post("/api/schedules", {"action": "reminder", "params": {"message": "Tea"}, **none})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["run_at"])


def test_a_secret_that_was_hidden_stays(context: Flask, owner: Person, time: Time) -> None:
    params = {"url": "https://example.org/hook", "secret": "whsec_" + "c2VjcmV0" * 4}
    schedule = make(owner, action="webhook", params=params, every=60)
    path = f"/api/schedules/{schedule['id']}"
    sealed = session().scalar(sa.select(Schedule.params))
    session().rollback()
    assert schedule["params"]["secret"] == "***"
    assert owner.put(path, schedule).json == schedule
    assert owner.put(path, {**schedule, "name": "Hook"}).json["version"] == 2
    assert session().scalar(sa.select(Schedule.params)) == sealed


def test_an_action_that_is_gone_is_no_obstacle(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    path = f"/api/schedules/{schedule['id']}"
    with transaction():
        called = {"headers": {"Authorization": "Bearer of-the-receiver"}}
        session().execute(sa.update(Schedule).values(action="retired", params=called))
    answered = owner.get(path).json
    assert owner.put(path, {**answered, "timeout": 9}).json["timeout"] == 9


def test_three_stars_where_no_secret_is_sealed_are_what_was_sent(owner: Person, time: Time) -> None:
    """Who sends them instead of a header has changed it, whatever the log of changes would show."""
    call = {"url": "https://1.1.1.1/", "headers": {"Authorization": "Bearer of-the-receiver"}}
    schedule = make(owner, action="webhook", params=call, every=60)
    stars = {**call, "headers": {"Authorization": "***"}}
    edited = owner.patch(f"/api/schedules/{schedule['id']}", {"params": stars}).json
    assert edited["params"]["headers"] == {"Authorization": "***"}
    assert edited["version"] == 2
