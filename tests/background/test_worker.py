"""The worker process: jobs run inside the application, each in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Worker
from rq.command import send_stop_job_command
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob, JsonQueue
from tests.background import leaving
from tests.e2e.installation import BIN, REPOSITORY, wait_for
from tests.processes import children_of
from tests.timed import best_of

SECRET = "a secret for tests that is long enough"
URL = "redis://:hunter2@redis:6379"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Path:
    """An empty database, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    environment = environment_in(folder, redis_url)
    subprocess.run(
        [BIN / "flask", "db", "upgrade"], cwd=REPOSITORY, env=environment, check=True, capture_output=True
    )
    return folder / "taskapi.db"


@pytest.fixture
def environment(tmp_path: Path, redis_url: str) -> dict[str, str]:
    return environment_in(tmp_path, redis_url)


def environment_in(folder: Path, redis_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(folder),
        "REDIS_URL": redis_url,
        "SECRET_KEY": SECRET,
        "FLASK_APP": "wsgi.py",
        "PYTHONPATH": str(REPOSITORY),
        "LOG_FORMAT": "json",
    }


started: list[subprocess.Popen[bytes]] = []


@pytest.fixture
def redis(redis_url: str, tmp_path: Path, migrated: Path) -> Iterator[Redis]:
    """An empty Redis beside a migrated database; no worker outlives the test."""
    connection: Redis = Redis.from_url(redis_url)
    connection.flushdb()
    shutil.copy(migrated, tmp_path)
    yield connection
    while started:
        process = started.pop()
        process.kill()
        process.wait(timeout=10)
    connection.close()


def work(environment: dict[str, str], *options: str) -> subprocess.Popen[bytes]:
    started.append(subprocess.Popen([BIN / "flask", "worker", *options], cwd=REPOSITORY, env=environment))
    return started[-1]


def enqueue(redis: Redis, name: str, *args: object, queue: Queue = Queue.RUNS, timeout: int = 30) -> JsonJob:
    job = JsonQueue(queue, connection=redis).enqueue_call(name, args=args, timeout=timeout)
    assert isinstance(job, JsonJob)
    return job


def told_of(job: JsonJob) -> str:
    """What Redis keeps of a failure: the last line of its traceback."""
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string).rstrip().splitlines()[-1]


def test_one_process_does_job_after_job_until_one_crashes_or_fails_which_ends_that_job_alone(
    redis: Redis, environment: dict[str, str]
) -> None:
    rounds, ends = [], []
    for end in (("os.abort",), ("builtins.int", URL), ("builtins.len", "abc")):
        rounds.append([enqueue(redis, "os.getpid") for _ in range(2)])
        ends.append(enqueue(redis, *end))
    assert work(environment, "--burst").wait(timeout=60) == 0
    failed, finished = JobStatus.FAILED, JobStatus.FINISHED
    assert [job.get_status() for job in ends] == [failed, failed, finished]
    assert ends[-1].return_value() == 3
    assert told_of(ends[1]) == "ValueError: invalid literal for int() with base 10: 'redis://***@redis:6379'"
    pids = [{job.return_value() for job in jobs} for jobs in rounds]
    assert [len(found) for found in pids] == [1, 1, 1]
    assert len(set.union(*pids) - {None}) == 3


def test_what_a_job_leaves_set_is_not_the_next_ones(redis: Redis, environment: dict[str, str]) -> None:
    jobs = [enqueue(redis, f"{leaving.__name__}.{name}") for name in ("leave", "find")]
    assert work(environment, "--burst").wait(timeout=60) == 0
    (first_pid, _left), (second_pid, found) = (job.return_value() or (0, "") for job in jobs)
    assert first_pid == second_pid
    assert found == "nothing"


def test_a_process_killed_while_it_waits_costs_no_job(redis: Redis, environment: dict[str, str]) -> None:
    process = work(environment)
    first = enqueue(redis, "os.getpid")
    wait_for(lambda: first.get_status() == JobStatus.FINISHED, seconds=20, what="the first job")
    wait_for(lambda: is_idle(redis), seconds=20, what="waiting for work")
    horse = first.return_value() or 0
    os.kill(horse, signal.SIGKILL)
    wait_for(lambda: is_dead(horse), seconds=20, what="its death")
    second = enqueue(redis, "os.getpid")
    wait_for(lambda: second.get_status() == JobStatus.FINISHED, seconds=20, what="the second job")
    assert second.return_value() != first.return_value()
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert not Path(f"/proc/{second.return_value()}").exists()


