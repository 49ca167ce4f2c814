"""Putting work onto Redis and waking the scheduler.

Both are hints: when Redis is away the work stays recorded in the database, and a sweep
finds it there. So these functions report failure by their result and never raise for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from taskapi.background.connection import ask_redis
from taskapi.background.names import Queue
from taskapi.background.registered import registered_workers
from taskapi.background.rq_json import JsonQueue

log = structlog.get_logger(__name__)

WAKE_CHANNEL = "taskapi:wake"
WAKE_DISPATCH, WAKE_RELAY = "dispatch", "relay"
# Web processes that tell people of events listen here; they look by themselves within a second.
EVENTS_CHANNEL = "taskapi:events"
# Outcomes are in the database; Redis keeps finished jobs only for a look by an operator.
RESULT_TTL_SECONDS = 60
FAILURE_TTL_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCall:
    """A job to enqueue: its dotted name, its arguments (ids) and its id.

    Attributes:
        timeout: seconds after which RQ ends the job.
    """

    name: str
    args: Sequence[str]
    job_id: str
    timeout: int = 60


def enqueue(queue: Queue, calls: Iterable[JobCall]) -> bool:
    """Push all calls in one round trip; whether Redis took them."""
    data = [
        JsonQueue.prepare_data(
            call.name,
            args=list(call.args),
            job_id=call.job_id,
            timeout=call.timeout,
            result_ttl=RESULT_TTL_SECONDS,
            failure_ttl=FAILURE_TTL_SECONDS,
            description=f"{call.name.rpartition('.')[2]} {' '.join(call.args)}",
        )
        for call in calls
    ]
    if not data:
        return True
    pushed = ask_redis(lambda redis: JsonQueue(queue, connection=redis).enqueue_many(data))
    if pushed is None:
        log.warning("enqueue.put_off", queue=queue.value, jobs=len(data))
    return pushed is not None


def wake_scheduler(reason: str) -> None:
    """Tell every scheduler process to look now; they look by themselves within a second."""
    ask_redis(lambda redis: redis.publish(WAKE_CHANNEL, reason))


def announce_events() -> None:
    """Tell every web process that there are new events in the log."""
    ask_redis(lambda redis: redis.publish(EVENTS_CHANNEL, ""))


def stop_job(job_id: str) -> None:
    """Have the worker that works on a job end its process; nothing happens if none does."""
    try:
        ask_redis(lambda redis: send_stop_job_command(redis, job_id, serializer=JSONSerializer))
    except (NoSuchJobError, InvalidJobOperation):
        log.info("job.not_in_progress", job_id=job_id)


def queued_job_ids(*queues: Queue) -> set[str] | None:
    """The ids waiting in the queues, or None when Redis is away."""
    return ask_redis(
        lambda redis: {job for queue in queues for job in JsonQueue(queue, connection=redis).job_ids}
    )


def count_workers() -> int | None:
    """How many workers are alive, or None when Redis is away."""
    return ask_redis(lambda redis: len(registered_workers(redis)))
