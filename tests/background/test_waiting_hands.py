"""Jobs that wait for others are done many at a time, in threads."""

import pytest
from flask import Flask
from redis import Redis
from rq import Worker
from rq.job import JobStatus

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonQueue
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from tests.timed import best_of

NAPS, NAP_SECONDS = 40, 0.5


@pytest.mark.one_database
def test_threads_do_five_times_as_much_as_one_at_a_time(
    context: Flask, redis_url: str, signal_handlers: None
) -> None:
    db.engine.dispose()
    with Redis.from_url(redis_url) as redis:
        queue = JsonQueue(Queue.MAIL, connection=redis)

        def seconds() -> float:
            jobs = [queue.enqueue_call("time.sleep", args=[NAP_SECONDS]) for _ in range(NAPS)]
            TaskWorker(context, connection=redis, threads=10).work(burst=True, logging_level="ERROR")
            for job in jobs:
                job.refresh()  # type: ignore[no-untyped-call]
            assert {job.get_status() for job in jobs} == {JobStatus.FINISHED}
            begun = min(job.started_at for job in jobs if job.started_at)
            return (max(job.ended_at for job in jobs if job.ended_at) - begun).total_seconds()

        fifth = NAPS * NAP_SECONDS / 5
        assert best_of(3, seconds, enough=fifth) < fifth
        assert queue.started_job_registry.get_job_ids() == []
        assert Worker.count(connection=redis) == 0


@pytest.mark.one_database
@pytest.mark.usefixtures("signal_handlers")
def test_there_may_be_as_many_threads_as_the_setting_allows(context: Flask) -> None:
    """Each has connections to Redis of its own."""
    db.engine.dispose()
    redis = redis_client()
    jobs = [
        JsonQueue(queue, connection=redis).enqueue_call("builtins.len", args=["abc"])
        for queue in (Queue.RUNS, Queue.MAIL, Queue.CALLS)
    ]
    TaskWorker(context, connection=redis, threads=100).work(burst=True, logging_level="ERROR")
    assert {job.get_status() for job in jobs} == {JobStatus.FINISHED}
