"""What has changed, on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from taskapi.core.schemas import QueryNumber, Schema, Time
from taskapi.events.cursors import looks_like_a_token


class SinceToken(fields.String):
    """A ``next`` of an earlier answer, or the id of a message."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text is None or not looks_like_a_token(text):
            raise ma.ValidationError("Not a token: send the `next` of an earlier answer, or leave it out.")
        return text


class ChangesQuery(Schema):
    """After what, and how much at once."""

    since = SinceToken(
        load_default=None,
        metadata={
            "description": "The `next` of an earlier answer, or the id of a message that came live;"
            " without it, everything that is known since the oldest event that is kept",
            "pattern": "^([A-Za-z0-9_-]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$",
        },
    )
    limit = QueryNumber(minimum=1, maximum=500, load_default=100)


class SubjectSchema(Schema):
    """Which thing."""

    type = fields.String(required=True, metadata={"example": "task"})
    id = fields.UUID(required=True)


class FeedItemSchema(Schema):
    """Something that happened to a thing."""

    id = fields.UUID(required=True)
    type = fields.String(
        required=True,
        metadata={
            "description": "What happened, such as `task.updated`; `task.removed` when the task is not"
            " the reader's to see any more",
            "example": "task.updated",
        },
    )
    subject = fields.Nested(SubjectSchema, required=True)
    deleted = fields.Boolean(
        required=True, metadata={"description": "A tombstone: the thing is gone, at least for the reader"}
    )
    data = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "The thing as it is now, as lists answer it; null in a tombstone"},
    )
    at = Time(required=True)


class FeedPageSchema(Schema):
    """What has changed for the reader, in the order of the commits."""

    items = fields.List(fields.Nested(FeedItemSchema), required=True)
    next = fields.String(required=True, metadata={"description": "Send it as `since` next time"})
    more = fields.Boolean(required=True, metadata={"description": "Whether there is more already"})
    latest = fields.String(
        required=True, metadata={"description": "The `next` of who has read everything by now"}
    )
