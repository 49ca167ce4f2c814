"""The self-audit: what ought not to be is found within a minute, whoever is alive to look."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.background.connection import redis_client
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.ops import audit
from taskapi.ops.models import SelfAudit
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.work import dispatch_all, run_jobs, watch

NOTHING = {
    "overdue": 0,
    "set_aside": 0,
    "without_next_time": 0,
    "dead_leases": 0,
    "unstarted": 0,
    "queued_long": 0,
    "clock_offset": 0.0,
}


@pytest.fixture
def time() -> Iterator[Time]:
    with Time(at("2026-11-20 09:00")).running() as virtual:
        yield virtual


def found() -> dict[str, Any]:
    """What stands in the database."""
    row = session().scalars(sa.select(SelfAudit).execution_options(populate_existing=True)).one()
    session().rollback()
    return row.findings


def looked_at() -> datetime:
    moment = session().scalars(sa.select(SelfAudit.checked_at)).one()
    session().rollback()
    return moment


def change(model: type[Any], **values: Any) -> None:
    with transaction():
        session().execute(sa.update(model).values(values))


def test_all_is_well(context: Flask, owner: Person, time: Time) -> None:
    make(owner, every=60)
    time.pass_(seconds=61)
    dispatch_all()
    watch(context)
    assert found() == NOTHING


@pytest.mark.parametrize(
    ("provoke", "finding"),
    [
        (lambda owner, time: time.pass_(seconds=60), "overdue"),
        (lambda owner, time: change(Schedule, set_aside_until=time.now + timedelta(hours=1)), "set_aside"),
        (lambda owner, time: change(Schedule, next_run_at=None, dispatch_at=None), "without_next_time"),
        (lambda owner, time: lose_a_worker(owner), "dead_leases"),
        (lambda owner, time: leave_in_redis(time), "queued_long"),
    ],
)
def test_what_is_wrong_is_found_within_a_minute(
    context: Flask, owner: Person, time: Time, provoke: Any, finding: str
) -> None:
    schedule = make(owner, every=60)
    watch(context)
    if finding in ("dead_leases", "queued_long"):
        owner.post(f"/api/schedules/{schedule['id']}/run")
        owner.post(f"/api/schedules/{schedule['id']}/pause")
    provoke(owner, time)
    # The scheduler looks each second, and gives back what a worker has lost, unless it does not come to that.
    for _ in range(6):
        time.pass_(seconds=10)
        watch(context, without=rescue_dead_leases)
    # No worker is there, so nobody begins what waits.
    also = {"unstarted"} if finding == "queued_long" else set()
    assert {name for name, count in found().items() if count} == {finding} | also


def test_a_schedule_whose_last_run_has_just_ended_lacks_nothing(
    context: Flask, owner: Person, time: Time
) -> None:
    """Between the end of its last run and its own a worker may die, and the scheduler ends it soon."""
    make(owner, run_at=(time.now + timedelta(seconds=1)).isoformat())
    time.pass_(seconds=1)
    dispatch_all()
    run_jobs(context)
    with transaction():
        session().execute(sa.update(Schedule).values(status="active"))
    time.pass_(seconds=100)
    watch(context)
    assert found()["without_next_time"] == 0
    time.pass_(seconds=61)
    watch(context)
    assert found()["without_next_time"] == 1


def lose_a_worker(owner: Person) -> None:
    with transaction():
        run_id = session().scalars(sa.select(Run.id)).one()
        claims.claim_run(run_id, worker="gone", lease_seconds=20)


def leave_in_redis(time: Time) -> None:
    redis_client().flushdb()
    time.pass_(seconds=60)


def test_a_run_that_waits_for_its_ping_is_no_fault(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(
        owner, action="expect_ping", params={"grace": 86_400}, run_at="2026-11-20T10:00:00Z", notify=[]
    )
    time.pass_(hours=1)
    dispatch_all()
    time.pass_(hours=2)
    watch(context)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "active"
    assert found() == NOTHING


def test_it_looks_again_when_the_last_look_is_old_and_not_before(context: Flask, time: Time) -> None:
    watch(context)
    first = time.now
    time.pass_(seconds=29)
    watch(context)
    assert looked_at() == first
    time.pass_(seconds=2)
    watch(context)
    assert looked_at() == time.now


def test_it_needs_no_redis_and_no_worker(context: Flask, redis_away: None) -> None:
    audit.audit_if_due()
    assert found() == {**NOTHING, "clock_offset": found()["clock_offset"]}


@pytest.mark.parametrize(
    ("difference", "is_off"), [(-7, True), (-4, False), (0, False), (4, False), (7, True)]
)
def test_the_clock_is_compared_with_the_databases(
    context: Flask, monkeypatch: pytest.MonkeyPatch, difference: int, is_off: bool
) -> None:
    here = clock.now
    monkeypatch.setattr(clock, "now", lambda: here() - timedelta(seconds=difference))
    offset = audit.clock_offset()
    assert offset == pytest.approx(difference, abs=1)
    assert audit.is_off(offset) is is_off
    with capture_logs() as lines:
        audit.audit()
    told = [line["clock_offset"] for line in lines if line["event"] == "audit.found"]
    assert told == ([pytest.approx(difference, abs=1)] if is_off else [])


def test_the_newest_audit_replaces_the_one_before(context: Flask, owner: Person) -> None:
    with Time(at("2026-11-20 09:00")).running() as time:
        audit.audit()
        make(owner, every=60)
        time.pass_(minutes=5)
        audit.audit()
        newest = audit.last_audit()
        assert newest is not None
        assert (newest.checked_at, newest.findings["overdue"]) == (time.now, 1)


def test_a_schedule_that_is_set_aside_is_not_also_overdue(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    with transaction():
        row = session().get_one(Schedule, UUID(schedule["id"]))
        row.set_aside_until = time.now + timedelta(hours=1)
    time.pass_(minutes=5)
    findings = audit.audit()
    assert (findings["set_aside"], findings["overdue"]) == (1, 0)
