"""Runs and their logs on the wire."""

from typing import Any, get_args

from marshmallow import fields, validate

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import AnyCaseText, Bound, Schema, Text, Time, Word
from taskapi.schedules.secrets import shown_params
from taskapi.schedules.timing.verdicts import Reason

RUN_STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped")
RUN_REASONS: tuple[str, ...] = get_args(Reason)
RUN_TRIGGERS = ("schedule", "catch_up", "backfill", "manual")


class Params(fields.Dict):
    """An action's params, without the secrets among them."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return super()._serialize(shown_params(value), attr, obj, **kwargs)  # type: ignore[no-untyped-call]


class RunErrorSchema(Schema):
    """Why an attempt failed."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class ProgressSchema(Schema):
    """How far the action is, by its own count."""

    done = fields.Raw(required=True, metadata={"type": "number"})
    total = fields.Raw(required=True, allow_none=True, metadata={"type": "number"})


class RunSchema(Schema):
    """One due time, or one request to run now, and what became of it."""

    tagged = True

    id = fields.UUID(required=True)
    schedule_id = fields.UUID(required=True)
    action = fields.String(required=True)
    params = Params(required=True)
    scheduled_for = Time(required=True)
    status = fields.String(required=True, validate=validate.OneOf(RUN_STATUSES))
    reason = fields.String(required=True, allow_none=True, validate=validate.OneOf([*RUN_REASONS, None]))
    cancel_requested_at = Time(
        required=True, allow_none=True, metadata={"description": "When a run in progress was told to stop"}
    )
    attempt = fields.Integer(required=True)
    max_attempts = fields.Integer(required=True)
    queued_at = Time(required=True, allow_none=True)
    started_at = Time(required=True, allow_none=True)
    finished_at = Time(required=True, allow_none=True)
    lag_ms = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Start minus due time; null in a backfill"}
    )
    duration_ms = fields.Integer(required=True, allow_none=True)
    worker = fields.String(required=True, allow_none=True)
    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    result = fields.Raw(required=True, allow_none=True)
    error = fields.Nested(RunErrorSchema, required=True, allow_none=True)
    trigger = fields.String(required=True, validate=validate.OneOf(RUN_TRIGGERS))


class RunsOfScheduleQuery(PageQuery):
    """Filters of the runs of one schedule; repeat one for 'any of'."""

    status = fields.List(Word(RUN_STATUSES))
    trigger = fields.List(Word(RUN_TRIGGERS))
    reason = fields.List(Word(RUN_REASONS))
    scheduled_before = Bound(end=True)
    scheduled_after = Bound()
    # Newest first; by due time, latest first, where a range of due times is asked for.
    sort = sort_field("created_at", "scheduled_for")


class RunQuery(RunsOfScheduleQuery):
    """Filters of the list of runs."""

    schedule_id = fields.UUID()
    action = fields.List(AnyCaseText(maximum=80))
    q = Text(minimum=1, maximum=200, metadata={"description": "Words of the schedule's name, all of them"})


class LogQuery(PageQuery):
    """Pages of a run's log, oldest line first."""


class LogLineSchema(Schema):
    """A line that the action logged."""

    at = Time(required=True)
    attempt = fields.Integer(required=True)
    level = fields.String(required=True)
    message = fields.String(required=True)
