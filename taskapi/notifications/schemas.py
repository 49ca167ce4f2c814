"""Notifications on the wire."""

from marshmallow import fields

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Flag, Schema, Time


class NotificationSchema(Schema):
    """Something one should know."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    title = fields.String(required=True)
    message = fields.String(required=True)
    task_id = fields.UUID(required=True, allow_none=True)
    is_read = fields.Boolean(required=True)
    created_at = Time(required=True)


class NotificationQuery(PageQuery):
    """Filters of the list of notifications."""

    unread = Flag(metadata={"description": "Only unread ones (true), or only read ones (false)"})
    sort = sort_field("created_at")


class UnreadCountSchema(Schema):
    """How many notifications are unread."""

    unread_count = fields.Integer(required=True)
