"""What a worker bears, and what of RQ's it serves: in this process, its work-horses forked from it."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as AnswerTimedOut
from redis.retry import Retry as Again
from rq import Callback, Retry, Worker
from rq.command import send_stop_job_command
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from taskapi.background import horse as horses
from taskapi.background import worker as workers
from taskapi.background.bookkeeping import Books, Taken
from taskapi.background.embedded import find_server
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from tests.background import trying
from tests.e2e.installation import wait_for

pytestmark = pytest.mark.one_database
FINISHED, FAILED, QUEUED = JobStatus.FINISHED, JobStatus.FAILED, JobStatus.QUEUED
TRYING = trying.__name__


@pytest.fixture(autouse=True)
def own_signals(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker takes the process's signals over; they are given back. It looks more often than it would."""
    monkeypatch.setattr(workers, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.1)
    db.engine.dispose()
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def enqueue(redis: Redis, name: str, *args: object, queue: Queue = Queue.RUNS, **options: Any) -> JsonJob:
    name = name if "." in name else f"{TRYING}.{name}"
    job = JsonQueue(queue, connection=redis).enqueue_call(name, args=args, **options)
    assert isinstance(job, JsonJob)
    return job


def work(app: Flask, redis: Redis, *, threads: int = 1) -> None:
    """Work until nothing is left to do; then nothing is left of the work either."""
    TaskWorker(app, connection=redis, threads=threads).work(burst=True, logging_level="CRITICAL")
    assert_clean(redis)


def assert_clean(redis: Redis) -> None:
    assert [key for pattern in ("rq:wip:*", "rq:execution*") for key in redis.keys(pattern)] == []
    assert Worker.count(connection=redis) == 0


@pytest.mark.parametrize(
    "end",
    [
        ("signal.raise_signal", signal.SIGSEGV),
        ("signal.raise_signal", signal.SIGKILL),
        ("os._exit", 0),
        ("os._exit", horses.SPENT),
    ],
    ids=["segfault", "out of memory", "exit as if done", "exit as if spent"],
)
def test_the_end_of_a_process_fails_its_job_and_no_other(
    context: Flask, redis: Redis, end: tuple[str, int]
) -> None:
    before, ended, after = enqueue(redis, "os.getpid"), enqueue(redis, *end), enqueue(redis, "os.getpid")
    work(context, redis)
    assert [job.get_status() for job in (before, ended, after)] == [FINISHED, FAILED, FINISHED]
    assert before.return_value() != after.return_value()
    assert ended.failed_job_registry.get_job_ids() == [ended.id]


def test_a_job_beyond_its_memory_fails_alone_and_its_limit_is_not_the_next_ones(
    context: Flask, redis: Redis
) -> None:
    limit = 4 * 1024**3
    before, greedy, after = (
        enqueue(redis, "os.getpid"),
        enqueue(redis, "outgrow", limit),
        enqueue(redis, "os.getpid"),
    )
    unlimited = enqueue(redis, "resource.getrlimit", resource.RLIMIT_AS)
    work(context, redis)
    assert [job.get_status() for job in (before, greedy, after)] == [FINISHED, FAILED, FINISHED]
    result = greedy.latest_result()
    assert result is not None
    assert "MemoryError" in (result.exc_string or "")
    assert before.return_value() != after.return_value()
    assert unlimited.return_value() == list(resource.getrlimit(resource.RLIMIT_AS))


def test_a_job_that_does_not_hear_of_its_time_limit_is_killed(context: Flask, redis: Redis) -> None:
    deaf = enqueue(redis, "ignore_the_alarm", 60, timeout=1)
    after = enqueue(redis, "builtins.len", "abc")
    work(context, redis)
    assert [deaf.get_status(), after.get_status()] == [FAILED, FINISHED]
    result = deaf.latest_result()
    assert result is not None
    assert "signal 9" in (result.exc_string or "")


@pytest.mark.parametrize(
    ("limit", "value", "processes"), [("MAX_JOBS", 2, 2), ("MAX_MEMORY_BYTES", 1, 4)], ids=["jobs", "memory"]
)
def test_a_process_that_did_enough_or_grew_is_followed_by_another(
    context: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, processes: int
) -> None:
    monkeypatch.setattr(horses, limit, value)
    jobs = [enqueue(redis, "os.getpid") for _ in range(4)]
    work(context, redis)
    assert len({job.return_value() for job in jobs}) == processes
    assert {job.get_status() for job in jobs} == {FINISHED}


