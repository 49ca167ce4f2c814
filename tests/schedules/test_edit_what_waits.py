"""Changing a schedule while due times wait for their verdict: paused, or set aside."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from taskapi.core.db import session, transaction
from taskapi.schedules import editing
from taskapi.schedules.engine import dispatch
from taskapi.schedules.models import Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import dispatch_all, tick

QUIET: dict[str, Any] = {"notify": []}


def edit(owner: Person, schedule: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = owner.patch(f"/api/schedules/{schedule['id']}", changes)
    assert answer.status_code == 200, answer.text
    edited: dict[str, Any] = answer.json
    return edited


def verdicts(owner: Person, schedule: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(run["scheduled_for"][11:16], run["status"], run["reason"]) for run in runs_of(owner, schedule)]


@pytest.mark.parametrize(("column", "stored"), [("cron", "garbage"), ("timezone", "Mars/Base")])
@pytest.mark.parametrize("passed", [{"seconds": 1}, {"hours": 2}])
def test_what_can_no_longer_be_read_is_mended(
    context: Flask, owner: Person, time: Time, column: str, stored: str, passed: dict[str, float]
) -> None:
    schedule = make(owner, cron="0 10 * * *", timezone="UTC", **QUIET)
    with transaction():
        session().execute(sa.update(Schedule).values({column: stored}))
    time.pass_(**passed)
    dispatch_all()
    refused = owner.patch(f"/api/schedules/{schedule['id']}", {"jitter": 1})
    assert (refused.status_code, list(refused.json["errors"])) == (422, [column])
    edited = edit(owner, schedule, cron="0 12 * * *", timezone="UTC")
    assert (edited["next_run_at"], edited["fault"]) == ("2026-11-20T12:00:00Z", None)
    time.pass_(hours=3)
    tick(context)
    assert verdicts(owner, schedule) == [("12:00", "completed", None)]


def test_what_was_set_aside_for_a_passing_reason_keeps_its_due_times(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(owner, every=600, catch_up="all", overlap="allow", **QUIET)
    time.pass_(minutes=31)
    with monkeypatch.context() as broken:
        broken.setattr(dispatch, "plan_schedule", lambda *_args, **_kwargs: 1 / 0)
        dispatch_all()
    assert "ZeroDivisionError" in owner.get(f"/api/schedules/{schedule['id']}").json["fault"]
    assert edit(owner, schedule, jitter=1)["fault"] is None
    tick(context)
    assert verdicts(owner, schedule) == [(f"09:{minute}", "completed", None) for minute in (10, 20, 30)]


def test_a_fault_of_the_database_loses_no_due_time(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("no space left on device"))

    schedule = make(owner, every=600, **QUIET)
    time.pass_(minutes=10)
    with monkeypatch.context() as broken:
        broken.setattr(dispatch, "plan_schedule", fail)
        answer = owner.patch(f"/api/schedules/{schedule['id']}", {"every": 3600})
    assert answer.status_code >= 500
    tick(context)
    assert verdicts(owner, schedule) == [("09:10", "completed", None)]


def test_a_change_of_the_name_lets_it_be_planned_again(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=600, **QUIET)
    with transaction():
        values = {"fault": "It was so", "set_aside_until": time.now.replace(hour=20)}
        session().execute(sa.update(Schedule).values(values))
    assert edit(owner, schedule, name="Tea")["fault"] is None
    time.pass_(minutes=10)
    tick(context)
    assert verdicts(owner, schedule) == [("09:10", "completed", None)]


@pytest.mark.parametrize("changes", [{"name": "Tea"}, {"every": 600}])
def test_why_it_paused_by_itself_is_still_told(
    context: Flask, owner: Person, time: Time, changes: dict[str, Any]
) -> None:
    schedule = make(owner, every=60, **QUIET)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    with transaction():
        session().execute(sa.update(Schedule).values(fault="It failed too often"))
    time.pass_(minutes=3)
    assert edit(owner, schedule, **changes)["fault"] == "It failed too often"


def test_one_that_was_paused_for_long_can_be_changed_after_some_tries(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "MAX_WAITING", 500)
    schedule = make(owner, every=1, **QUIET)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=1200)
    path, answers = f"/api/schedules/{schedule['id']}", []
    for _ in range(2):
        answers.append(owner.patch(path, {"cron": "0 12 * * *"}))
        dispatch_all()
    assert [answer.status_code for answer in answers] == [409, 200]
    assert answers[0].headers["Retry-After"] == "5"
    assert (answers[1].json["status"], answers[1].json["stats"]) == ("paused", {"skipped": 1200})
    assert answers[1].json["version"] == owner.get(path).json["version"] == 3


def test_jitter_starts_nothing_in_a_pause(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 10 * * *", jitter=3600, **QUIET)
    time.pass_(minutes=50)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(minutes=10, seconds=1)
    edit(owner, schedule, cron="0 12 * * *")
    tick(context)
    assert verdicts(owner, schedule) == [("10:00", "skipped", "paused")]
    (run,) = runs_of(owner, schedule)
    assert run["finished_at"] == "2026-11-20T10:00:01Z", "not when its jitter would have been over"


def test_a_run_that_comes_ahead_of_its_jitter_is_not_early(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 10 * * *", jitter=3600, **QUIET)
    time.pass_(hours=1, seconds=1)
    edit(owner, schedule, cron="0 12 * * *")
    tick(context)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["lag_ms"], run["queued_at"]) == ("completed", 0, "2026-11-20T10:00:01Z")


@pytest.mark.parametrize(
    ("catch_up", "before"),
    [
        ("all", [("completed", None), ("completed", None)]),
        ("latest", [("skipped", "catch_up"), ("completed", None)]),
        ("skip", [("skipped", "catch_up"), ("skipped", "catch_up")]),
    ],
)
def test_what_fell_due_before_the_pause_is_judged_by_the_own_policy(
    context: Flask, owner: Person, time: Time, catch_up: str, before: list[tuple[str, str | None]]
) -> None:
    schedule = make(owner, every=600, catch_up=catch_up, overlap="allow", **QUIET)
    # No scheduler was running when two of them fell due.
    time.pass_(minutes=20, seconds=30)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(minutes=20)
    edit(owner, schedule, cron="0 12 * * *")
    tick(context)
    assert [verdict[1:] for verdict in verdicts(owner, schedule)] == [*before, *[("skipped", "paused")] * 2]
