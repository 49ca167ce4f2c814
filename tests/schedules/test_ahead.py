"""What is due in a moment is written before it is, and known to nobody until it is."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Thread
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.core.db import db, session
from taskapi.schedules.engine import dispatch, due, expecting, ordinary
from taskapi.schedules.engine.dispatch import dispatch_due
from taskapi.schedules.engine.expecting import Expected, wait_until
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
    dispatch_until_done(owner, soon(owner))
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

    def noted(moment: float) -> None:
        begun = time.time()
        wait_until(moment)
        with db.engine.connect() as other:
            seen.append((begun, time.time(), other.execute(sa.select(sa.func.count(Run.id))).scalar_one()))

    monkeypatch.setattr(dispatch, "wait_until", noted)
    return seen


def when_due(schedule: dict[str, Any]) -> float:
    return datetime.fromisoformat(schedule["next_run_at"]).timestamp()


def soon(owner: Person, *, milliseconds: int = 600, **fields: Any) -> dict[str, Any]:
    """A schedule that is due once, so long from now or when ``fields`` say."""
    at = datetime.now(UTC) + timedelta(milliseconds=milliseconds)
    return make(owner, **{"run_at": at.isoformat(), **fields})


def soon_every_minute(owner: Person, **fields: Any) -> dict[str, Any]:
    at = datetime.now(UTC) + timedelta(milliseconds=600)
    return make(owner, every=60, starts_at=at.isoformat(), **fields)


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
    assert when_due(schedule) - LEAD < begun < when_due(schedule) <= ended
    # That of the one before.
    assert seen_by_others == 1
    (run,) = runs_of(owner, schedule)
    assert run["scheduled_for"] == run["queued_at"] == schedule["next_run_at"]
    assert run["status"] == "pending"


def test_what_is_due_a_little_later_waits_for_its_own_moment(
    context: Flask, owner: Person, waits: Waits
) -> None:
    first = soon(owner)
    at = datetime.fromisoformat(first["next_run_at"]) + timedelta(milliseconds=150)
    second = soon(owner, run_at=at.isoformat())
    dispatch_until_done(owner, second)
    (_, ended, seen_by_others), *_ = waits
    # Committed by itself, and not with what is due within the lead.
    assert when_due(first) <= ended
    assert seen_by_others == 1
    for schedule in (first, second):
        (run,) = runs_of(owner, schedule)
        assert run["queued_at"] >= run["scheduled_for"]


def test_a_scheduler_that_dies_while_it_waits_leaves_the_due_time_to_others(
    context: Flask, owner: Person, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = soon(owner)
    with monkeypatch.context() as dying:
        dying.setattr(dispatch, "wait_until", Mock(side_effect=Killed))
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
    ahead, in_time = Mock(side_effect=due.claim_ahead), Mock(side_effect=due.claim_due)
    monkeypatch.setattr(due, "claim_ahead", ahead)
    monkeypatch.setattr(due, "claim_due", in_time)
    schedule = soon(owner, overlap="replace")
    rounds = dispatch_until_done(owner, schedule)
    assert waits == []
    (run,) = runs_of(owner, schedule)
    assert run["queued_at"] >= schedule["next_run_at"]
    # Nobody asked again and again before it was due.
    assert (ahead.call_count, in_time.call_count) == (1, 1)
    assert rounds <= 5


def test_what_another_scheduler_has_is_not_asked_for_again_and_again(
    context: Flask, owner: Person, waits: Waits
) -> None:
    schedule = soon(owner)
    row = sa.select(Schedule.id).with_for_update()
    with db.engine.connect() as other:
        other.execute(row)
        rounds = 0
        while (left := when_due(schedule) - time.time()) > 0:
            time.sleep(min(dispatch_due() or 0.1, left, 1.0))
            rounds += 1
    assert waits == []
    assert rounds <= 5
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


def asked_while_waiting(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], Any]) -> Callable[[], Any]:
    """Have something asked for once the due time is written and not yet committed; gives the answer."""
    answers: list[Any] = []
    thread = Thread(target=lambda: answers.append(ask()))

    def meanwhile(moment: float) -> None:
        thread.start()
        wait_until(moment)

    def answer() -> Any:
        thread.join(timeout=10)
        return answers[0]

    monkeypatch.setattr(dispatch, "wait_until", meanwhile)
    return answer


@pytest.mark.parametrize("more", [{}, {"jitter": 1}], ids=["plain", "with jitter"])
def test_an_edit_that_came_while_it_was_waited_for_is_of_the_next_due_time(
    context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    """The last of its due times is being written: the request's transaction began before it."""
    schedule = soon_every_minute(owner, max_runs=1)
    path = f"/api/schedules/{schedule['id']}"
    asked = asked_while_waiting(monkeypatch, lambda: owner.patch(path, {"max_runs": 2, **more}))
    dispatch_until_done(owner, schedule)
    answer = asked()
    assert answer.status_code == 200, answer.text
    assert answer.json["status"] == "active"
    assert session().scalar(sa.select(Schedule.run_count).where(Schedule.id == UUID(schedule["id"]))) == 1
    following = datetime.fromisoformat(schedule["next_run_at"]) + timedelta(minutes=1)
    assert datetime.fromisoformat(answer.json["next_run_at"]) == following


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_pause_or_an_end_that_came_while_it_was_waited_for_comes_after_it(
    context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    schedule = soon_every_minute(owner)
    path = f"/api/schedules/{schedule['id']}/{how}"
    asked = asked_while_waiting(monkeypatch, lambda: owner.post(path))
    dispatch_until_done(owner, schedule)
    assert asked().status_code == 200
    (run,) = runs_of(owner, schedule)
    assert run["scheduled_for"] == schedule["next_run_at"]
    assert run["status"] == ("pending" if how == "pause" else "cancelled")
    assert run["finished_at"] is None or run["finished_at"] >= run["queued_at"]
