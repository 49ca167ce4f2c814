"""Imports on the wire."""

from marshmallow import fields, validate

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Flag, Schema, Time, Word
from taskapi.tasks.importing.models import STATUSES


class ImportQuery(Schema):
    """How a table is to be imported."""

    dry_run = Flag(
        load_default=False,
        metadata={"description": "Only find out what would come of it, and write nothing"},
    )


class ImportListQuery(PageQuery):
    """Filters and order of the list of imports."""

    status = fields.List(Word(STATUSES))
    sort = sort_field("created_at")


class ImportNoteSchema(Schema):
    """What is wrong with a row."""

    row = fields.Integer(
        required=True,
        metadata={"description": "As a spreadsheet numbers it: the first row of the file is 1"},
    )
    field = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The name of the column as it stands in the file; null for the row itself"},
    )
    message = fields.String(required=True)


class ImportErrorSchema(Schema):
    """Why an import failed as a whole."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class TaskImportSchema(Schema):
    """An import as lists show it: how far it is, and what came of the rows."""

    tagged = True

    id = fields.UUID(required=True)
    filename = fields.String(required=True)
    owner_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    dry_run = fields.Boolean(required=True)
    encoding = fields.String(required=True, allow_none=True, metadata={"description": "As it was found"})
    delimiter = fields.String(required=True, allow_none=True, metadata={"description": "As it was found"})
    ignored_columns = fields.List(
        fields.String(), required=True, metadata={"description": "Columns that mean nothing here"}
    )
    total_rows = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null until they are counted"}
    )
    done_rows = fields.Integer(required=True)
    created = fields.Integer(required=True)
    updated = fields.Integer(
        required=True, metadata={"description": "Tasks that were known by their `external_id` and differed"}
    )
    unchanged = fields.Integer(required=True, metadata={"description": "Known, and as the row says already"})
    failed = fields.Integer(required=True, metadata={"description": "Rows with an error, which did nothing"})
    error = fields.Nested(ImportErrorSchema, required=True, allow_none=True)
    kept = fields.Integer(
        required=True,
        metadata={"description": "Tasks of which an undo left something, as it was changed since"},
    )
    undo_until = Time(
        required=True, allow_none=True, metadata={"description": "null if there is nothing to undo"}
    )
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    started_at = Time(required=True, allow_none=True)
    finished_at = Time(required=True, allow_none=True)


class TaskImportDetailSchema(TaskImportSchema):
    """An import with what is wrong with its rows."""

    errors = fields.List(
        fields.Nested(ImportNoteSchema), required=True, metadata={"description": "The first 1,000"}
    )
    more_errors = fields.Integer(required=True, metadata={"description": "How many are not listed"})
    warnings = fields.List(
        fields.Nested(ImportNoteSchema), required=True, metadata={"description": "The first 1,000"}
    )
    more_warnings = fields.Integer(required=True, metadata={"description": "How many are not listed"})
