"""Attachments on the wire."""

from marshmallow import fields

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Schema, Time


class AttachedFileSchema(Schema):
    """What became of one of the files: the file, or why it was refused."""

    status = fields.Integer(required=True, metadata={"description": "201, or the status of the refusal"})
    filename = fields.String(required=True)
    id = fields.UUID()
    content_type = fields.String()
    size = fields.Integer(metadata={"description": "Bytes"})
    sha256 = fields.String(metadata={"description": "Of the content, in hexadecimal digits"})
    task_id = fields.UUID()
    owner_id = fields.UUID()
    created_at = Time()
    code = fields.String(metadata={"description": "If it was refused"})
    detail = fields.String(metadata={"description": "If it was refused"})


class AttachedFilesSchema(Schema):
    """What became of the files, in the order in which they were sent."""

    items = fields.List(fields.Nested(AttachedFileSchema), required=True)


class AttachmentQuery(PageQuery):
    """Order of the list of attachments."""

    sort = sort_field("created_at", "filename", "size")