def test_callbacks_are_called(context: Flask, redis: Redis) -> None:
    options: dict[str, Any] = {
        "on_success": Callback(f"{TRYING}.note_success"),
        "on_failure": Callback(f"{TRYING}.note_failure"),
    }
    well, ill = enqueue(redis, "builtins.len", "abc", **options), enqueue(redis, "builtins.len", 5, **options)
    work(context, redis)
    assert redis.get(f"noted:{well.id}") == b"success 3"
    assert redis.get(f"noted:{ill.id}") == b"failure TypeError"


def test_a_job_is_tried_again_as_it_asks(context: Flask, redis: Redis, tmp_path: Path) -> None:
    marks = [str(tmp_path / name) for name in "abc"]
    enough = enqueue(redis, "fail_until", marks[0], 2, retry=Retry(max=2))
    too_few = enqueue(redis, "fail_until", marks[1], 2, retry=Retry(max=1))
    by_itself = enqueue(redis, "ask_again", marks[2])
    work(context, redis)
    assert [enough.return_value(), too_few.get_status(), by_itself.return_value()] == [3, FAILED, 2]


def test_what_depends_on_a_job_follows_it(context: Flask, redis: Redis) -> None:
    first = enqueue(redis, "time.time")
    last = enqueue(redis, "time.time", queue=Queue.HOUSEKEEPING, depends_on=first)
    never = enqueue(redis, "time.time", depends_on=enqueue(redis, "builtins.len", 5))
    work(context, redis)
    assert (first.return_value() or 0) < (last.return_value() or 0)
    assert never.get_status() == JobStatus.DEFERRED


def test_a_result_is_kept_as_long_as_the_job_asks(context: Flask, redis: Redis) -> None:
    gone, for_long, for_ever, as_usual = (
        enqueue(redis, "builtins.len", "abc", result_ttl=seconds) for seconds in (0, 1_000, -1, None)
    )
    work(context, redis)
    assert not redis.exists(gone.key, f"rq:results:{gone.id}")
    assert [redis.ttl(job.key) for job in (for_long, for_ever, as_usual)] == [
        pytest.approx(1_000, abs=30),
        -1,
        pytest.approx(500, abs=30),
    ]
    assert {job.return_value() for job in (for_long, for_ever, as_usual)} == {3}
    assert set(for_ever.finished_job_registry.get_job_ids()) == {for_long.id, for_ever.id, as_usual.id}


def test_suspended_workers_leave_jobs_where_they_are(context: Flask, redis: Redis) -> None:
    job = enqueue(redis, "builtins.len", "abc")
    suspend(redis)
    work(context, redis)
    assert job.get_status() == QUEUED
    resume(redis)
    work(context, redis)
    assert job.get_status() == FINISHED


def test_a_job_that_is_stopped_is_said_to_be(context: Flask, redis: Redis) -> None:
    long, after = enqueue(redis, "time.sleep", 60), enqueue(redis, "builtins.len", "abc")

    def stop() -> None:
        wait_for(lambda: long.get_status() == JobStatus.STARTED, seconds=20, what="the start")
        send_stop_job_command(redis, long.id, serializer=JSONSerializer)

    stopper = threading.Thread(target=stop)
    stopper.start()
    work(context, redis)
    stopper.join()
    assert [long.get_status(), after.get_status()] == [JobStatus.STOPPED, FINISHED]


