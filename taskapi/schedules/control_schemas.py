"""Changes of schedules and runs by hand, on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import AnyCaseText, Bound, Flag, Schema, Time
from taskapi.schedules.schemas import NewScheduleSchema, ScheduleSchema

MAX_RETRIED = 1_000
BACKFILL_STATUSES = ("running", "completed", "cancelled")


def _names_on_the_wire(schema: type[Schema]) -> set[str]:
    return {field.data_key or name for name, field in schema().fields.items()}


# What a schedule tells of itself and nobody sets.
ANSWERED_ONLY = _names_on_the_wire(ScheduleSchema) - _names_on_the_wire(NewScheduleSchema)


class ScheduleChangesSchema(NewScheduleSchema):
    """What is to change of a schedule; what is not sent stays."""

    exactly_one_of = ()

    def on_bind_field(self, name: str, field: fields.Field[Any]) -> None:
        super().on_bind_field(name, field)
        field.required, field.load_default = False, ma.missing

    @ma.pre_load
    def _only_what_may_change(self, data: Any, **_kwargs: Any) -> Any:
        """A whole schedule may be sent back as it was answered; a part of what nobody sets is refused."""
        if not isinstance(data, dict) or not data.keys() >= ANSWERED_ONLY:
            return data
        return {name: value for name, value in data.items() if name not in ANSWERED_ONLY}


class RunNowSchema(Schema):
    """How this one run differs from the others."""

    may_be_left_out = True

    params = fields.Dict(
        keys=fields.String(),
        metadata={"description": "In the place of the schedule's own, for this run alone"},
    )


class SkipSchema(Schema):
    """Which due time is left out."""

    at = Time(required=True, metadata={"description": "A due time to come, as the preview tells it"})


class RetryRunsSchema(Schema):
    """Which failed runs are opened again: all that fit what is sent."""

    may_be_left_out = True

    run_ids = fields.List(fields.UUID(), validate=validate.Length(max=MAX_RETRIED))
    schedule_id = fields.UUID()
    action = fields.List(AnyCaseText(maximum=80), validate=validate.Length(max=100))
    scheduled_before = Bound(end=True)
    scheduled_after = Bound()


class RetriedSchema(Schema):
    """How many runs were opened again; ask once more while there are more."""

    retried = fields.Integer(required=True)
    more = fields.Boolean(required=True)


class NewBackfillSchema(Schema):
    """A past range whose due times are to run."""

    from_at = Bound(required=True, data_key="from", metadata={"description": "The first moment of the range"})
    to_at = Bound(
        required=True, end=True, data_key="to", metadata={"description": "The end, not part of the range"}
    )
    dry_run = Flag(load_default=False, metadata={"description": "Only tell what would be done"})


class EstimateSchema(Schema):
    """What a backfill would do."""

    due_times = fields.Integer(required=True)
    to_create = fields.Integer(required=True, metadata={"description": "Due times without a run"})
    to_reopen = fields.Integer(required=True, metadata={"description": "Skipped runs"})
    left_alone = fields.Integer(required=True, metadata={"description": "Due times that had their run"})
    times = fields.List(Time(), required=True, metadata={"description": "The first 100 that would run"})


class BackfillSchema(Schema):
    """A past range whose due times run, and how far that is."""

    tagged = True

    id = fields.UUID(required=True)
    schedule_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(BACKFILL_STATUSES))
    from_at = Time(required=True, data_key="from")
    to_at = Time(required=True, data_key="to")
    mark_at = Time(
        required=True, data_key="done_until", metadata={"description": "Due times before it are seen to"}
    )
    created_runs = fields.Integer(required=True)
    reopened_runs = fields.Integer(required=True)
    created_at = Time(required=True)
    finished_at = Time(required=True, allow_none=True)


class BackfillQuery(PageQuery):
    """Pages of a schedule's backfills, newest first."""

    sort = sort_field("created_at")
