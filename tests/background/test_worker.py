"""The worker process: jobs run inside the application, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis
from rq import Worker
from rq.job import JobStatus
from rq.worker import WorkerStatus

from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob, JsonQueue
from tests.e2e.installation import BIN, REPOSITORY, wait_for

SECRET = "a secret for tests that is long enough"


@pytest.fixture
def environment(tmp_path: Path, redis_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": redis_url,
        "SECRET_KEY": SECRET,
        "FLASK_APP": "wsgi.py",
        "PYTHONPATH": str(REPOSITORY),
        "LOG_FORMAT": "json",
    }


@pytest.fixture
def redis(redis_url: str, environment: dict[str, str]) -> Redis:
    """An empty Redis beside a migrated database."""
    connection: Redis = Redis.from_url(redis_url)
    connection.flushdb()
    subprocess.run(
        [BIN / "flask", "db", "upgrade"], cwd=REPOSITORY, env=environment, check=True, capture_output=True
    )
    return connection


def work(environment: dict[str, str], *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([BIN / "flask", "worker", *options], cwd=REPOSITORY, env=environment)


def enqueue(redis: Redis, name: str, *args: object, queue: Queue = Queue.RUNS, timeout: int = 30) -> JsonJob:
    job = JsonQueue(queue, connection=redis).enqueue_call(name, args=args, timeout=timeout)
    assert isinstance(job, JsonJob)
    return job


def test_a_crash_ends_that_job_alone(redis: Redis, environment: dict[str, str]) -> None:
    crash = enqueue(redis, "os.abort")
    after = enqueue(redis, "builtins.len", "abc")
    assert work(environment, "--burst").wait(timeout=60) == 0
    assert crash.get_status() == JobStatus.FAILED
    assert (after.get_status(), after.return_value()) == (JobStatus.FINISHED, 3)


def test_housekeeping_comes_before_runs_and_runs_before_mail(
    redis: Redis, environment: dict[str, str]
) -> None:
    jobs = [enqueue(redis, "time.time", queue=queue) for queue in reversed(Queue)]
    assert work(environment, "--burst").wait(timeout=60) == 0
    times = {job.origin: job.return_value() for job in jobs}
    assert sorted(times, key=lambda name: times[name] or 0) == list(Queue)


def test_a_job_that_hangs_is_stopped_by_its_time_limit(redis: Redis, environment: dict[str, str]) -> None:
    job = enqueue(redis, "time.sleep", 60, timeout=1)
    assert work(environment, "--burst").wait(timeout=30) == 0
    assert job.get_status() == JobStatus.FAILED


def test_sigterm_lets_the_job_in_progress_finish(redis: Redis, environment: dict[str, str]) -> None:
    job = enqueue(redis, "time.sleep", 2)
    later = enqueue(redis, "time.sleep", 0)
    process = work(environment)
    wait_for(lambda: job.get_status() == JobStatus.STARTED, seconds=20, what="the start")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert job.get_status() == JobStatus.FINISHED
    assert later.get_status() == JobStatus.QUEUED


def is_idle(redis: Redis) -> bool:
    """Whether a worker waits for jobs: it registers before it listens to signals."""
    return any(worker.get_state() == WorkerStatus.IDLE for worker in Worker.all(connection=redis))


def test_an_idle_worker_stops_at_once(redis: Redis, environment: dict[str, str]) -> None:
    process = work(environment)
    wait_for(lambda: is_idle(redis), seconds=20, what="waiting for work")
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - started < 3


def test_the_job_dies_with_its_worker(redis: Redis, environment: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "still alive"
    enqueue(
        redis,
        "subprocess.run",
        [sys.executable, "-c", f"import time; time.sleep(3); open({str(mark)!r}, 'w')"],
    )
    process = work(environment)
    wait_for(lambda: redis.llen("rq:queue:runs") == 0, seconds=20, what="the start")
    time.sleep(0.5)
    horses = children_of(process.pid)
    process.kill()
    process.wait(timeout=10)
    assert horses
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in horses), seconds=5, what="the end")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_flushed_redis_knows_the_worker_again(redis: Redis, environment: dict[str, str]) -> None:
    process = work(environment)
    wait_for(lambda: Worker.count(connection=redis) == 1, seconds=20, what="registration")
    redis.flushdb()
    job = enqueue(redis, "builtins.len", "abc")
    wait_for(lambda: job.get_status() == JobStatus.FINISHED, seconds=20, what="the job")
    wait_for(lambda: Worker.count(connection=redis) == 1, seconds=5, what="registration again")
    process.terminate()
    process.wait(timeout=20)


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(redis: Redis, environment: dict[str, str]) -> None:
    process = work({**environment, "REDIS_URL": "unix:///nowhere/valkey.sock"})
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=4)
    process.terminate()
    assert process.wait(timeout=10) == 0
