"""The ordinary way of due times: few statements for any number, and the runs that the long way makes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import current_thread
from time import sleep
from typing import Any
from unittest.mock import Mock, patch
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis
from sqlalchemy import event

from taskapi.background.connection import redis_client
from taskapi.background.enqueue import PUSH, enqueue_all
from taskapi.background.names import Queue
from taskapi.core.db import db, session, transaction
from taskapi.schedules.engine import admission, dispatch, due, queueing
from taskapi.schedules.engine.dispatch import dispatch_batch, dispatch_due
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make
from tests.work import dispatch_all, queued

QUIET: dict[str, Any] = {"notify": []}
# As people write them: each a kind of trigger with policies of its own.
DEFINITIONS: list[dict[str, Any]] = [
    {"every": 60},
    {"every": 45, "overlap": "allow", "start_deadline": 120, "finish_deadline": 300},
    {"every": 60, "overlap": "queue", "max_runs": 3},
    {"every": 60, "overlap": "replace"},
    {"every": 20, "overlap": "allow"},
    {"every": 10, "catch_up": "all", "overlap": "allow"},
    {"cron": "* * * * *", "timezone": "Europe/Berlin"},
    {"cron": "*/2 9 * * *", "timezone": "America/New_York", "dst": {"gap": "skip", "repeat": "both"}},
    {"rrule": "FREQ=MINUTELY;COUNT=2", "exclude": ["2026-11-20T09:03:00Z"]},
    {"run_at": "2026-11-20T09:01:00Z", "params": {"message": "Once"}},
    {"action": "expect_ping", "params": {"grace": 60}, "every": 60},
]
CLOCK_COMPARED = re.compile(r"[<>=]\s*\(?clock_timestamp|clock_timestamp\(\)[^,]*[<>=]")
COMPARED = re.compile(r"dispatch_at <= (least\(%\(until\)s::TIMESTAMP WITH TIME ZONE, \()?now\(\)")
OF_ITS_OWN = ("id", "schedule_id", "created_at", "queued_at")


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the database in the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement != "BEGIN":
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def ledger() -> list[tuple[Any, ...]]:
    """All runs without what is a run's own, by the names of their schedules."""
    columns = [column for column in Run.__table__.c if column.name not in OF_ITS_OWN]
    statement = sa.select(Schedule.name, Run.queued_at.is_(None), *columns).join(
        Schedule, Schedule.id == Run.schedule_id
    )
    return sorted(map(tuple, session().execute(statement)), key=str)


def marks() -> list[tuple[Any, ...]]:
    """What dispatch changes of schedules, by their names."""
    columns = (Schedule.name, Schedule.next_run_at, Schedule.dispatch_at, Schedule.run_count, Schedule.status)
    return sorted(map(tuple, session().execute(sa.select(*columns))), key=str)


@pytest.mark.one_database("postgresql")
def test_the_statements_of_a_batch_do_not_grow_with_it(context: Flask, owner: Person, time: Time) -> None:
    counts = []
    for number in (1, 40):
        for _ in range(number):
            make(owner, every=3600, **QUIET)
        time.pass_(seconds=3600)
        dispatch_all()
        time.pass_(seconds=3600)
        with transaction():
            session().execute(sa.delete(Run))
        with statements() as seen:
            dispatch_batch()
        counts.append(len(seen))
    # Claim, the virtual clock, open runs; lock windows, what they hold and what is in flight; insert and
    # move the marks.
    assert counts == [6, 6]