def test_a_job_that_is_stopped_ends_alone(redis: Redis, environment: dict[str, str]) -> None:
    process = work(environment)
    long, after = enqueue(redis, "time.sleep", 60), enqueue(redis, "builtins.len", "abc")
    wait_for(lambda: long.get_status() == JobStatus.STARTED, seconds=20, what="the start")
    send_stop_job_command(redis, long.id, serializer=JSONSerializer)
    wait_for(lambda: after.get_status() == JobStatus.FINISHED, seconds=10, what="the job after")
    assert long.get_status() in (JobStatus.FAILED, JobStatus.STOPPED)
    process.terminate()
    assert process.wait(timeout=20) == 0


def test_a_signal_to_all_processes_lets_the_job_finish(redis: Redis, environment: dict[str, str]) -> None:
    """As a service manager does it that stops a service."""
    job = enqueue(redis, "time.sleep", 1)
    process = work(environment)
    wait_for(lambda: job.get_status() == JobStatus.STARTED, seconds=20, what="the start")
    for pid in (*children_of(process.pid), process.pid):
        os.kill(pid, signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert job.get_status() == JobStatus.FINISHED


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


def is_dead(pid: int) -> bool:
    """Whether a process has ended, and its parent knows."""
    return not Path(f"/proc/{pid}").exists()


def is_idle(redis: Redis) -> bool:
    """Whether a worker waits for jobs: it registers before it listens to signals."""
    return any(worker.get_state() == WorkerStatus.IDLE for worker in Worker.all(connection=redis))


def test_an_idle_worker_stops_at_once(redis: Redis, environment: dict[str, str]) -> None:
    def seconds() -> float:
        process = work(environment)
        wait_for(lambda: is_idle(redis), seconds=20, what="waiting for work")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        return time.monotonic() - begun

    assert best_of(3, seconds, enough=3) < 3


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


def test_a_worker_and_its_process_killed_at_once_cost_no_job_of_others_and_theirs_is_told(
    redis: Redis, environment: dict[str, str]
) -> None:
    lost = enqueue(redis, "time.sleep", 60)
    process = work(environment)
    wait_for(lambda: lost.get_status() == JobStatus.STARTED, seconds=20, what="the start")
    horses = children_of(process.pid)
    for pid in (process.pid, *horses):
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=10)
    after = enqueue(redis, "builtins.len", "abc")
    # Their last sign of life was long ago.
    redis.zunionstore("rq:wip:runs", {"rq:wip:runs": 0})
    for _ in range(2):
        assert work(environment, "--burst").wait(timeout=30) == 0
    assert [lost.get_status(), after.get_status()] == [JobStatus.FAILED, JobStatus.FINISHED]
    assert lost.failed_job_registry.get_job_ids() == [lost.id]
    assert redis.keys("rq:wip:*") == []
    # What is left of it goes by itself.
    assert [key for key in redis.keys("rq:execution*") if redis.ttl(key) < 0] == []


def test_a_flushed_redis_knows_the_worker_again(redis: Redis, environment: dict[str, str]) -> None:
    process = work(environment)
    wait_for(lambda: Worker.count(connection=redis) == 1, seconds=20, what="registration")
    redis.flushdb()
    job = enqueue(redis, "builtins.len", "abc")
    wait_for(lambda: job.get_status() == JobStatus.FINISHED, seconds=20, what="the job")
    wait_for(lambda: Worker.count(connection=redis) == 1, seconds=20, what="registration again")
    process.terminate()
    process.wait(timeout=20)


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    redis: Redis, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    process = work(
        {**environment, "REDIS_URL": "unix:///nowhere/valkey.sock", "LOG_FILE": str(log)},
    )
    wait_for(lambda: log.exists() and "waiting_for_redis" in log.read_text(), seconds=30, what="the wait")
    assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=10) == 0