@pytest.mark.parametrize("error", [Disconnected("refused"), AnswerTimedOut("Timeout reading from socket")])
def test_it_hears_commands_again_after_redis_was_away_or_slow(
    context: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch, error: RedisError
) -> None:
    heard = threading.Event()
    monkeypatch.setattr(TaskWorker, "handle_payload", lambda _worker, _message: heard.set())
    monkeypatch.setattr(workers, "LISTEN_SECONDS", 0.05)
    worker, errors = TaskWorker(context, connection=redis), [error]
    listen = PubSub.get_message

    def fail_once(pubsub: PubSub, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return listen(pubsub, **options)

    monkeypatch.setattr(PubSub, "get_message", fail_once)
    worker.subscribe()
    try:
        wait_for(lambda: not errors, seconds=10, what="the error")
        redis.publish(worker.pubsub_channel_name, "{}")
        assert heard.wait(10)
    finally:
        worker.unsubscribe()


def test_a_second_signal_ends_the_job_too(context: Flask, redis: Redis) -> None:
    job, after = enqueue(redis, "time.sleep", 60), enqueue(redis, "builtins.len", "abc")

    def signal_twice() -> None:
        wait_for(lambda: job.get_status() == JobStatus.STARTED, seconds=20, what="the start")
        os.kill(os.getpid(), signal.SIGTERM)
        # Sooner it might be a copy of the first.
        time.sleep(1.1)
        os.kill(os.getpid(), signal.SIGTERM)

    signals = threading.Thread(target=signal_twice)
    signals.start()
    with pytest.raises(SystemExit):
        work(context, redis)
    signals.join()
    assert [job.get_status(), after.get_status()] == [FAILED, QUEUED]
    assert_clean(redis)


def test_what_a_worker_had_that_died_with_its_process_is_found(context: Flask, redis: Redis) -> None:
    lost = enqueue(redis, "builtins.len", "abc")
    tried_again = enqueue(redis, "builtins.len", "abc", retry=Retry(max=1))
    for name in ("one", "two"):
        keys = ["rq:queue:runs"]
        books = Books(redis, worker_key=f"rq:worker:{name}", name=name, queue_keys=keys)
        assert isinstance(books.step(None, wanted=True), Taken)
    # Their last sign of life was long ago.
    redis.zunionstore("rq:wip:runs", {"rq:wip:runs": 0})
    for _ in range(2):
        TaskWorker(context, connection=redis).work(burst=True, logging_level="CRITICAL")
    assert [lost.get_status(), tried_again.get_status()] == [FAILED, FINISHED]
    assert redis.zcard("rq:wip:runs") == 0


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [("nap", FINISHED, ""), ("nap_and_fail", FAILED, "Redis was not told")],
    ids=["succeeds", "fails"],
)
def test_redis_may_go_away_in_the_midst_of_a_job_and_come_back(
    context: Flask, tmp_path: Path, name: str, status: JobStatus, told: str
) -> None:
    """What it had noted is still there: as with a restart, or a network that fails."""
    socket = tmp_path / "redis"
    server = (find_server(), *("--port", "0", "--unixsocket", str(socket)), *("--dir", str(tmp_path)))
    mark = tmp_path / "mark"

    def launch() -> subprocess.Popen[bytes]:
        return subprocess.Popen((*server, "--appendonly", "yes", "--appendfsync", "always"), stdout=DEVNULL)

    def restart() -> None:
        wait_for(mark.exists, seconds=20, what="the start")
        processes[0].kill()
        processes[0].wait()
        # Longer than the job.
        time.sleep(1.0)
        processes.append(launch())

    processes = [launch()]
    restarting = threading.Thread(target=restart)
    try:
        wait_for(socket.exists, seconds=10, what="the server")
        # It would try for as long as Redis is away.
        never_again = Again(NoBackoff(), 0)
        with Redis(unix_socket_path=str(socket), socket_timeout=5, retry=never_again) as redis:
            job = enqueue(redis, name, str(mark), 0.5)
            after = enqueue(redis, "builtins.len", "abc")
            restarting.start()
            TaskWorker(context, connection=redis).work(burst=True, logging_level="CRITICAL")
            restarting.join()
            assert [job.get_status(), after.get_status()] == [status, FINISHED]
            result = job.latest_result()
            assert result is not None
            assert told in (result.exc_string or "")
            assert len(mark.read_text().splitlines()) == 1
            assert redis.zcard("rq:wip:runs") == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()


def nap_at_first(mark: str, seconds: float) -> None:
    """As ``nap``, the first time; then at once."""
    trying.nap(mark, 0 if Path(mark).exists() else seconds)


def test_one_that_is_killed_in_the_midst_of_others_gives_theirs_back(
    context: Flask, redis: Redis, tmp_path: Path
) -> None:
    marks = [tmp_path / name for name in "ab"]
    # First in the queue, so that it has begun when the time of the other is over.
    other = enqueue(redis, f"{__name__}.nap_at_first", str(marks[1]), 30, queue=Queue.MAIL)
    stuck = enqueue(redis, "nap", str(marks[0]), 60, queue=Queue.MAIL, timeout=2)
    work(context, redis, threads=2)
    assert [stuck.get_status(), other.get_status()] == [FAILED, FINISHED]
    assert [len(mark.read_text().splitlines()) for mark in marks] == [1, 2]
