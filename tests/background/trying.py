"""Jobs that try what a worker must bear."""

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from redis import Redis
from rq import get_current_job
from rq.job import Job, Retry


def ignore_the_alarm(seconds: float) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(seconds)


def fail_until(mark: str, times: int) -> int:
    """Fail the first so many times; how often it was called."""
    calls = _count(mark)
    if calls <= times:
        raise ValueError(calls)
    return calls


def ask_again(mark: str) -> int | Retry:
    """Ask to be called once more; how often it was called."""
    calls = _count(mark)
    return Retry(max=1) if calls == 1 else calls


def nap(mark: str, seconds: float) -> None:
    _count(mark)
    time.sleep(seconds)


def nap_and_fail(mark: str, seconds: float) -> None:
    nap(mark, seconds)
    raise ValueError(mark)


def outgrow(limit: int) -> int:
    """Take more memory than the process may have, in bytes."""
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return len(bytearray(2 * limit))


def note_success(job: Job, connection: Redis, value: Any) -> None:
    connection.set(f"noted:{job.id}", f"success {value}")


def note_failure(job: Job, connection: Redis, kind: type, error: Exception, trace: Any) -> None:
    connection.set(f"noted:{job.id}", f"failure {kind.__name__}")


def _count(mark: str) -> int:
    with Path(mark).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(mark).read_text().splitlines())


def note_stopped(job: Job, connection: Redis) -> None:
    connection.set(f"noted:{job.id}", "stopped")


def note_mailed() -> None:
    job = get_current_job()
    assert job is not None
    job.connection.set("mailed", 1)