@pytest.mark.one_database("postgresql")
def test_the_calls_of_redis_of_a_batch_do_not_grow_with_it(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Mock(side_effect=enqueue_all)
    monkeypatch.setattr(queueing, "enqueue_all", calls)
    costs = []
    for number in (1, 40):
        for _ in range(number):
            make(owner, every=3600, **QUIET)
        time.pass_(seconds=3600)
        before = redis_client().info("commandstats")
        dispatch_batch()
        after = redis_client().info("commandstats")
        costs.append({name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after})
    many = costs[-1]
    assert calls.call_count == 2
    assert many["cmdstat_evalsha"] == 1
    # Of each job: what is left of an earlier one goes, itself, its queue, its place there.
    assert [many[f"cmdstat_{name}"] for name in ("del", "hset", "sadd", "rpush")] == [40] * 4


@pytest.mark.one_database("postgresql")
def test_no_condition_asks_for_a_clock_that_goes_on(context: Flask, owner: Person) -> None:
    """An index on due times can be used with ``now()``, not with ``clock_timestamp()``."""
    at = datetime.now(UTC) + timedelta(milliseconds=500)
    make(owner, run_at=at.isoformat())
    with statements() as seen:
        while not jobs_waiting():
            sleep(min(dispatch_due() or 0.05, 0.5))
    assert any("clock_timestamp()" in statement for statement in seen)
    assert [statement for statement in seen if CLOCK_COMPARED.search(statement)] == []
    # Ahead, or where a busy machine came too late for that, when it was due.
    assert any(COMPARED.search(statement) for statement in seen)


def test_looking_at_nothing_due_is_one_statement(context: Flask, owner: Person, time: Time) -> None:
    make(owner, every=3600, **QUIET)
    with statements() as seen:
        assert dispatch_due() == 3600
    assert len(seen) == 1


@pytest.mark.one_database("postgresql")
def test_the_ordinary_way_makes_what_the_long_way_makes(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, found = time.now, {}
    for way in ("ordinary", "long"):
        time.now = start
        monkeypatch.setattr(dispatch, "uses_arrays", lambda way=way: way == "ordinary")
        for number, definition in enumerate(DEFINITIONS):
            make(owner, **{**QUIET, **definition, "name": f"Number {number}"})
        for seconds in (60, 60, 120, 300):
            time.pass_(seconds=seconds)
            dispatch_all()
        found[way] = ledger(), marks()
        with transaction():
            session().execute(sa.delete(Schedule))
    assert len(found["ordinary"][0]) > 50
    assert found["ordinary"] == found["long"]


@pytest.mark.one_database("postgresql")
def test_ordinary_due_times_never_touch_whole_rows(context: Flask, owner: Person, time: Time) -> None:
    for definition in ({"every": 60}, {"cron": "1 * * * *"}, {"run_at": "2026-11-20T09:01:00Z"}):
        make(owner, **{**QUIET, **definition})
    time.pass_(seconds=60)
    with patch.object(dispatch, "plan_schedule", side_effect=AssertionError("the long way")):
        dispatch_all()
    assert session().scalar(sa.select(sa.func.count()).select_from(Run)) == 3


class Killed(BaseException):
    """What no code expects, as a kill is."""


# Of one owner more than the first lane takes: their runs go onto two queues.
BOTH_QUEUES = admission.FIRST_LANE + 2


def jobs_waiting() -> set[str]:
    """The ids of the jobs on both queues of runs, each of which is there once."""
    ids = [job.id for queue in (Queue.RUNS, Queue.RUNS_BULK) for job in queued(queue)]
    assert len(ids) == len(set(ids))
    return set(ids)


def test_runs_whose_scheduler_died_before_it_told_redis_are_queued_later(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(BOTH_QUEUES):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    with monkeypatch.context() as dying:
        dying.setattr(queueing, "enqueue_all", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            dispatch_batch()
    assert jobs_waiting() == set()
    # Another scheduler finds nothing due: each due time has its run.
    dispatch_all()
    assert jobs_waiting() == set()
    time.pass_(seconds=10)
    rescue_runs()
    expected = {f"run-{run_id}-1" for run_id in session().scalars(sa.select(Run.id))}
    session().rollback()
    assert len(expected) == BOTH_QUEUES
    assert jobs_waiting() == expected


def test_without_redis_a_batch_is_kept_and_queued_once_it_is_back(
    context: Flask, owner: Person, time: Time, redis_away: None
) -> None:
    for _ in range(BOTH_QUEUES):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    away = context.extensions["taskapi_redis"]
    dispatch_all()
    assert session().scalar(sa.select(sa.func.count()).where(Run.status == "pending")) == BOTH_QUEUES
    context.extensions["taskapi_redis"] = Redis.from_url(context.extensions["taskapi_settings"].redis_url)
    time.pass_(seconds=5)
    dispatch_all()
    assert len(jobs_waiting()) == BOTH_QUEUES
    context.extensions["taskapi_redis"] = away


@pytest.mark.one_database("postgresql")
def test_runs_for_two_queues_reach_redis_in_one_round_trip(context: Flask, owner: Person, time: Time) -> None:
    for _ in range(BOTH_QUEUES):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    with patch.object(PUSH, "run", side_effect=PUSH.run) as push:
        dispatch_batch()
    assert push.call_count == 1
    assert {len(queued(queue)) for queue in (Queue.RUNS, Queue.RUNS_BULK)} == {admission.FIRST_LANE, 2}


def in_batches(monkeypatch: pytest.MonkeyPatch, first: int, following: int) -> None:
    """Have batches be so large."""
    monkeypatch.setattr(dispatch, "BATCH", first)
    monkeypatch.setattr(dispatch, "BACKLOG_BATCH", following)
    monkeypatch.setattr(due, "_backlog", due._Backlog())


@pytest.mark.one_database("postgresql")
def test_behind_a_full_batch_comes_a_larger_one(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_batches(monkeypatch, 2, 5)
    for _ in range(9):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    assert [dispatch_batch() for _ in range(4)] == [2, 5, 2, 0]


@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("number", [6, 7])
def test_a_backlog_is_handed_over_beside_and_in_its_order(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    in_batches(monkeypatch, 2, 2)
    for _ in range(number):
        make(owner, every=3600, **QUIET)
        time.pass_(seconds=1)
    time.pass_(seconds=3600)
    threads: list[str] = []

    def hand_over(*given: Any) -> bool:
        threads.append(current_thread().name)
        return enqueue_all(*given)

    monkeypatch.setattr(queueing, "enqueue_all", hand_over)
    dispatch_all()
    assert [name.startswith("beside") for name in threads] == [True] * 3 + [False] * (number - 6)
    in_turn = session().scalars(sa.select(Run.id).order_by(Run.scheduled_for))
    assert [job.id for job in queued(Queue.RUNS)] == [f"run-{run_id}-1" for run_id in in_turn]


@pytest.mark.one_database("postgresql")
def test_runs_of_a_backlog_that_nobody_told_redis_of_are_queued_later(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_batches(monkeypatch, 2, 2)
    for _ in range(6):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    with monkeypatch.context() as dying:
        dying.setattr(queueing, "enqueue_all", Mock(side_effect=[Killed, True]))
        assert dispatch_due() == 0.0
        with pytest.raises(Killed):
            dispatch_due()
    dispatch_all()
    time.pass_(seconds=10)
    rescue_runs()
    assert jobs_waiting() == {f"run-{run_id}-1" for run_id in session().scalars(sa.select(Run.id))}
    assert len(jobs_waiting()) == 6


@pytest.mark.one_database("postgresql")
def test_a_claim_locks_no_more_than_it_takes(context: Flask, owner: Person, time: Time) -> None:
    for _ in range(6):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=3600)
    free = sa.select(Schedule.id).with_for_update(skip_locked=True)
    with transaction():
        taken = {schedule.id for schedule in due.claim_due(2)}
        with db.engine.connect() as other:
            left = set(other.execute(free).scalars())
    assert len(taken) == 2
    assert len(left) == 4
    assert not taken & left


@pytest.mark.one_database("postgresql")
def test_what_was_hidden_by_a_backlog_gets_its_turn(
    context: Flask, owner: Person, teammate: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "_backlog", due._Backlog())
    monkeypatch.setattr(due, "ALL_EACH", 6)
    for _ in range(14):
        make(owner, every=3600, **QUIET)
    time.pass_(seconds=1)
    late = UUID(make(teammate, every=3600, **QUIET)["id"])
    time.pass_(seconds=3600)
    for _ in range(3):
        assert dispatch_batch(limit=2) == 2
    assert session().scalar(sa.select(sa.func.count()).where(Run.schedule_id == late)) == 1


@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("is_ahead", [False, True], ids=["due", "ahead"])
def test_a_claim_goes_by_indexes_whatever_the_statistics_say(
    context: Flask, owner: Person, time: Time, is_ahead: bool
) -> None:
    make(owner, every=3600, **QUIET)
    columns = [column.name for column in Schedule.__table__.c if column.name not in ("id", "ping_token")]
    copied = ", ".join(columns)
    with transaction():
        # Nothing of it is due when the statistics are made.
        session().execute(
            sa.text(
                f"INSERT INTO schedules (id, {copied}) SELECT gen_random_uuid(), {copied}"
                " FROM schedules, generate_series(1, 5000)"
            )
        )
        session().execute(sa.text("ANALYZE schedules"))
        oldest = sa.text("SELECT id FROM schedules LIMIT 2000")
        session().execute(sa.update(Schedule).where(Schedule.id.in_(oldest)).values(dispatch_at=time.now))
    statement = due._claim_one_by_one(100, 400, is_ahead=is_ahead)
    compiled = statement.compile(dialect=db.engine.dialect, compile_kwargs={"render_postcompile": True})
    connection = session().connection()
    bound = compiled.construct_params({"until": time.now} if is_ahead else {})
    processed = {
        name: compiled._bind_processors.get(name, lambda value: value)(value) for name, value in bound.items()
    }
    rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", processed)
    plan = "\n".join(row[0] for row in rows)
    assert "ix_schedules_due" in plan
    assert "pk_schedules" in plan
    assert "Seq Scan" not in plan
