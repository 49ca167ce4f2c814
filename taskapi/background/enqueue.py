"""Putting work onto Redis and waking the scheduler.

Both are hints: when Redis is away the work stays recorded in the database, and a sweep
finds it there. So these functions report failure by their result and never raise for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson
import structlog
from redis import Redis
from redis.exceptions import ResponseError
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from taskapi.background.connection import ask_redis
from taskapi.background.names import Queue
from taskapi.background.registered import registered_workers
from taskapi.background.rq_json import JsonJob, JsonQueue
from taskapi.background.scripts import Script

log = structlog.get_logger(__name__)

WAKE_CHANNEL = "taskapi:wake"
WAKE_DISPATCH, WAKE_RELAY = "dispatch", "relay"
# Web processes that tell people of events listen here; they look by themselves within a second.
EVENTS_CHANNEL = "taskapi:events"
# Which life of the server was seen last: a flush takes the key away, a start gives it another.
LIFE_KEY = "taskapi:life"
# Outcomes are in the database; Redis keeps finished jobs only for a look by an operator.
RESULT_TTL_SECONDS = 60
FAILURE_TTL_SECONDS = 86_400
# Four things that all jobs share, then five of each. What is left of an earlier job of the same id
# would end this one's life with its own.
PUSH = Script("""
local queues, queue, job = unpack(KEYS)
for place = 5, #ARGV, 5 do
  local origin, id, data, description, timeout = unpack(ARGV, place, place + 4)
  redis.call('del', job .. id)
  redis.call('hset', job .. id, 'created_at', ARGV[1], 'enqueued_at', ARGV[1], 'data', data,
    'origin', origin, 'description', description, 'timeout', timeout,
    'result_ttl', ARGV[2], 'failure_ttl', ARGV[3], 'status', ARGV[4])
  redis.call('sadd', queues, queue .. origin)
  redis.call('rpush', queue .. origin, id)
end
return true
""")


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
    return enqueue_all({queue: calls})


def enqueue_all(work: Mapping[Queue, Iterable[JobCall]]) -> bool:
    """Push the calls of several queues in one round trip, all or none; whether Redis took them."""
    jobs = {queue: listed for queue, calls in work.items() if (listed := list(calls))}
    if not jobs:
        return True
    pushed = ask_redis(lambda redis: _push(redis, jobs))
    if pushed is None:
        log.warning("enqueue.put_off", jobs={queue.value: len(calls) for queue, calls in jobs.items()})
    return pushed is not None


def _push(redis: Redis, jobs: Mapping[Queue, Sequence[JobCall]]) -> bool:
    # As RQ's enqueue_many, which makes an object and four commands of each job.
    own: list[str | bytes | int] = []
    for queue, calls in jobs.items():
        for call in calls:
            own += queue.value, call.job_id, _data(call), _description(call), call.timeout
    shared = (utcformat(now()), RESULT_TTL_SECONDS, FAILURE_TTL_SECONDS, JobStatus.QUEUED.value)
    prefixes = [JsonQueue.redis_queues_keys, JsonQueue.redis_queue_namespace_prefix]
    PUSH.run(redis, [*prefixes, JsonJob.redis_job_namespace_prefix], *shared, *own)
    return True


def _data(call: JobCall) -> bytes:
    # As RQ's JSONSerializer, which takes longer for it than all the rest; packed it would be no smaller.
    return orjson.dumps((call.name, None, list(call.args), {}))


def _description(call: JobCall) -> str:
    return f"{call.name.rpartition('.')[2]} {' '.join(call.args)}"


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


def missing_jobs(job_ids: Sequence[str]) -> set[str] | None:
    """Those of the jobs that Redis knows nothing of, neither queued nor begun; None while it is away."""
    return ask_redis(lambda redis: _missing(redis, job_ids))


def _missing(redis: Redis, job_ids: Sequence[str]) -> set[str]:
    pipeline = redis.pipeline(transaction=False)
    for job_id in job_ids:
        pipeline.exists(JsonJob.key_for(job_id))
    return {job_id for job_id, is_there in zip(job_ids, pipeline.execute(), strict=True) if not is_there}


def has_begun_anew() -> bool | None:
    """Whether Redis was emptied or started since this was asked last; None when it is away."""
    return ask_redis(_has_begun_anew)


def _has_begun_anew(redis: Redis) -> bool:
    try:
        life = str(redis.info("server").get("run_id", ""))
    except ResponseError:
        # Whoever may not ask that still sees a flush.
        life = ""
    # SET … GET would take Redis 6.2.
    before = cast(bytes | None, redis.getset(LIFE_KEY, life))
    return before != life.encode()


def count_workers() -> int | None:
    """How many workers are alive, or None when Redis is away."""
    return ask_redis(lambda redis: len(registered_workers(redis)))
