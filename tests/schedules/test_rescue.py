"""Runs whose worker died, and runs that Redis forgot."""

from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import transaction
from taskapi.core.json import format_time
from taskapi.schedules.engine import claims, queueing, rescue
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.timing.retry import MAX_LOST_ATTEMPTS
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.settings import settings_changed
from tests.work import dispatch_all, queued, run_jobs, tick, watch


def claimed_run(owner: Person) -> UUID:
    """A run that a worker has claimed and then, it seems, left."""
    schedule = make(owner, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    redis_client().flushdb()
    with transaction():
        claims.claim_run(run_id, worker="gone", lease_seconds=20)
    return run_id


def test_a_run_whose_worker_died_is_done_by_another(context: Flask, owner: Person, time: Time) -> None:
    run_id = claimed_run(owner)
    time.pass_(seconds=21)
    with capture_logs() as lines:
        rescue_runs()
    assert "run.lost_its_worker" in [line["event"] for line in lines]
    tick(context)
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"]) == ("completed", 2)


def test_a_run_whose_lease_holds_is_left_alone(context: Flask, owner: Person, time: Time) -> None:
    run_id = claimed_run(owner)
    time.pass_(seconds=19)
    rescue_runs()
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "running"


def test_a_lost_attempt_does_not_use_up_the_retries(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 0 1 1 *", retry={"max_attempts": 1})
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    with transaction():
        claims.claim_run(run_id, worker="gone", lease_seconds=20)
    time.pass_(seconds=21)
    rescue_runs()
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "pending"


def test_a_run_that_kills_every_worker_fails_in_the_end(context: Flask, owner: Person, time: Time) -> None:
    run_id = claimed_run(owner)
    for _ in range(MAX_LOST_ATTEMPTS):
        time.pass_(seconds=21)
        rescue_runs()
        with transaction():
            claims.claim_run(run_id, worker="next", lease_seconds=20)
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["error"]["code"], run["attempt"]) == (
        "failed",
        "worker_lost",
        MAX_LOST_ATTEMPTS,
    )


def test_runs_that_redis_forgot_are_queued_again(context: Flask, owner: Person, time: Time) -> None:
    schedules = [make(owner, every=60) for _ in range(3)]
    time.pass_(seconds=60)
    dispatch_all()
    redis_client().flushdb()
    time.pass_(seconds=9)
    with capture_logs() as lines:
        rescue_runs()
    assert [line["count"] for line in lines if line["event"] == "runs.requeued"] == [3]
    assert len(queued(Queue.RUNS)) == 3
    run_jobs(context)
    assert {run["status"] for schedule in schedules for run in runs_of(owner, schedule)} == {"completed"}


def test_runs_that_wait_in_redis_are_not_queued_twice(context: Flask, owner: Person, time: Time) -> None:
    make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    time.pass_(seconds=30)
    rescue_runs()
    assert len(queued(Queue.RUNS)) == 1


def test_without_redis_runs_wait_and_are_queued_once_it_is_back(
    context: Flask, owner: Person, time: Time
) -> None:
    there = context.extensions["taskapi_redis"]
    make(owner, every=60)
    time.pass_(seconds=60)
    context.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    try:
        assert dispatch_all() == 2
        rescue_runs()
    finally:
        context.extensions["taskapi_redis"] = there
    assert queued(Queue.RUNS) == []
    time.pass_(seconds=2)
    dispatch_all()
    assert len(queued(Queue.RUNS)) == 1


def test_a_lost_run_goes_before_what_its_owner_has_waiting(context: Flask, owner: Person, time: Time) -> None:
    with settings_changed(context, user_runs_at_once=3):
        run_id = claimed_run(owner)
        for _ in range(5):
            make(owner, every=3600, starts_at=format_time(time.now))
        dispatch_all()
        assert len(queued(Queue.RUNS)) == 2
        time.pass_(seconds=21)
        rescue_runs()
    assert f"run-{run_id}-2" in [job.id for job in queued(Queue.RUNS)]


def rescue_from_a_flush(owner: Person, time: Time) -> None:
    """A run is queued, Redis forgets all it knew, and the rescue looks."""
    rescue_runs()
    make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    redis_client().flushdb()
    time.pass_(seconds=1)
    rescue_runs()


def test_what_its_scheduler_died_with_before_redis_had_it_is_queued_within_three_seconds(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is committed, its job was never given to Redis."""

    def die(_work: object) -> None:
        raise KeyboardInterrupt

    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(queueing, "enqueue_all", die)
        with pytest.raises(KeyboardInterrupt):
            dispatch_all()
    # Whoever lives gives its job to Redis within this time.
    time.pass_(seconds=1)
    watch(context)
    assert queued(Queue.RUNS) == []
    time.pass_(seconds=1)
    watch(context)
    assert len(queued(Queue.RUNS)) == 1
    run_jobs(context)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed"]


def test_what_redis_has_is_not_taken_for_ungiven(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    time.pass_(seconds=2)
    assert rescue.requeue_ungiven() == 0
    # A worker has just taken it.
    redis_client().lpop("rq:queue:runs")
    assert rescue.requeue_ungiven() == 0
    monkeypatch.setitem(context.extensions, "taskapi_redis", Redis.from_url("unix:///nowhere/valkey.sock"))
    assert rescue.requeue_ungiven() == 0


def test_a_flushed_redis_gets_everything_back_at_once(context: Flask, owner: Person, time: Time) -> None:
    rescue_from_a_flush(owner, time)
    assert len(queued(Queue.RUNS)) == 1


def test_what_a_worker_has_just_taken_is_not_queued_twice(context: Flask, owner: Person, time: Time) -> None:
    rescue_runs()
    make(owner, every=60)
    time.pass_(seconds=60)
    dispatch_all()
    redis_client().lpop("rq:queue:runs")
    time.pass_(seconds=7)
    rescue_runs()
    assert queued(Queue.RUNS) == []
    time.pass_(seconds=2)
    rescue_runs()
    assert len(queued(Queue.RUNS)) == 1


def test_the_scheduler_itself_notices_a_dead_worker(context: Flask, owner: Person, time: Time) -> None:
    run_id = claimed_run(owner)
    time.pass_(seconds=21)
    watch(context)
    assert [job.id for job in queued(Queue.RUNS)] == [f"run-{run_id}-2"]


def test_it_sees_a_flush_also_where_it_may_not_ask_about_the_server(
    context: Flask, owner: Person, time: Time
) -> None:
    redis_client().acl_setuser("default", enabled=True, commands=["-info"])
    try:
        rescue_from_a_flush(owner, time)
        assert len(queued(Queue.RUNS)) == 1
    finally:
        redis_client().acl_setuser("default", enabled=True, commands=["+info"])
