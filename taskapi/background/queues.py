"""What waits in the queues and who works on it, in figures for those who operate the system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis
from rq import Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.utils import as_text, utcparse
from rq.worker_registration import get_keys
from rq_scheduler import Scheduler

from taskapi.background.connection import RedisUnavailable, ask_redis
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonQueue
from taskapi.core import clock

WORKER_FIELDS = ("queues", "state", "last_heartbeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFigures:
    """A worker that is alive, as far as Redis knows.

    Attributes:
        state: RQ's word: ``starting``, ``idle``, ``busy`` or ``suspended``.
        silent_seconds: since it last gave a sign of life: at each job, else every 45 s.
    """

    name: str
    state: str
    silent_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """A queue, and the workers that look at it.

    Attributes:
        started, failed: jobs in progress, and those that ended with an error within a day.
        scheduled: jobs that wait for a time, such as periodic housekeeping.
        oldest_seconds: how long the next job has waited; None if none waits.
    """

    name: str
    queued: int
    started: int
    failed: int
    scheduled: int
    oldest_seconds: float | None
    workers: tuple[WorkerFigures, ...]


def queue_figures() -> list[QueueFigures] | None:
    """Each queue in the order in which workers look at them, or None while Redis is away."""
    return ask_redis(_read)


def list_queues() -> list[QueueFigures]:
    """Each queue, as ``queue_figures``.

    Raises:
        RedisUnavailable
    """
    figures = queue_figures()
    if figures is None:
        raise RedisUnavailable
    return figures


def _read(redis: Redis) -> list[QueueFigures]:
    workers = list(_read_workers(redis))
    counts = _count(redis)
    pipeline = redis.pipeline(transaction=False)
    for *_, first in counts:
        pipeline.hget(Job.key_for(as_text(first[0]) if first else ""), "enqueued_at")
    ages = [None if at is None else _seconds_since(at) for at in pipeline.execute()]
    return [
        QueueFigures(
            name=queue.value,
            queued=queued,
            started=started,
            failed=failed,
            scheduled=scheduled,
            oldest_seconds=age,
            workers=tuple(figures for queues, figures in workers if queue.value in queues),
        )
        for queue, (queued, started, failed, scheduled, _), age in zip(Queue, counts, ages, strict=True)
    ]


def _count(redis: Redis) -> list[list[Any]]:
    """Of each queue what is queued, started, failed and scheduled, and the id of its next job in a list."""
    pipeline = redis.pipeline(transaction=False)
    for queue in Queue:
        key = JsonQueue(queue, connection=redis).key
        pipeline.llen(key)
        for registry in (StartedJobRegistry, FailedJobRegistry, ScheduledJobRegistry):
            pipeline.zcard(registry.key_template.format(queue.value))
        pipeline.lrange(key, 0, 0)
    pipeline.zcard(Scheduler.scheduled_jobs_key)
    *numbers, periodic = pipeline.execute()
    counts = [numbers[start : start + 5] for start in range(0, len(numbers), 5)]
    # rq-scheduler keeps its entries in a place of its own; all of ours go to this queue.
    counts[list(Queue).index(Queue.HOUSEKEEPING)][3] += periodic
    return counts


def _read_workers(redis: Redis) -> Iterator[tuple[Sequence[str], WorkerFigures]]:
    keys = sorted(get_keys(connection=redis))
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.hmget(key, WORKER_FIELDS)
    for key, (queues, state, beat_at) in zip(keys, pipeline.execute(), strict=True):
        # Redis forgets a worker that was killed before the list of workers does.
        if queues is None:
            continue
        silent = _seconds_since(beat_at) if beat_at else 0.0
        name = key.removeprefix(Worker.redis_worker_namespace_prefix)
        figures = WorkerFigures(name=name, state=as_text(state or b"?"), silent_seconds=silent)
        yield as_text(queues).split(","), figures


def _seconds_since(at: bytes) -> float:
    moment: datetime = utcparse(as_text(at))
    # Another host's clock may be ahead of this one's.
    return max(0.0, (clock.now() - moment).total_seconds())
