"""Everybody's schedules and runs, as administrators are answered."""

from marshmallow import fields

from taskapi.accounts.schemas import DirectoryEntrySchema
from taskapi.schedules.run_schemas import RunQuery, RunSchema
from taskapi.schedules.schemas import ScheduleQuery, ScheduleSchema


class OwnedScheduleSchema(ScheduleSchema):
    """A schedule, and whose it is."""

    owner = fields.Nested(DirectoryEntrySchema, required=True, allow_none=True)


class OwnedRunSchema(RunSchema):
    """A run, and whose it is."""

    owner_id = fields.UUID(required=True)
    owner = fields.Nested(DirectoryEntrySchema, required=True, allow_none=True)


class OwnedScheduleQuery(ScheduleQuery):
    """Filters of the list of everybody's schedules; repeat one for 'any of'."""

    owner_id = fields.List(fields.UUID())


class OwnedRunQuery(RunQuery):
    """Filters of the list of everybody's runs; repeat one for 'any of'."""

    owner_id = fields.List(fields.UUID())
