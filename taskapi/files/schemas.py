"""Files on the wire."""

from marshmallow import fields, validate

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import WITHOUT_NUL, Bound, Flag, Schema, Text, Time

SHA256_PATTERN = r"^[0-9A-Fa-f]{64}$"


class UploadFieldsSchema(Schema):
    """What may be sent beside a content."""

    sha256 = fields.String(
        validate=validate.Regexp(SHA256_PATTERN, error="Send 64 hexadecimal digits."),
        metadata={"description": "Of the content: if another arrives it is refused, and nothing kept"},
    )


class RawUploadQuery(UploadFieldsSchema):
    """What may be said of a content that is the whole body."""

    filename = fields.String(
        required=True,
        validate=validate.Length(min=1, max=1024),
        metadata={"description": "Folders in it are left out", **WITHOUT_NUL},
    )


class FileSchema(Schema):
    """What is known of a file; its content is served by ``/content``."""

    tagged = True

    id = fields.UUID(required=True)
    filename = fields.String(required=True)
    content_type = fields.String(
        required=True, metadata={"description": "Found from the content, whatever the client declared"}
    )
    size = fields.Integer(required=True, metadata={"description": "Bytes"})
    sha256 = fields.String(required=True, metadata={"description": "Of the content, in hexadecimal digits"})
    task_id = fields.UUID(required=True, allow_none=True)
    owner_id = fields.UUID(required=True)
    created_at = Time(required=True)


class FileQuery(PageQuery):
    """Filters of the list of files; repeat ``content_type`` for 'any of'."""

    q = Text(
        minimum=1,
        maximum=255,
        metadata={"description": "Part of the filename; case and accents do not matter"},
    )
    content_type = fields.List(Text(maximum=127))
    task_id = fields.UUID()
    owner_id = fields.UUID(metadata={"description": "For administrators: others find their own files alone"})
    damaged = Flag(metadata={"description": "Whether the stored content is known to be damaged or missing"})
    created_before = Bound(end=True)
    created_after = Bound()
    sort = sort_field("created_at", "filename", "size")


class StorageUseSchema(Schema):
    """How much of the store one's files take."""

    used = fields.Integer(required=True, metadata={"description": "Bytes"})
    allowed = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Bytes; null where there is no limit"}
    )


class VerdictSchema(Schema):
    """Whether what is stored of a file is what was uploaded."""

    ok = fields.Boolean(required=True)
    sha256 = fields.String(required=True, metadata={"description": "Of the content that was uploaded"})
    stored_sha256 = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of the content that is stored now; null when it is gone"},
    )
