"""Each user's share of the workers: what exceeds it is held, and nobody's backlog is another's."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import session, transaction
from taskapi.schedules.engine import admission, claims
from taskapi.schedules.engine.admission import FIRST_LANE
from taskapi.schedules.engine.dispatch import LOOK_FOR_ROOM_SECONDS, dispatch_batch, dispatch_due
from taskapi.schedules.engine.queueing import release_held
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.settings import settings_changed
from tests.work import dispatch_all, queued, run_jobs


@pytest.fixture
def window(app: Flask) -> Iterator[int]:
    """Each user may have 15 runs at once."""
    with settings_changed(app, user_runs_at_once=15):
        yield 15


def make_backlog(person: Person, time: Time, number: int) -> dict[str, Any]:
    """So many due times fall due at once, each to run."""
    schedule = make(person, every=1, catch_up="all", catch_up_limit=10_000, overlap="allow", notify=[])
    time.pass_(seconds=number)
    return schedule


def lanes() -> dict[str, int]:
    return {queue.value: len(queued(queue)) for queue in (Queue.RUNS, Queue.RUNS_BULK)}


def test_what_exceeds_the_window_is_held_and_follows_oldest_first(
    context: Flask, owner: Person, time: Time, window: int
) -> None:
    schedule = make_backlog(owner, time, 40)
    dispatch_all()
    in_redis = [run["queued_at"] is not None for run in runs_of(owner, schedule)]
    assert in_redis == [True] * window + [False] * 25
    assert {run["status"] for run in runs_of(owner, schedule)} == {"pending"}
    run_jobs(context)
    dispatch_all()
    in_redis = [run["queued_at"] is not None for run in runs_of(owner, schedule)]
    assert in_redis == [True] * 2 * window + [False] * 10


def test_a_backlog_is_worked_off_completely(context: Flask, owner: Person, time: Time, window: int) -> None:
    schedule = make_backlog(owner, time, 40)
    while dispatch_all() == LOOK_FOR_ROOM_SECONDS or run_jobs(context):
        run_jobs(context)
    assert Counter(run["status"] for run in runs_of(owner, schedule)) == {"completed": 40}


def test_the_scheduler_looks_again_soon_while_runs_are_held(
    context: Flask, owner: Person, time: Time, window: int
) -> None:
    make(owner, run_at="2026-11-20T12:00:00Z")
    assert dispatch_all() == 3 * 3600
    schedule = make_backlog(owner, time, 20)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    assert dispatch_all() == 3 * 3600 - 20
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    assert dispatch_all() == LOOK_FOR_ROOM_SECONDS


def test_anothers_run_goes_ahead_of_a_backlog(
    context: Flask, owner: Person, teammate: Person, time: Time, window: int
) -> None:
    make_backlog(owner, time, 40)
    dispatch_all()
    assert lanes() == {"runs": FIRST_LANE, "runs-bulk": window - FIRST_LANE}
    make(teammate, run_at="2026-11-20T09:00:40Z", notify=[])
    dispatch_all()
    assert lanes() == {"runs": FIRST_LANE + 1, "runs-bulk": window - FIRST_LANE}


def test_the_oldest_of_each_owner_come_before_the_second_of_any(
    context: Flask, owner: Person, teammate: Person, time: Time
) -> None:
    for _ in range(5):
        make(owner, every=60, notify=[])
    time.pass_(seconds=1)
    last = make(teammate, every=60, notify=[])
    time.pass_(seconds=60)
    assert dispatch_batch(limit=2) == 2
    assert len(runs_of(teammate, last)) == 1


def test_a_schedule_that_missed_thousands_leaves_room_in_a_batch(
    context: Flask, owner: Person, teammate: Person, time: Time
) -> None:
    for _ in range(3):
        make(owner, every=1, catch_up="all", catch_up_limit=10_000, overlap="allow", notify=[])
    other = make(teammate, every=3600, notify=[])
    time.pass_(seconds=3600)
    dispatch_due()
    assert len(runs_of(teammate, other)) == 1


def test_a_run_by_hand_waits_behind_ones_own_held_runs(
    context: Flask, owner: Person, time: Time, window: int
) -> None:
    schedule = make_backlog(owner, time, 20)
    dispatch_all()
    answer = owner.post(f"/api/schedules/{schedule['id']}/run")
    assert (answer.status_code, answer.json["status"], answer.json["queued_at"]) == (202, "pending", None)


def test_a_retry_that_is_due_needs_room_too(context: Flask, owner: Person, time: Time, window: int) -> None:
    schedule = make_backlog(owner, time, 20)
    dispatch_all()
    first, *_ = runs_of(owner, schedule)
    with transaction():
        claims.put_off([UUID(first["id"])], seconds=0)
    dispatch_all()
    count = sa.select(sa.func.count()).where(Run.queued_at.is_not(None))
    assert session().scalar(count) == window
    # Its due time is the oldest: it was the next to go.
    assert owner.get(f"/api/runs/{first['id']}").json["queued_at"] is not None


def test_only_so_many_runs_a_minute_are_let_go(context: Flask, owner: Person, time: Time) -> None:
    with settings_changed(context, user_runs_per_minute=8):
        schedule = make_backlog(owner, time, 20)
        let_go = []
        for _ in range(4):
            dispatch_all()
            let_go.append(sum(lanes().values()))
            run_jobs(context)
            time.pass_(seconds=30)
        done = [run for run in runs_of(owner, schedule) if run["status"] == "completed"]
    # The two rounds of a minute share its allowance.
    assert let_go == [8, 0, 8, 0]
    assert len(done) == 16


def test_what_redis_forgot_is_found_in_both_queues(
    context: Flask, owner: Person, time: Time, window: int
) -> None:
    make_backlog(owner, time, 20)
    dispatch_all()
    time.pass_(seconds=9)
    rescue_runs()
    assert sum(lanes().values()) == window
    redis_client().flushdb()
    rescue_runs()
    assert lanes() == {"runs": FIRST_LANE, "runs-bulk": window - FIRST_LANE}


def test_several_schedulers_together_keep_to_the_window(app: Flask, owner: Person, window: int) -> None:
    for _ in range(20):
        make(owner, every=1, overlap="allow", notify=[])
    errors: list[Exception] = []
    until = threading.Event()

    def schedule_until_told() -> None:
        try:
            while not until.is_set():
                with app.app_context():
                    dispatch_batch(limit=5)
                    release_held()
        except Exception as error:  # noqa: BLE001 - a thread must hand its failure to the test
            errors.append(error)

    threads = [threading.Thread(target=schedule_until_told) for _ in range(4)]
    for thread in threads:
        thread.start()
    until.wait(2.5)
    until.set()
    for thread in threads:
        thread.join()
    assert errors == []
    with app.app_context():
        count = sa.select(sa.func.count()).where(Run.queued_at.is_not(None))
        assert session().scalar(count) == window


def test_owners_take_turns_however_many_hold_runs(
    context: Flask, owner: Person, teammate: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.schedules.engine.admission.OWNERS_PER_ROUND", 1)
    with settings_changed(context, user_runs_at_once=1):
        schedules = {person.id: make_backlog(person, time, 4) for person in (owner, teammate)}
        while dispatch_all() == LOOK_FOR_ROOM_SECONDS and run_jobs(context):
            pass
    for person in (owner, teammate):
        assert {run["status"] for run in runs_of(person, schedules[person.id])} <= {"completed", "pending"}
        done = [run for run in runs_of(person, schedules[person.id]) if run["status"] == "completed"]
        assert len(done) >= 3


def test_one_may_have_so_many_schedules(context: Flask, owner: Person, teammate: Person, time: Time) -> None:
    with settings_changed(context, user_schedules=2):
        first = make(owner, every=60)
        make(owner, every=60)
        body = {"action": "reminder", "params": {"message": "One more"}, "every": 60}
        answer = owner.post("/api/schedules", body)
        assert (answer.status_code, answer.json["code"]) == (409, "too_many_schedules")
        assert answer.json["detail"] == "There are 2 active and paused schedules, which is the limit."
        make(teammate, every=60)
        owner.post(f"/api/schedules/{first['id']}/cancel")
        make(owner, every=60)


def test_one_that_is_completed_comes_back_only_if_there_is_room(
    context: Flask, owner: Person, time: Time
) -> None:
    done = make(owner, run_at="2026-11-20T09:01:00Z")
    time.pass_(minutes=1)
    dispatch_all()
    run_jobs(context)
    address, anew = f"/api/schedules/{done['id']}", {"cron": "0 9 * * *"}
    with settings_changed(context, user_schedules=1):
        other = make(owner, every=3600)
        answer = owner.patch(address, anew)
        assert (answer.status_code, answer.json["code"]) == (409, "too_many_schedules")
        assert owner.get(address).json["status"] == "completed"
        owner.post(f"/api/schedules/{other['id']}/cancel")
        assert owner.patch(address, anew).json["status"] == "active"


def test_held_runs_are_found_by_their_own_index(
    context: Flask, owner: Person, time: Time, window: int
) -> None:
    make_backlog(owner, time, 20)
    dispatch_all()
    asked: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    with transaction():
        connection = session().connection()
        sa.event.listen(connection, "before_cursor_execute", listen)
        admission.held_runs_with_room(10)
        admission.claim_held(owner.id, 10)
        plans, looked_for = [], [asked[0], asked[-1]]
        explain = "EXPLAIN QUERY PLAN"
        if connection.dialect.name == "postgresql":
            explain = "EXPLAIN"
            # What has just been vacuumed down to a page is rather read whole.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in looked_for:
            plans.append(str(connection.exec_driver_sql(f"{explain} {statement}", parameters).all()))
    # Without statistics, as they are when a backlog has just come.
    assert all("ix_runs_held" in plan for plan in plans), plans
