"""Figures of the installation, as administrators are answered."""

from marshmallow import fields

from taskapi.core.schemas import Schema, Time


def _numbers(words: str) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": words}
    )


class UserFiguresSchema(Schema):
    """Accounts that are not closed."""

    total = fields.Integer(required=True)
    active = fields.Integer(required=True)
    admins = fields.Integer(required=True, metadata={"description": "That are active"})
    new_last_7_days = fields.Integer(required=True)


class FileFiguresSchema(Schema):
    """Files that are stored."""

    count = fields.Integer(required=True)
    bytes = fields.Integer(required=True)
    damaged = fields.Integer(required=True, metadata={"description": "Changed or missing when last read"})


class StorageFiguresSchema(Schema):
    """The store that they lie in."""

    bytes = fields.Integer(required=True)
    undeleted = fields.Integer(required=True, metadata={"description": "Objects that could not be removed"})


class QueueDepthSchema(Schema):
    """What waits in a queue."""

    name = fields.String(required=True)
    queued = fields.Integer(required=True)
    started = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    scheduled = fields.Integer(required=True)
    oldest_seconds = fields.Float(required=True, allow_none=True)


class SchedulerFiguresSchema(Schema):
    """Whether what is due is begun in time."""

    lag_p50_seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "Of the runs of the last 5 minutes"}
    )
    lag_p95_seconds = fields.Float(required=True, allow_none=True)
    overdue = fields.Integer(
        required=True, metadata={"description": "Schedules that should have been handled 10 s ago"}
    )
    last_heartbeat = Time(required=True, allow_none=True)


class StatsSchema(Schema):
    """How the installation does; what Redis knows is null while it is away."""

    users = fields.Nested(UserFiguresSchema, required=True)
    tasks = _numbers("By status, without deleted ones")
    schedules = _numbers("By status, without deleted ones")
    runs = _numbers("By status")
    runs_last_24_hours = _numbers("By status, of those that were made then")
    files = fields.Nested(FileFiguresSchema, required=True)
    storage = fields.Nested(StorageFiguresSchema, required=True)
    queues = fields.List(fields.Nested(QueueDepthSchema), required=True, allow_none=True)
    queue_depth = fields.Integer(required=True, allow_none=True)
    scheduler = fields.Nested(SchedulerFiguresSchema, required=True)
    workers = fields.Integer(required=True, allow_none=True)
