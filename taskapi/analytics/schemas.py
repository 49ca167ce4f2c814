"""Figures on the wire, and the periods they are asked for."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.analytics.periods import INTERVALS
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Bound, Schema, Word
from taskapi.tasks.models import PRIORITIES, STATUSES
from taskapi.tasks.schemas import TaskFilters

FORMATS = ("xlsx", "csv")
COUNT = validate.Range(min=0)


def _counts(name: str, words: tuple[str, ...]) -> type[Schema]:
    """A count of each word, also of those that nothing has."""
    counts = {word: fields.Integer(required=True, validate=COUNT) for word in words}
    return Schema.from_dict(counts, name=name)  # type: ignore[return-value, arg-type]


ByStatusSchema = _counts("CountsByStatus", STATUSES)
ByPrioritySchema = _counts("CountsByPriority", PRIORITIES)


class PeriodQuery(Schema):
    """A period; a plain date is a whole day in the caller's time zone, also as its end."""

    start_date = Bound()
    end_date = Bound(end=True)

    @ma.validates_schema
    def _check_order(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if {"start_date", "end_date"} <= data.keys() and data["start_date"] >= data["end_date"]:
            raise ma.ValidationError("It must lie after start_date.", "end_date")


class FiguresSchema(Schema):
    """How many tasks were created in a period."""

    by_status = fields.Nested(ByStatusSchema, required=True)
    by_user = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(validate=COUNT),
        required=True,
        metadata={"description": "By the username of who created them"},
    )


class OverviewSchema(Schema):
    """How things are now."""

    total = fields.Integer(required=True)
    by_status = fields.Nested(ByStatusSchema, required=True)
    by_priority = fields.Nested(ByPrioritySchema, required=True)
    overdue = fields.Integer(
        required=True, metadata={"description": "Open, and their due date is past, marked already or not"}
    )
    due_today = fields.Integer(
        required=True, metadata={"description": "Open, and due on the day that it is for the caller"}
    )
    unassigned = fields.Integer(required=True)


class PerformanceQuery(PeriodQuery, PageQuery):
    """Of which tasks, by when they were created, and in which order."""

    sort = sort_field("username", "assigned", "completed")


class PerformanceSchema(Schema):
    """What became of the tasks that somebody was given."""

    user_id = fields.UUID(required=True)
    username = fields.String(required=True)
    assigned = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    rate = fields.Float(
        required=True, allow_none=True, metadata={"description": "0 to 1; null if there is none"}
    )
    median_seconds_to_done = fields.Float(
        required=True, allow_none=True, metadata={"description": "From being created to being done"}
    )


class TrendsQuery(PeriodQuery):
    """Which periods: without dates the last 30 days, 12 weeks or 12 months; 1,000 at most."""

    interval = Word(INTERVALS, load_default="day")


class TrendSchema(Schema):
    """What was created and what was completed in a period."""

    period = fields.Date(required=True, metadata={"description": "Its first day; weeks begin on Monday"})
    created = fields.Integer(required=True)
    completed = fields.Integer(required=True)


class RunFiguresQuery(PeriodQuery, PageQuery):
    """Of which runs, by when they were due."""


class PercentilesSchema(Schema):
    """Milliseconds; null where nothing has run."""

    p50 = fields.Integer(required=True, allow_none=True)
    p95 = fields.Integer(required=True, allow_none=True)
    p99 = fields.Integer(required=True, allow_none=True)


class RunFiguresSchema(Schema):
    """How the runs of an action went."""

    action = fields.String(required=True)
    total = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    success_rate = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "0 to 1, among those that completed or failed; null if there are none"},
    )
    lag_ms = fields.Nested(PercentilesSchema, required=True)
    duration_ms = fields.Nested(PercentilesSchema, required=True)


class ExportQuery(TaskFilters):
    """Which tasks, and as what."""

    format = Word(FORMATS, load_default="xlsx")
