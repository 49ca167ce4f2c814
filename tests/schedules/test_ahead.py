"""What is due in a moment is written before it is, and known to nobody until it is."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.core.db import db
from taskapi.schedules.engine import dispatch, due, expecting, ordinary
from taskapi.schedules.engine.dispatch import dispatch_due
from taskapi.schedules.engine.expecting import Expected
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.faults.struck import Killed
from tests.schedules.making import make, runs_of

pytestmark = pytest.mark.one_database("postgresql")

LEAD = 0.3
Waits = list[tuple[float, float, int]]


@pytest.fixture(autouse=True)
def expected(context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> Expected:
    """The dispatcher of a process that has dispatched before, which builds its statements."""
    dispatch_until_done(owner, soon(owner, milliseconds=50))
    # Long, so that a busy machine has begun before it has passed.
    for module in (due, expecting):
        monkeypatch.setattr(module, "LEAD_SECONDS", LEAD)
    monkeypatch.setattr(due, "_built_once", cache(due._claim_one_by_one))
    expected = Expected()
    monkeypatch.setattr(dispatch, "_expected", expected)
    return expected


@pytest.fixture
def waits(expected: Expected, monkeypatch: pytest.MonkeyPatch) -> Waits:
    """When each wait within a transaction began and ended, and how many runs others saw at its end."""
    seen: Waits = []
    wait = expected.wait

    def noted() -> None:
        begun = time.time()
        wait()
        with db.engine.connect() as other:
            seen.append((begun, time.time(), other.execute(sa.select(sa.func.count(Run.id))).scalar_one()))

    monkeypatch.setattr(expected, "wait", noted)
    return seen


def soon(owner: Person, *, milliseconds: int = 600, **fields: Any) -> dict[str, Any]:
    """A schedule that is due once, so long from now, or so long after another."""
    at = datetime.now(UTC) + timedelta(milliseconds=milliseconds)
    return make(owner, **{"run_at": at.isoformat(), **fields})


def dispatch_until_done(owner: Person, schedule: dict[str, Any], *, seconds: float = 5.0) -> int:
    """As the scheduler does, until the schedule has its run; in how many rounds."""
    end, rounds = time.monotonic() + seconds, 0
    while not runs_of(owner, schedule):
        assert time.monotonic() < end, "it has no run"
        time.sleep(min(dispatch_due() or 0.1, 1.0))
        rounds += 1
    return rounds


def failing_once(dispatch: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    """The same, but the first time that it is given something it fails."""
    errors = [ValueError("no plan")]

    def fails_once(schedules: Sequence[Any]) -> Any:
        if schedules and errors:
            raise errors.pop()
        return dispatch(schedules)

    return fails_once


def test_it_is_written_before_it_is_due_and_committed_when_it_is(
    context: Flask, owner: Person, waits: Waits
) -> None:
    schedule = soon(owner)
    dispatch_until_done(owner, schedule)
    ((begun, ended, seen_by_others),) = waits
    due_at = datetime.fromisoformat(schedule["next_run_at"]).timestamp()
    assert due_at - LEAD < begun < due_at <= ended
    # That of the one before.
    assert seen_by_others == 1
    (run,) = runs_of(owner, schedule)
    assert run["scheduled_for"] == run["queued_at"] == schedule["next_run_at"]
    assert run["status"] == "pending"


def test_what_is_due_a_little_later_waits_for_its_own_moment(
    context: Flask, owner: Person, waits: Waits
) -> None:
    first = soon(owner)
    at = datetime.fromisoformat(first["next_run_at"]) + timedelta(milliseconds=600)
    second = soon(owner, run_at=at.isoformat())
    dispatch_until_done(owner, first)
    assert runs_of(owner, second) == []
    dispatch_until_done(owner, second)
    assert waits[-1][1] >= at.timestamp()


def test_a_scheduler_that_dies_while_it_waits_leaves_the_due_time_to_others(
    context: Flask, owner: Person, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = soon(owner)
    with monkeypatch.context() as dying:
        dying.setattr(expected, "wait", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            dispatch_until_done(owner, schedule)
    assert runs_of(owner, schedule) == []
    monkeypatch.setattr(dispatch, "_expected", Expected())
    dispatch_until_done(owner, schedule)
    time.sleep(0.05)
    dispatch_due()
    assert len(runs_of(owner, schedule)) == 1


def test_what_is_not_ordinary_is_left_until_it_is_due(
    context: Flask, owner: Person, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Mock(side_effect=due.claim_due)
    monkeypatch.setattr(due, "claim_due", claims)
    schedule = soon(owner, overlap="replace")
    rounds = dispatch_until_done(owner, schedule)
    assert waits == []
    (run,) = runs_of(owner, schedule)
    assert run["queued_at"] >= schedule["next_run_at"]
    # Once ahead and once when it was due, and nobody asked again and again between them.
    assert claims.call_count == 2
    assert rounds <= 5


def test_what_another_scheduler_has_is_not_asked_for_again_and_again(
    context: Flask, owner: Person, waits: Waits
) -> None:
    schedule = soon(owner)
    row = sa.select(Schedule.id).with_for_update()
    with db.engine.connect() as other:
        other.execute(row)
        end = time.monotonic() + 0.65
        rounds = 0
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(dispatch_due() or 0.1, left, 1.0))
            rounds += 1
    assert waits == []
    assert rounds <= 10
    dispatch_until_done(owner, schedule)


def test_a_clock_that_was_set_back_makes_nothing_due(
    context: Flask, owner: Person, expected: Expected, waits: Waits
) -> None:
    schedule = soon(owner, milliseconds=2000)
    dispatch_due()
    # As if the database's clock had been two seconds further when it was looked at.
    expected._at = time.monotonic() + LEAD / 2
    assert dispatch_due() != 0.0
    assert waits == []
    assert runs_of(owner, schedule) == []


def test_one_that_cannot_be_planned_ahead_stops_nobody(
    context: Flask, owner: Person, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = soon(owner)
    monkeypatch.setattr(dispatch, "dispatch_ordinary", failing_once(ordinary.dispatch_ordinary))
    with capture_logs() as logs:
        dispatch_until_done(owner, schedule)
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["dispatch.batch_failed"]
    assert len(runs_of(owner, schedule)) == 1
