"""What a job and a run cost Redis, against the counts that are kept in ``benchmarks/baseline.json``."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from benchmarks.guard import BASELINE
from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonQueue
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from taskapi.schedules.engine import admission
from tests.people import Person
from tests.schedules.conftest import probe
from tests.schedules.making import make
from tests.settings import settings_changed

__all__ = ("probe",)
FEW, MANY = 10, 60


def commands(redis: Redis) -> int:
    """How many Redis has done, those of scripts among them."""
    told: dict[str, Any] = redis.info("commandstats")
    return sum(each["calls"] for each in told.values())


def each_costs(app: Flask, queue_up: Callable[[], object]) -> float:
    """Redis commands for one more in the queue of a worker."""
    counts = []
    for number in (FEW, MANY):
        for _ in range(number):
            queue_up()
        db.session.remove()
        db.engine.dispose()
        before = commands(redis_client())
        TaskWorker(app, connection=redis_client()).work(burst=True, logging_level="CRITICAL")
        counts.append(commands(redis_client()) - before)
    few, many = counts
    return (many - few) / (MANY - FEW)


@pytest.fixture
def kept() -> dict[str, float]:
    counts: dict[str, float] = json.loads(BASELINE.read_text())
    return counts


@pytest.mark.one_database
@pytest.mark.usefixtures("signal_handlers")
def test_a_job_costs_redis_no_more_than_before(context: Flask, kept: dict[str, float]) -> None:
    queue = JsonQueue(Queue.RUNS, connection=redis_client())
    cost = each_costs(context, lambda: queue.enqueue_call("builtins.len", args=("abc",), result_ttl=60))
    # Signs of life, now and then, are no part of a job.
    assert round(cost) <= kept["job: Redis commands"]


# On SQLite each run wakes the relay by itself.
@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("signal_handlers", "probe")
def test_a_run_costs_redis_no_more_than_before(
    context: Flask, owner: Person, kept: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the queue that is looked at first, as those of many people are.
    monkeypatch.setattr(admission, "FIRST_LANE", 10 * MANY)
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", overlap="allow")
    with settings_changed(context, user_runs_at_once=10 * MANY):
        cost = each_costs(context, lambda: owner.post(f"/api/schedules/{schedule['id']}/run"))
    assert round(cost) <= kept["run: Redis commands"]
