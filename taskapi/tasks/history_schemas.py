"""The history of a task on the wire."""

from marshmallow import fields

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Schema, Time


class PersonSchema(Schema):
    """Who did something."""

    id = fields.UUID(required=True)
    username = fields.String(required=True)


class ChangeSchema(Schema):
    """A field, and what it was before and after."""

    field = fields.String(required=True)
    from_ = fields.Raw(required=True, allow_none=True, data_key="from", attribute="from")
    to = fields.Raw(required=True, allow_none=True)


class HistoryEntrySchema(Schema):
    """Something that happened with a task, a comment or a file of it."""

    id = fields.UUID(required=True)
    type = fields.String(required=True, metadata={"description": "Such as `task.updated`"})
    actor = fields.Nested(
        PersonSchema,
        required=True,
        allow_none=True,
        metadata={"description": "null for the system, and once the account is closed"},
    )
    request_id = fields.String(required=True, allow_none=True)
    changes = fields.List(fields.Nested(ChangeSchema), required=True)
    at = Time(required=True)


class HistoryQuery(PageQuery):
    """Order of a history."""

    sort = sort_field("at")
