"""Failures in a row: when the owner is told, when all is well again, when a schedule stops by itself."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.timing.retry import MAX_LOST_ATTEMPTS
from tests.notifications.outbox import mailed
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import tick

SQLITE = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
EVERY_MINUTE = {"action": "probe", "params": {}, "every": 60, "notify": ["failed"], "name": "Tea"}


def _fail(_context: RunContext) -> None:
    raise ActionFailed("The kettle is broken.", code="no_kettle", permanent=True)


def minutes(app: Flask, time: Time, probe: Probe, outcomes: str) -> None:
    """Let a minute pass for each letter: f for a run that fails, c for one that completes."""
    for outcome in outcomes:
        probe.behave = _fail if outcome == "f" else lambda _context: None
        time.pass_(minutes=1)
        tick(app)


def kinds(person: Person) -> list[str]:
    """What the person was told, oldest first."""
    items = person.get("/api/notifications", query_string={"per_page": 100}).json["items"]
    return [item["type"] for item in reversed(items)]


def shown(person: Person, schedule: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = person.get(f"/api/schedules/{schedule['id']}").json
    return found


@pytest.mark.parametrize(
    ("alert_after", "outcomes", "told"),
    [
        (1, "f", ["run_failed"]),
        (1, "ffc", ["run_failed", "run_failed", "run_recovered"]),
        (1, "fccf", ["run_failed", "run_recovered", "run_failed"]),
        (3, "ffc", []),
        (3, "ffcffc", []),
        (3, "fffc", ["run_failed", "run_recovered"]),
        (3, "ffffcc", ["run_failed", "run_failed", "run_recovered"]),
        (2, "cc", []),
    ],
)
def test_failures_are_told_from_the_nth_in_a_row_on_and_the_recovery_once(
    app: Flask, owner: Person, time: Time, probe: Probe, alert_after: int, outcomes: str, told: list[str]
) -> None:
    make(owner, **EVERY_MINUTE, alert_after=alert_after)
    minutes(app, time, probe, outcomes)
    assert kinds(owner) == told
    assert [kind for kind, _recipient in mailed(app)] == told


def test_the_schedule_shows_how_many_have_failed_in_a_row(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **EVERY_MINUTE)
    assert (schedule["failures_in_row"], schedule["alert_after"], schedule["pause_after"]) == (0, 1, None)
    minutes(app, time, probe, "ff")
    assert shown(owner, schedule)["failures_in_row"] == 2
    minutes(app, time, probe, "c")
    assert shown(owner, schedule)["failures_in_row"] == 0


def test_an_attempt_that_is_tried_again_is_no_failed_run(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **EVERY_MINUTE, retry={"max_attempts": 3, "delay": 10})

    def fail_for_now(_context: RunContext) -> None:
        raise RuntimeError("it may pass")

    probe.behave = fail_for_now
    time.pass_(minutes=1)
    tick(app)
    assert shown(owner, schedule)["failures_in_row"] == 0
    assert kinds(owner) == []


def test_who_does_not_ask_for_failures_is_told_neither_of_them_nor_of_the_recovery(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    make(owner, **{**EVERY_MINUTE, "notify": []})
    minutes(app, time, probe, "fc")
    assert kinds(owner) == []


def test_a_recovery_says_what_came_before_it(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    make(owner, **EVERY_MINUTE)
    minutes(app, time, probe, "ffc")
    newest = owner.get("/api/notifications").json["items"][0]
    assert (newest["title"], newest["message"]) == (
        "Recovered: Tea",
        "The run due on Fri 20 Nov 2026, 09:03 (UTC) completed, after 2 failed runs in a row.",
    )


def test_so_many_failures_in_a_row_pause_the_schedule_and_it_says_why(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **{**EVERY_MINUTE, "notify": []}, pause_after=2)
    minutes(app, time, probe, "fcffcc")
    found = shown(owner, schedule)
    assert (found["status"], found["failures_in_row"]) == ("paused", 2)
    assert found["fault"] == (
        "Paused by itself after 2 failed runs in a row. The last: no_kettle: The kettle is broken."
    )
    assert len(runs_of(owner, schedule)) == 4, "nothing runs while it is paused"
    (told,) = owner.get("/api/notifications").json["items"]
    assert (told["type"], told["title"], told["message"]) == (
        "schedule_paused",
        "Paused: Tea",
        found["fault"],
    )
    assert [kind for kind, _recipient in mailed(app)] == ["schedule_paused"]
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "schedule.paused")).one()
        assert event.after is not None
        assert (event.actor_id, event.after["reason"]) == (None, "failures")


def test_resuming_begins_to_count_anew_and_loses_no_due_time(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **EVERY_MINUTE, pause_after=1, catch_up="all", overlap="allow")
    minutes(app, time, probe, "fc")
    assert owner.post(f"/api/schedules/{schedule['id']}/resume").status_code == 200
    found = shown(owner, schedule)
    assert (found["status"], found["failures_in_row"], found["fault"]) == ("active", 0, None)
    minutes(app, time, probe, "cc")
    runs = runs_of(owner, schedule)
    assert [run["scheduled_for"][11:16] for run in runs] == ["09:01", "09:02", "09:03", "09:04"]
    assert [run["status"] for run in runs] == ["failed", "completed", "completed", "completed"]


def test_a_one_off_that_fails_is_completed_and_not_paused(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    once = {"action": "probe", "params": {}, "run_at": "2026-11-20T09:01:00Z", "pause_after": 1}
    schedule = make(owner, **once)
    minutes(app, time, probe, "f")
    assert shown(owner, schedule)["status"] == "completed"


def test_a_run_that_kills_its_workers_counts_as_a_failure(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **EVERY_MINUTE, pause_after=1)
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    for _ in range(MAX_LOST_ATTEMPTS):
        with transaction():
            assert claims.claim_run(run_id, worker="gone", lease_seconds=20)
        time.pass_(seconds=21)
        rescue_dead_leases()
    found = shown(owner, schedule)
    assert (found["status"], found["failures_in_row"]) == ("paused", 1)
    assert "worker_lost" in found["fault"]


def test_a_success_waits_for_nobody_who_holds_the_schedule(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    statements: list[str] = []
    make(owner, **EVERY_MINUTE)
    with app.app_context():
        engine = session().get_bind()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "UPDATE schedules" in statement:
            statements.append(statement)

    probe.behave = lambda _context: sa.event.listen(engine, "before_cursor_execute", note)
    time.pass_(minutes=1)
    tick(app)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert statements == []


@SQLITE
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alert_after", 0),
        ("alert_after", 1001),
        ("alert_after", None),
        ("pause_after", 0),
        ("pause_after", "3"),
    ],
)
def test_what_is_no_such_number_is_refused(owner: Person, probe: Probe, field: str, value: object) -> None:
    answer = owner.post("/api/schedules", {**EVERY_MINUTE, field: value})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
