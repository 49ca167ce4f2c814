"""From due times to runs: nothing lost, nothing doubled, one bad schedule stops nobody."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from time import sleep
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from structlog.testing import capture_logs

from taskapi.background.connection import redis_client
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.schedules.engine import dispatch
from taskapi.schedules.engine.dispatch import BATCH, MAX_RUNS_PER_BATCH, dispatch_batch, dispatch_due
from taskapi.schedules.engine.queueing import queue_retries, release_held
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import dispatch_all, queued, tick


def test_a_due_schedule_becomes_a_queued_run(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    (run,) = runs_of(owner, schedule)
    (job,) = queued(Queue.RUNS)
    assert (run["status"], run["attempt"], run["queued_at"]) == ("pending", 0, "2026-11-20T09:01:00Z")
    assert (job.func_name, job.args, job.id) == (EXECUTE_RUN, [run["id"]], f"run-{run['id']}-1")


def test_nothing_is_dispatched_early(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=59.999)
    assert dispatch_all() == pytest.approx(0.001)
    assert runs_of(owner, schedule) == []
    time.pass_(seconds=0.001)
    assert dispatch_all() == 60
    assert len(runs_of(owner, schedule)) == 1


def test_what_was_seen_coming_is_dispatched_without_looking_again(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=59.999)
    seconds = dispatch_all()
    assert seconds is not None
    assert 0 < seconds < 0.01
    sleep(seconds)
    time.pass_(seconds=0.001)
    with monkeypatch.context() as patched:
        patched.setattr(dispatch, "look_ahead", lambda: pytest.fail("it looked"))
        assert dispatch_due() == 0.0
    assert len(runs_of(owner, schedule)) == 1
    # Only once: from now on it looks, and sees the next.
    assert dispatch_due() == 60


def test_jitter_moves_the_start_of_a_run_and_not_its_due_time(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=3600, jitter=1800, notify=[])
    delay = (dispatch_all() or 0.0) - 3600
    assert 0 < delay < 1800
    assert dispatch_all() == 3600 + delay
    time.pass_(seconds=3600 + delay - 0.001)
    dispatch_all()
    assert runs_of(owner, schedule) == []
    time.pass_(seconds=0.001)
    dispatch_all()
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["scheduled_for"]) == ("pending", "2026-11-20T10:00:00Z")
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] == "2026-11-20T11:00:00Z"


def test_a_recurrence_rule_runs_until_it_has_counted(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, rrule="FREQ=HOURLY;COUNT=4\nEXDATE:20261120T110000", notify=[])
    for _ in range(6):
        tick(app)
        time.pass_(hours=1)
    hours = [run["scheduled_for"][11:16] for run in runs_of(owner, schedule)]
    assert hours == ["09:00", "10:00", "12:00"]
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


def test_with_nothing_planned_there_is_nothing_to_wait_for(context: Flask) -> None:
    assert dispatch_all() is None


def test_after_a_long_downtime_all_rounds_together_account_for_every_due_time(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=1, catch_up="all", catch_up_limit=10, overlap="allow")
    time.pass_(seconds=2500)
    dispatch_all()
    statement = sa.select(Run.status, Run.reason, sa.func.count()).group_by(Run.status, Run.reason)
    counts = {(status, reason): count for status, reason, count in session().execute(statement)}
    # 61 are at most 60 s late and 10 are allowed to catch up.
    assert counts == {("skipped", "catch_up_limit"): 2500 - 71, ("pending", None): 71}
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] == "2026-11-20T09:41:41Z"


def test_max_runs_completes_the_schedule(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, max_runs=2)
    for _ in range(5):
        time.pass_(seconds=60)
        tick(app)
    assert len(runs_of(owner, schedule)) == 2
    found = owner.get(f"/api/schedules/{schedule['id']}").json
    assert (found["status"], found["next_run_at"]) == ("completed", None)


def test_a_one_off_that_is_skipped_is_completed_at_once(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:10:00Z", catch_up="skip")
    time.pass_(hours=1)
    dispatch_all()
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["reason"], run["trigger"]) == ("skipped", "catch_up", "catch_up")


def test_overlap_skip_waits_for_the_open_run(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, overlap="skip")
    for _ in range(2):
        time.pass_(seconds=60)
        dispatch_all()
    assert [(run["status"], run["reason"]) for run in runs_of(owner, schedule)] == [
        ("pending", None),
        ("skipped", "overlap"),
    ]


def test_a_poisoned_schedule_is_set_aside_and_the_others_go_on(
    context: Flask, owner: Person, time: Time
) -> None:
    poisoned, healthy = make(owner, every=60), make(owner, every=60)
    with transaction():
        # As an older version, or a hand in the database, may have left it.
        session().execute(
            sa.update(Schedule)
            .where(Schedule.id == UUID(poisoned["id"]))
            .values(every=None, cron="not a cron line")
        )
    time.pass_(seconds=60)
    with capture_logs() as lines:
        dispatch_all()
    told = [line["schedule_id"] for line in lines if line["event"] == "dispatch.schedule_set_aside"]
    assert told == [poisoned["id"]]
    assert len(runs_of(owner, healthy)) == 1
    assert "CronSimError" in owner.get(f"/api/schedules/{poisoned['id']}").json["fault"]
    assert session().scalar(sa.select(sa.func.count()).where(Event.type == "schedule.set_aside")) == 1


def test_a_poisoned_schedule_that_was_cancelled_stops_nobody_either(
    context: Flask, owner: Person, time: Time
) -> None:
    poisoned, healthy = make(owner, every=60), make(owner, every=60)
    time.pass_(seconds=61)
    owner.post(f"/api/schedules/{poisoned['id']}/cancel")
    with transaction():
        row = sa.update(Schedule).where(Schedule.id == UUID(poisoned["id"]))
        session().execute(row.values(every=None, cron="not a cron line"))
    assert dispatch_all() == 59
    assert len(runs_of(owner, healthy)) == 1
    assert "CronSimError" in owner.get(f"/api/schedules/{poisoned['id']}").json["fault"]


def test_a_schedule_set_aside_is_tried_again_and_loses_no_due_time(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=600, catch_up="all", overlap="allow")
    row = sa.update(Schedule).where(Schedule.id == UUID(schedule["id"]))
    with transaction():
        session().execute(row.values(dst={}))
    time.pass_(seconds=600)
    dispatch_all()
    with transaction():
        session().execute(row.values(dst={"gap": "skip", "repeat": "first"}))
    time.pass_(minutes=61)
    dispatch_all()
    assert len(runs_of(owner, schedule)) == 7
    assert owner.get(f"/api/schedules/{schedule['id']}").json["fault"] is None


def test_a_batch_is_bounded_in_sum_and_the_rest_comes_next(context: Flask, owner: Person, time: Time) -> None:
    for _ in range(4):
        make(owner, every=1, catch_up="all", overlap="allow")
    time.pass_(seconds=900)
    assert dispatch_due() == 0.0
    first = session().scalar(sa.select(sa.func.count()).select_from(Run))
    dispatch_all()
    assert first == MAX_RUNS_PER_BATCH
    assert session().scalar(sa.select(sa.func.count()).select_from(Run)) == 4 * 900


def test_a_schedule_that_completes_by_skipping_says_so(context: Flask, owner: Person, time: Time) -> None:
    make(owner, run_at="2026-11-20T09:10:00Z", catch_up="skip")
    time.pass_(hours=1)
    dispatch_all()
    assert session().scalar(sa.select(sa.func.count()).where(Event.type == "schedule.completed")) == 1


def test_a_fault_of_the_database_shows_no_sql_and_no_parameters(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=60, params={"message": "a secret"})
    with transaction():
        # A row that breaks a rule of the database as soon as it is written.
        session().execute(sa.update(Schedule).values(retry={"max_attempts": None}))
    time.pass_(seconds=60)
    dispatch_all()
    fault = owner.get(f"/api/schedules/{schedule['id']}").json["fault"]
    assert fault == "IntegrityError: the database refused it"


def test_redis_away_loses_nothing(context: Flask, owner: Person, time: Time, redis_away: None) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    assert [run["status"] for run in runs_of(owner, schedule)] == ["pending"]


def test_a_due_time_whose_run_exists_cannot_get_another(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    with transaction():
        # A mark that was lost, as after restoring an old backup of one table.
        session().execute(
            sa.update(Schedule).where(Schedule.id == UUID(schedule["id"])).values(next_run_at=time.now)
        )
    dispatch_all()
    assert len(runs_of(owner, schedule)) == 1


def test_eight_schedulers_at_once_make_each_run_once(app: Flask, owner: Person) -> None:
    schedules = [make(owner, every=1, overlap="allow", notify=[]) for _ in range(30)]
    errors: list[Exception] = []
    until = threading.Event()

    def schedule_until_told() -> None:
        try:
            while not until.is_set():
                with app.app_context():
                    dispatch_batch(limit=5)
                    queue_retries(BATCH)
                    release_held()
        except Exception as error:  # noqa: BLE001 - a thread must hand its failure to the test
            errors.append(error)

    threads = [threading.Thread(target=schedule_until_told) for _ in range(8)]
    for thread in threads:
        thread.start()
    until.wait(3)
    until.set()
    for thread in threads:
        thread.join()
    assert errors == []
    with app.app_context():
        due = Counter(map(tuple, db.session.execute(sa.select(Run.schedule_id, Run.scheduled_for))))
        early = db.session.scalar(sa.select(sa.func.count()).where(Run.queued_at < Run.scheduled_for))
        # Where two schedulers met, one held its runs back.
        while release_held()[0]:
            pass
        jobs = redis_client().llen("rq:queue:runs") + redis_client().llen("rq:queue:runs-bulk")
    assert set(due.values()) == {1}
    assert {schedule for schedule, _ in due} == {UUID(schedule["id"]) for schedule in schedules}
    assert early == 0
    assert jobs == len(due)


def test_the_time_since_it_looked_counts_as_waited(
    context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(owner, run_at=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
    first = dispatch_due()
    # Between the look and the answer, where a busy machine takes its time.
    monkeypatch.setattr(dispatch, "wait_for_hand_over", lambda: sleep(1.0))
    second = dispatch_due()
    assert first is not None
    assert second is not None
    assert first - second > 0.9
