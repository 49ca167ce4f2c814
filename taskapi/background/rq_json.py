"""RQ with JSON payloads: whoever can write to Redis must not be able to run code on the workers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from redis import Redis
from rq import Queue as RqQueue
from rq.job import Job, JobStatus, _job_stack
from rq.serializers import JSONSerializer

MOMENTS = ("created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat")
# What stands in Redis of a job that was queued here and asks for nothing but to be done.
PLAIN_FIELDS = frozenset(
    b"created_at enqueued_at data origin description timeout result_ttl failure_ttl status".split()
)


def write_moment(moment: datetime) -> str:
    """A time in UTC as RQ writes it, in a tenth of the time."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class JsonJob(Job):
    """A job that is JSON even where a caller cannot choose a serializer, as in rq-scheduler."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - as RQ calls it
        connection: Redis | None = None,
        serializer: Any = None,
    ) -> None:
        super().__init__(id, connection)
        # Not handed over, as RQ would look at each job whether it is one, which takes as long as the rest.
        self.serializer = serializer or JSONSerializer


class HeldJob(JsonJob):
    """A job that a worker has taken, with all that taking it means in Redis."""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """As in RQ, whose way of reading times takes longer than all the rest."""
        if raw_data.keys() == PLAIN_FIELDS and raw_data[b"data"].startswith(b"["):
            self._restore_plain(raw_data)
            return
        fields = dict(raw_data)
        texts = {name: fields.pop(name.encode(), b"").decode() for name in MOMENTS}
        super().restore(fields)
        for name, text in texts.items():
            setattr(self, name, datetime.fromisoformat(text) if text else None)

    def _restore_plain(self, fields: Mapping[bytes, bytes]) -> None:
        # RQ asks for each of some thirty fields, most of them twice.
        self.data = fields[b"data"]
        self.created_at = datetime.fromisoformat(fields[b"created_at"].decode())
        self.enqueued_at = datetime.fromisoformat(fields[b"enqueued_at"].decode())
        self.origin, self.description = fields[b"origin"].decode(), fields[b"description"].decode()
        self.timeout = int(fields[b"timeout"])
        self.result_ttl, self.failure_ttl = int(fields[b"result_ttl"]), int(fields[b"failure_ttl"])
        self._status = JobStatus(fields[b"status"].decode())

    def perform(self) -> Any:
        """As in RQ, which asks Redis first to keep the job: whoever took it did."""
        _job_stack.push(self)  # type: ignore[no-untyped-call]
        try:
            return self._execute()
        finally:
            _job_stack.pop()  # type: ignore[no-untyped-call]


class JsonQueue(RqQueue):
    """A queue of JSON jobs."""

    job_class = JsonJob

    def __init__(self, name: str = "default", connection: Redis | None = None, **options: Any) -> None:
        super().__init__(name, connection, **{**options, "serializer": JSONSerializer, "job_class": JsonJob})
