"""Queues on the wire."""

from marshmallow import fields

from taskapi.core.schemas import Schema


class WorkerSchema(Schema):
    """A worker that is alive, as far as Redis knows."""

    name = fields.String(required=True)
    state = fields.String(required=True, metadata={"description": "starting, idle, busy or suspended"})
    silent_seconds = fields.Float(
        required=True, metadata={"description": "Since its last sign of life; up to a minute is usual"}
    )


class QueueSchema(Schema):
    """What waits in a queue, and who works on it."""

    name = fields.String(required=True)
    queued = fields.Integer(required=True)
    started = fields.Integer(required=True)
    failed = fields.Integer(required=True, metadata={"description": "Jobs of the last day"})
    scheduled = fields.Integer(required=True)
    oldest_seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "How long the next job has waited; null if none waits"},
    )
    workers = fields.List(fields.Nested(WorkerSchema), required=True)
