"""What RQ offers beside taking jobs from a queue, and what its own tools say of our workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import Callback, Retry
from rq.command import send_stop_job_command
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from taskapi.background import postponed
from taskapi.background import worker as workers
from taskapi.background.names import Queue
from taskapi.background.postponed import queue_postponed
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from tests.background import trying
from tests.e2e.installation import BIN, wait_for
from tests.people import Person

pytestmark = [pytest.mark.one_database, pytest.mark.usefixtures("signal_handlers")]
TRYING = trying.__name__
SECONDS = 30.0


@pytest.fixture
def queue(redis: Redis) -> JsonQueue:
    return JsonQueue(Queue.RUNS, connection=redis)


def work_while(
    app: Flask, redis: Redis, steps: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker works for as long as a thread takes its steps."""
    monkeypatch.setattr(workers, "TICK_SECONDS", 0.05)
    db.engine.dispose()
    failures: list[BaseException] = []

    def take_steps() -> None:
        try:
            steps()
        except BaseException as error:  # noqa: BLE001 - raised below, where the test sees it
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=take_steps)
    thread.start()
    TaskWorker(app, connection=redis).work(logging_level="CRITICAL")
    thread.join()
    if failures:
        raise failures[0]


def comes(job: Any, status: JobStatus) -> None:
    wait_for(lambda: job.get_status() == status, seconds=SECONDS, what=status.value)


def test_a_job_for_later_is_done_then_and_not_before(
    context: Flask, redis: Redis, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue_in(timedelta(seconds=2), "time.time")
    due = queue.scheduled_job_registry.get_scheduled_time(job)
    work_while(context, redis, lambda: comes(job, JobStatus.FINISHED), monkeypatch)
    assert job.return_value() >= due.timestamp()
    assert len(queue.scheduled_job_registry) == 0


def test_a_retry_comes_after_its_pause(
    context: Flask, redis: Redis, queue: JsonQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = str(tmp_path / "mark")
    retry = Retry(max=2, interval=1)
    job = queue.enqueue_call(f"{TRYING}.fail_until", args=(mark, 2), retry=retry)
    begun = time.monotonic()
    work_while(context, redis, lambda: comes(job, JobStatus.FINISHED), monkeypatch)
    assert job.return_value() == 3
    # Two pauses of a second; RQ cuts them to whole ones.
    assert time.monotonic() - begun > 1.0


def test_what_is_due_is_queued_once_in_its_order_or_in_front(redis: Redis, queue: JsonQueue) -> None:
    queue.enqueue_call("builtins.len", args=("abc",), job_id="waiting")
    for name, options in {"one": {}, "two": {}, "first": {"at_front": True}}.items():
        queue.enqueue_in(timedelta(seconds=-1), "builtins.len", "abc", job_id=name, **options)
    queue.enqueue_in(timedelta(minutes=5), "builtins.len", "abc", job_id="later")
    redis.delete("rq:job:two")
    looking = [threading.Thread(target=queue_postponed, args=(redis,)) for _ in range(4)]
    for thread in looking:
        thread.start()
    for thread in looking:
        thread.join()
    assert queue.job_ids == ["first", "waiting", "one"]
    assert queue.scheduled_job_registry.get_job_ids() == ["later"]
    assert JsonJob.fetch("one", connection=redis).get_status() == JobStatus.QUEUED


def test_many_that_are_due_come_in_portions(
    redis: Redis, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponed, "MOST", 2)
    for _ in range(5):
        queue.enqueue_in(timedelta(seconds=-1), "builtins.len", "abc")
    assert [queue_postponed(redis) for _ in range(4)] == [2, 2, 1, 0]


def test_who_is_stopped_has_that_said_to_its_callback(
    context: Flask, redis: Redis, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue_call("time.sleep", args=(60,), on_stopped=Callback(f"{TRYING}.note_stopped"))

    def stop() -> None:
        comes(job, JobStatus.STARTED)
        send_stop_job_command(redis, job.id, serializer=JSONSerializer)
        comes(job, JobStatus.STOPPED)

    work_while(context, redis, stop, monkeypatch)
    assert redis.get(f"noted:{job.id}") == b"stopped"


def test_a_failure_is_kept_as_long_as_the_job_asks(
    context: Flask, redis: Redis, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue_call("builtins.int", args=("no number",), failure_ttl=100)
    work_while(context, redis, lambda: comes(job, JobStatus.FAILED), monkeypatch)
    kept_until = redis.zscore(queue.failed_job_registry.key, job.id)
    assert kept_until == pytest.approx(time.time() + 100, abs=SECONDS)
    assert 100 - SECONDS < redis.ttl(job.key) <= 100


def test_a_worker_that_is_suspended_waits_and_goes_on(
    context: Flask, redis: Redis, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps() -> None:
        first = queue.enqueue_call("builtins.len", args=("abc",))
        comes(first, JobStatus.FINISHED)
        suspend(redis)
        second = queue.enqueue_call("builtins.len", args=("abc",))
        time.sleep(1.5)
        assert second.get_status() == JobStatus.QUEUED
        resume(redis)
        comes(second, JobStatus.FINISHED)

    work_while(context, redis, steps, monkeypatch)


def test_rq_info_tells_the_truth(
    context: Flask, redis: Redis, redis_url: str, queue: JsonQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def ask() -> None:
        command = (sys.executable, str(BIN / "rq"), "info", "--raw", "--url", redis_url)
        said.append(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    def steps() -> None:
        busy = queue.enqueue_call("time.sleep", args=(60,))
        comes(busy, JobStatus.STARTED)
        for _ in range(3):
            queue.enqueue_call("builtins.len", args=("abc",))
        ask()
        send_stop_job_command(redis, busy.id, serializer=JSONSerializer)
        comes(busy, JobStatus.STOPPED)
        wait_for(lambda: queue.count == 0, seconds=SECONDS, what="the others")

    work_while(context, redis, steps, monkeypatch)
    ask()
    during, after = said
    assert "queue runs 3" in during
    (worker,) = [line for line in during.splitlines() if line.startswith("worker ")]
    assert " busy " in f"{worker} "
    assert "queue runs 0" in after
    assert not [line for line in after.splitlines() if line.startswith("worker ")]


def test_rq_dashboard_tells_the_truth(
    context: Flask, redis: Redis, queue: JsonQueue, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"name": "dashboard", "scopes": ["admin"]}
    login = ("anybody", admin.post("/api/auth/tokens", asked).json["token"])
    said: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = []

    def ask() -> None:
        client = context.test_client()
        answers = [client.get(f"/admin/rq/0/data/{page}.json", auth=login) for page in ("queues", "workers")]
        queues, workers = (answer.get_json() for answer in answers)
        said.append((queues["queues"], workers["workers"]))

    def steps() -> None:
        busy = queue.enqueue_call("time.sleep", args=(60,))
        comes(busy, JobStatus.STARTED)
        after = queue.enqueue_call("builtins.len", args=("abc",))
        ask()
        send_stop_job_command(redis, busy.id, serializer=JSONSerializer)
        comes(after, JobStatus.FINISHED)

    work_while(context, redis, steps, monkeypatch)
    ask()
    (queues, (worker,)), (queues_after, workers_after) = said
    (runs,) = [one for one in queues if one["name"] == "runs"]
    assert (runs["count"], runs["started_job_registry_count"]) == (1, 1)
    assert worker["state"] == "busy"
    assert "runs" in worker["queues"]
    (runs,) = [one for one in queues_after if one["name"] == "runs"]
    assert (runs["count"], runs["started_job_registry_count"]) == (0, 0)
    assert workers_after == []
