"""Putting work onto Redis: JSON only, and never a failure for the caller."""

import json

from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.enqueue import (
    WAKE_CHANNEL,
    WAKE_DISPATCH,
    JobCall,
    count_workers,
    enqueue,
    queued_job_ids,
    wake_scheduler,
)
from taskapi.background.names import EXECUTE_RUN, Queue

CALL = JobCall(name=EXECUTE_RUN, args=["an-id"], job_id="run-1", timeout=30)


def test_a_payload_is_json(context: Flask) -> None:
    assert enqueue(Queue.RUNS, [CALL])
    stored = redis_client().hget("rq:job:run-1", "data")
    assert isinstance(stored, bytes)
    assert json.loads(stored) == [EXECUTE_RUN, None, ["an-id"], {}]


def test_jobs_keep_their_order(context: Flask) -> None:
    calls = [JobCall(name=EXECUTE_RUN, args=[], job_id=f"job-{number}") for number in range(50)]
    enqueue(Queue.RUNS, calls)
    waiting = redis_client().lrange("rq:queue:runs", 0, -1)
    assert waiting == [f"job-{number}".encode() for number in range(50)]


def test_nothing_to_enqueue_is_nothing_to_do(context: Flask, redis_away: None) -> None:
    assert enqueue(Queue.RUNS, [])


def test_without_redis_the_result_says_so(context: Flask, redis_away: None) -> None:
    assert not enqueue(Queue.RUNS, [CALL])
    assert queued_job_ids(Queue.RUNS) is None
    assert count_workers() is None
    wake_scheduler(WAKE_DISPATCH)


def test_who_waits_in_a_queue_is_known(context: Flask) -> None:
    enqueue(Queue.RUNS, [CALL])
    assert queued_job_ids(Queue.RUNS) == {"run-1"}
    assert queued_job_ids(Queue.MAIL) == set()


def test_waking_reaches_every_scheduler_that_listens(context: Flask) -> None:
    listener = redis_client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    listener.subscribe(WAKE_CHANNEL)
    listener.get_message(timeout=1)
    wake_scheduler(WAKE_DISPATCH)
    message = listener.get_message(timeout=1)
    listener.close()
    assert message is not None
    assert message["data"] == WAKE_DISPATCH.encode()
