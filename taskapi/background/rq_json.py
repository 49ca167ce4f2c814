"""RQ with JSON payloads: whoever can write to Redis must not be able to run code on the workers."""

from typing import Any

from redis import Redis
from rq import Queue as RqQueue
from rq.job import Job
from rq.serializers import JSONSerializer


class JsonJob(Job):
    """A job that is JSON even where a caller cannot choose a serializer, as in rq-scheduler."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - as RQ calls it
        connection: Redis | None = None,
        serializer: Any = None,
    ) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)


class JsonQueue(RqQueue):
    """A queue of JSON jobs."""

    job_class = JsonJob

    def __init__(self, name: str = "default", connection: Redis | None = None, **options: Any) -> None:
        super().__init__(name, connection, **{**options, "serializer": JSONSerializer, "job_class": JsonJob})
