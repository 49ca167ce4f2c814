"""The books of a worker: one round trip ends a job and begins the next, in RQ's own words."""

from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq.job import JobStatus
from rq.suspension import suspend
from rq.utils import now

from taskapi.background.bookkeeping import Books, Done, Nothing, Taken, _nothing, _result
from taskapi.background.connection import redis_client
from taskapi.background.enqueue import JobCall, enqueue_all
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.background.rq_json import PLAIN_FIELDS, HeldJob, JsonJob, JsonQueue

pytestmark = pytest.mark.one_database
WORKER = "rq:worker:me"


@pytest.fixture
def books(context: Flask) -> Books:
    redis = redis_client()
    redis.hset(WORKER, "birth", "long ago")
    keys = [JsonQueue(queue, connection=redis).key for queue in Queue]
    return Books(redis, worker_key=WORKER, name="me", queue_keys=keys)


def push(queue: Queue, *ids: str) -> None:
    assert enqueue_all({queue: [JobCall(name=EXECUTE_RUN, args=[job], job_id=job) for job in ids]})


def take(books: Books, done: Done | None = None) -> Taken:
    found = books.step(done, wanted=True)
    assert isinstance(found, Taken)
    return found


def questions(redis: Redis) -> int:
    """How many round trips there were, with this one: how often the server read from anybody."""
    return int(redis.info("stats")["total_reads_processed"])


def test_one_round_trip_ends_a_job_and_takes_the_next_by_priority(books: Books) -> None:
    push(Queue.MAIL, "letter")
    push(Queue.RUNS, "run")
    first = take(books)
    before = questions(redis_client())
    second = take(books, Done(first, {"a": 1}, now()))
    assert questions(redis_client()) - before == 1 + 1
    assert (first.job.id, second.job.id) == ("run", "letter")
    ended = JsonJob.fetch("run", connection=redis_client())
    assert ended.get_status() == JobStatus.FINISHED
    assert ended.return_value() == {"a": 1}
    queue = JsonQueue(Queue.RUNS, connection=redis_client())
    assert queue.finished_job_registry.get_job_ids() == ["run"]
    assert queue.started_job_registry.get_job_ids() == []
    assert JsonQueue(Queue.MAIL, connection=redis_client()).started_job_registry.get_job_ids() == ["letter"]


def test_a_step_whose_answer_was_lost_is_repeated_without_harm(books: Books) -> None:
    push(Queue.RUNS, "one", "two")
    number = books._next_execution
    first = take(books)
    books._next_execution = number
    assert take(books).job.id == first.job.id == "one"
    assert JsonQueue(Queue.RUNS, connection=redis_client()).job_ids == ["two"]


def test_who_was_given_up_for_dead_says_nothing_any_more(books: Books) -> None:
    push(Queue.RUNS, "one")
    first = take(books)
    redis_client().delete("rq:wip:runs")
    redis_client().hset("rq:job:one", "status", "failed")
    assert books.step(Done(first, None, now()), wanted=True) is Nothing.IDLE
    assert JsonJob.fetch("one", connection=redis_client()).get_status() == JobStatus.FAILED


def test_suspended_it_takes_nothing(books: Books) -> None:
    push(Queue.RUNS, "one")
    suspend(redis_client())
    assert books.step(None, wanted=True) is Nothing.SUSPENDED
    assert redis_client().hget(WORKER, "state") == b"suspended"
    assert JsonQueue(Queue.RUNS, connection=redis_client()).job_ids == ["one"]


def test_that_redis_forgot_the_worker_is_noticed(books: Books) -> None:
    redis_client().flushdb()
    push(Queue.RUNS, "one")
    take(books)
    assert books.is_forgotten
    assert redis_client().ttl(WORKER) > 0


def test_a_job_queued_here_is_read_as_rq_reads_it(books: Books) -> None:
    push(Queue.RUNS, "run")
    fields: Any = redis_client().hgetall("rq:job:run")
    assert fields.keys() == PLAIN_FIELDS
    job, same = HeldJob("run", redis_client()), JsonJob("run", redis_client())
    job.restore(fields)
    same.restore(fields)
    assert {**vars(job), "serializer": None} == {**vars(same), "serializer": None}
    assert (job.func_name, job.args) == (same.func_name, same.args) == (EXECUTE_RUN, ["run"])


def test_what_is_said_of_a_job_that_returned_nothing_is_what_rq_says(books: Books) -> None:
    push(Queue.RUNS, "run")
    done = Done(take(books), None, now())
    assert _nothing(done) == _result(done)


def test_who_has_nothing_to_do_forgets_the_names_of_jobs_that_are_over(books: Books) -> None:
    """As many as end within ten minutes would stay, until RQ takes them away."""
    push(Queue.RUNS, "one", "two")
    redis = redis_client()
    second = take(books, Done(take(books), None, now()))
    # As the minute for which it is kept would be over.
    redis.zadd("rq:finished:runs", {"one": now().timestamp() - 1, "kept for ever": "inf"})
    redis.zadd("rq:finished:mail", {"letter": now().timestamp() - 1})
    assert books.step(Done(second, None, now()), wanted=True) is Nothing.IDLE
    assert redis.zrange("rq:finished:runs", 0, -1) == [b"two", b"kept for ever"]
    assert not redis.exists("rq:finished:mail")
