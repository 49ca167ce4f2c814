"""start_deadline and finish_deadline: what does not start or finish in time is told within seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.engine import watch as watching
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, at, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, tick, watch

SQLITE = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
HOURLY = {"every": 3600, "notify": ["failed"]}


def kinds(person: Person) -> list[str]:
    return [item["type"] for item in person.get("/api/notifications").json["items"]]


def notifications(person: Person) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = person.get("/api/notifications").json["items"]
    return items


def pass_an_hour(app: Flask, time: Time, *, redis: bool = True) -> None:
    """The hour's due time is dispatched, and no worker is there to take it."""
    time.pass_(hours=1)
    with app.app_context():
        dispatch_all()
        if redis:
            redis_client().flushdb()


def test_a_run_that_nobody_started_in_time_is_skipped_and_told(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY, name="Backup", start_deadline="PT5M")
    pass_an_hour(app, time)
    time.pass_(minutes=5)
    watch(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["pending"], "there is time still"
    time.pass_(seconds=1)
    watch(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["reason"], run["started_at"]) == ("skipped", "too_late", None)
    (told,) = notifications(owner)
    assert (told["type"], told["title"]) == ("run_missed", "Missed: Backup")
    assert told["message"] == (
        "The run due on Fri 20 Nov 2026, 10:00 (UTC) was not started by its deadline and was skipped."
    )
    watch(app)
    assert len(notifications(owner)) == 1


def test_it_is_told_while_redis_is_away(app: Flask, owner: Person, time: Time, redis_away: None) -> None:
    schedule = make(owner, **HOURLY, start_deadline=60)
    pass_an_hour(app, time, redis=False)
    time.pass_(seconds=61)
    watch(app)
    assert kinds(owner) == ["run_missed"]
    assert runs_of(owner, schedule)[0]["status"] == "skipped"


def test_a_worker_that_comes_too_late_does_not_start_it(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY, start_deadline=60)
    pass_an_hour(context, time)
    run_id = UUID(runs_of(owner, schedule)[0]["id"])
    time.pass_(seconds=61)
    with transaction():
        assert claims.claim_run(run_id, worker="late", lease_seconds=20) is None


def test_a_run_that_has_started_may_be_retried_after_its_start_deadline(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    def fail_once(context: RunContext) -> None:
        if context.attempt == 1:
            raise RuntimeError("not yet")

    probe.behave = fail_once
    schedule = make(owner, **HOURLY, action="probe", params={}, start_deadline=5, retry={"delay": 60})
    time.pass_(hours=1)
    tick(app)
    time.pass_(seconds=60)
    watch(app)
    tick(app)
    assert [(run["status"], run["attempt"]) for run in runs_of(owner, schedule)] == [("completed", 2)]
    assert kinds(owner) == []


def test_a_due_time_handled_after_its_start_deadline_is_told_once_for_all(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=60, overlap="allow", catch_up="all", start_deadline=90, notify=[])
    time.pass_(minutes=10)
    tick(app)
    watch(app)
    skipped = [run for run in runs_of(owner, schedule) if run["status"] == "skipped"]
    assert {run["reason"] for run in skipped} == {"too_late"}
    assert len(skipped) == 8
    missed = [item for item in notifications(owner) if item["type"] == "run_missed"]
    assert [item["message"].split(",")[0] for item in missed] == ["8 runs"]


def test_a_run_that_is_overdue_is_told_once_and_goes_on(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **HOURLY, action="probe", params={}, name="Report", finish_deadline="PT10M")

    def take_long(_context: RunContext) -> str:
        time.pass_(minutes=11)
        for _ in range(2):
            # The lease of a run in progress is renewed by the clock on the wall.
            watch(app, without=rescue_dead_leases)
        return "late, but done"

    probe.behave = take_long
    time.pass_(hours=1)
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["result"]) == ("completed", "late, but done")
    (told,) = notifications(owner)
    assert (told["type"], told["title"]) == ("run_overdue", "Overdue: Report")
    assert "should have finished by Fri 20 Nov 2026, 10:10 (UTC). It is in progress" in told["message"]


def test_a_run_that_waits_for_a_worker_is_overdue_too(app: Flask, owner: Person, time: Time) -> None:
    make(owner, **HOURLY, finish_deadline=600)
    pass_an_hour(app, time)
    time.pass_(seconds=601)
    watch(app)
    (told,) = notifications(owner)
    assert "It waits for a worker or for a retry" in told["message"]


def test_what_finished_in_time_is_never_overdue(app: Flask, owner: Person, time: Time) -> None:
    make(owner, **HOURLY, start_deadline=60, finish_deadline=600)
    time.pass_(hours=1)
    tick(app)
    time.pass_(minutes=30)
    watch(app)
    assert "run_overdue" not in kinds(owner)
    assert "run_missed" not in kinds(owner)


def test_a_run_by_hand_has_the_deadlines_too(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY, start_deadline=60, finish_deadline=600)
    owner.post(f"/api/schedules/{schedule['id']}/run")
    run = session().scalars(sa.select(Run)).one()
    assert (run.start_by, run.finish_by) == (
        time.now + timedelta(seconds=60),
        time.now + timedelta(seconds=600),
    )


def test_a_one_off_that_was_missed_is_over(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T10:00:00Z", start_deadline=60, notify=[])
    pass_an_hour(app, time)
    time.pass_(seconds=61)
    watch(app)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


def test_many_at_once_are_told_in_one_look(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=1, overlap="allow", catch_up="all", catch_up_limit=10_000, start_deadline=30)
    time.pass_(seconds=20)
    with app.app_context():
        dispatch_all()
        redis_client().flushdb()
    time.pass_(seconds=51)
    watch(app)
    (event,) = events(app, "schedule.runs_skipped")
    assert (event["count"], event["reasons"], event["missed"]) == (20, {"too_late": 20}, 20)
    assert {run["status"] for run in runs_of(owner, schedule)} == {"skipped"}


def test_a_backlog_takes_few_statements_and_one_batch_a_look(
    app: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BATCH", 20)
    many = {"every": 1, "overlap": "allow", "catch_up": "all", "start_deadline": 30}
    schedules = [make(owner, **many, max_runs=15) for _ in range(2)]
    time.pass_(seconds=15)
    with app.app_context():
        dispatch_all()
        redis_client().flushdb()
    time.pass_(seconds=46)
    with app.app_context():
        with counting_statements() as statements:
            assert watching.skip_late_starts() is True, "there is more"
        assert len(statements) < 30, statements
        assert watching.skip_late_starts() is False
    for schedule in schedules:
        found = owner.get(f"/api/schedules/{schedule['id']}").json
        assert (found["stats"], found["status"]) == ({"skipped": 15}, "completed")
        runs = runs_of(owner, schedule)
        assert {(run["status"], run["reason"], run["queued_at"]) for run in runs} == {
            ("skipped", "too_late", None)
        }


@contextmanager
def counting_statements() -> Iterator[list[str]]:
    """The statements that the block sends to the database."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def events(app: Flask, kind: str) -> list[dict[str, Any]]:
    with app.app_context():
        return [event.after or {} for event in session().scalars(sa.select(Event).where(Event.type == kind))]


def test_a_round_tells_once_per_schedule_what_it_skipped(app: Flask, owner: Person, time: Time) -> None:
    make(owner, every=60, overlap="skip", catch_up="all", catch_up_limit=2)
    time.pass_(minutes=10)
    with app.app_context():
        dispatch_all()
    (event,) = events(app, "schedule.runs_skipped")
    assert event["reasons"] == {"catch_up_limit": 6, "overlap": 3}
    assert event["count"] == 9
    assert (event["first"], event["last"]) == (at("2026-11-20 09:01").isoformat(), time.now.isoformat())


def test_what_catching_up_left_out_is_not_mailed(app: Flask, owner: Person, time: Time) -> None:
    make(owner, every=60, catch_up="skip", notify=[])
    time.pass_(minutes=10)
    tick(app)
    assert len(events(app, "schedule.runs_skipped")) == 1
    assert "run_missed" not in kinds(owner)


@SQLITE
@pytest.mark.parametrize("field", ["start_deadline", "finish_deadline"])
@pytest.mark.parametrize(
    ("sent", "answered"), [("PT5M", 300), (90.5, 90.5), (None, None), (0, 422), ("P1Y", 422)]
)
def test_a_deadline_is_a_duration_or_null(owner: Person, field: str, sent: object, answered: object) -> None:
    body = {"action": "reminder", "params": {"message": "Tea"}, "every": 60, field: sent}
    answer = owner.post("/api/schedules", body)
    if answered == 422:
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [field]
    else:
        assert (answer.status_code, answer.json[field]) == (201, answered)
