"""Jobs as operators may see them: without what may hold a secret."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.utils import as_text

from taskapi.background.connection import RedisUnavailable, ask_redis
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob

EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?=:|$)", re.MULTILINE)


class ShownJob(JsonJob):
    """A job without its arguments, its result, and the words of its exception."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:  # noqa: A002
        # Whatever is asked for: a worker that is only looked at would ask for pickle.
        super().__init__(id, connection)

    def latest_result(self, timeout: int = 0) -> Result | None:
        result = super().latest_result(timeout)
        if result is not None and result.exc_string:
            kinds = EXCEPTION.findall(result.exc_string)
            result.exc_string = f"{kinds[-1] if kinds else 'It failed'}: the worker's log tells why."
        return result

    def return_value(self, refresh: bool = False) -> None:
        return None

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        return {}

    def get_call_string(self) -> str:
        return self.description or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """A job that ended with an error; ``error`` is the kind of its exception, its words are in the log."""

    queue: str
    id: str
    description: str | None
    failed_at: datetime | None
    error: str | None


def failed_jobs(*, limit: int) -> list[FailedJob]:
    """The jobs of the last day that ended with an error, at most so many of each queue, the newest first.

    Raises:
        RedisUnavailable
    """
    found = ask_redis(lambda redis: [job for queue in Queue for job in _failed(redis, queue, limit)])
    if found is None:
        raise RedisUnavailable
    return found


def _failed(redis: Redis, queue: Queue, limit: int) -> list[FailedJob]:
    found = []
    # They are ordered by when they are forgotten, so by when they failed.
    ids: Any = redis.zrange(FailedJobRegistry.key_template.format(queue.value), 0, limit - 1, desc=True)
    for job_id in ids:
        try:
            job = ShownJob.fetch(as_text(job_id), connection=redis)
        except NoSuchJobError:
            continue
        result = job.latest_result()
        found.append(
            FailedJob(
                queue=queue.value,
                id=job.id,
                description=job.description,
                failed_at=job.ended_at,
                error=result.exc_string if result else None,
            )
        )
    return found
