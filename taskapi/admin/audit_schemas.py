"""The audit log on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.proxies import read_address
from taskapi.core.schemas import WITHOUT_NUL, AnyCase, AnyCaseText, Bound, Schema, Text, Time

PATTERN = r"^[A-Za-z_.*]{1,80}$"


class Address(fields.String):
    """An IP address, written as the log writes it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        address = read_address(super()._deserialize(value, attr, data, **kwargs))
        if address is None:
            raise ma.ValidationError("Not an IP address.")
        return str(address)


class AuditFilters(Schema):
    """Which events are wanted."""

    type = fields.List(
        AnyCase(validate=validate.Regexp(PATTERN, error="Not a type of event such as `task.*`.")),
        metadata={"description": "Such as `task.deleted`, `task.*` or `*.failed`"},
    )
    actor = Text(
        minimum=1,
        maximum=254,
        metadata={"description": "Who did it: id, e-mail address or username; `system` for nobody"},
    )
    subject_type = AnyCaseText(minimum=1, maximum=40, metadata={"example": "task"})
    subject_id = fields.UUID()
    address = Address(metadata={"description": "From which IP address", **WITHOUT_NUL})
    request_id = Text(minimum=1, maximum=128, metadata={"description": "Of a request, or of a run"})
    created_after = Bound()
    created_before = Bound(end=True)


class AuditQuery(AuditFilters, PageQuery):
    """Filters and order of the audit log."""

    sort = sort_field("created_at")


class AuditActorSchema(Schema):
    """Who did it."""

    id = fields.UUID(required=True)
    username = fields.String(required=True, allow_none=True)


class AuditSubjectSchema(Schema):
    """What it was done to."""

    type = fields.String(required=True, metadata={"example": "task"})
    id = fields.UUID(required=True, metadata={"description": "All zeros if it is nothing in particular"})


class AuditEntrySchema(Schema):
    """Something that happened, or was refused."""

    id = fields.UUID(required=True)
    position = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "In the chain; null for the moment until it is linked"},
    )
    type = fields.String(required=True, metadata={"example": "task.updated"})
    actor = fields.Nested(
        AuditActorSchema, required=True, allow_none=True, metadata={"description": "null: nobody, or unknown"}
    )
    subject = fields.Nested(AuditSubjectSchema, required=True)
    owner_id = fields.UUID(required=True, allow_none=True, metadata={"description": "Whose it is"})
    before = fields.Dict(required=True, allow_none=True)
    after = fields.Dict(required=True, allow_none=True)
    address = fields.String(required=True, allow_none=True, metadata={"description": "The client's"})
    via = fields.String(
        required=True, allow_none=True, metadata={"description": "`api`, `cli`, `worker` or `scheduler`"}
    )
    context = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "The session or token that was used, the program, the user of the system"},
    )
    request_id = fields.String(required=True, allow_none=True)
    created_at = Time(required=True)
    hash = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "SHA-256 of the event and the one before it, in hexadecimal"},
    )
