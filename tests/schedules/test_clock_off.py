"""The clock of this host is off: what is due goes by the database's, which tokens do not."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.json import format_time
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import make, runs_of
from tests.work import dispatch_all, run_jobs

SetOff = Callable[[timedelta], None]


@pytest.fixture
def set_off(monkeypatch: pytest.MonkeyPatch) -> SetOff:
    """Put the host's clock forward by so much, or back."""
    right, seconds = clock.now, time.time

    def put(difference: timedelta) -> None:
        monkeypatch.setattr(clock, "now", lambda: right() + difference)
        monkeypatch.setattr(time, "time", lambda: seconds() + difference.total_seconds())

    return put


def database_clock() -> datetime:
    """It stands still in a transaction."""
    session().rollback()
    return read_database_clock()


def let_come(schedule: dict[str, Any], moment: datetime) -> None:
    """Make this the moment for which the schedule waits."""
    marks = {"run_at": moment, "next_run_at": moment, "dispatch_at": moment}
    with transaction():
        session().execute(sa.update(Schedule).where(Schedule.id == UUID(schedule["id"])).values(marks))


# SQLite's clock is that of its host.
@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("minutes", [-10, 10])
def test_due_times_and_leases_go_by_the_clock_of_the_database(
    context: Flask, owner: Person, set_off: SetOff, minutes: int
) -> None:
    now = read_database_clock()
    due, later = (
        make(owner, run_at=format_time(now + timedelta(minutes=wait)), notify=[]) for wait in (4, 5)
    )
    by_hand = UUID(owner.post(f"/api/schedules/{make(owner, every=86_400)['id']}/run").json["id"])
    set_off(timedelta(minutes=minutes))
    with transaction():
        claims.claim_run(by_hand, worker="steady", lease_seconds=20)
    lease_until = session().get_one(Run, by_hand).lease_until
    assert lease_until is not None
    assert lease_until - now < timedelta(seconds=140)
    assert rescue_dead_leases() == 0
    let_come(due, database_clock())
    dispatch_all()
    run_jobs(context)
    assert [run["status"] for run in runs_of(owner, due)] == ["completed"]
    assert runs_of(owner, later) == []


@pytest.mark.one_database
def test_tokens_go_by_the_clock_of_the_host(owner: Person, set_off: SetOff) -> None:
    assert owner.get("/api/tasks").status_code == 200
    set_off(timedelta(days=1))
    answer = owner.get("/api/tasks")
    assert (answer.status_code, answer.json["code"]) == (401, "token_expired")
