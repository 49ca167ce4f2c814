"""Schedules and runs on the wire."""

from datetime import datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.core.openapi import json_schema
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Bound, QueryNumber, Schema, Seconds, Text, Time, TimeZone, WholeNumber, Word

TRIGGERS = ("run_at", "cron", "every")
SCHEDULE_STATUSES = ("active", "paused", "completed", "cancelled")
RUN_STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped")
NOTIFY = ("created", "completed", "failed")
DAY = 86_400.0
YEAR = 366 * DAY
DEFAULT_RETRY = {"max_attempts": 3, "delay": 10.0, "factor": 2.0, "max_delay": 3600.0}
DEFAULT_DST = {"gap": "next_valid", "repeat": "first"}


class LocalTime(Time):
    """A time on the wall, with its offset."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.isoformat(timespec="seconds")


class DstSchema(Schema):
    """What a change of the clocks does to wall times that it leaves out or repeats."""

    gap = Word(("next_valid", "skip"), load_default="next_valid")
    repeat = Word(("first", "second", "both"), load_default="first")


class RetrySchema(Schema):
    """How often and when a failed run is attempted again: delay · factor^n with full jitter."""

    max_attempts = WholeNumber(minimum=1, maximum=100, load_default=3)
    delay = Seconds(minimum=0, maximum=DAY, load_default=10.0)
    factor = fields.Float(validate=validate.Range(min=1, max=100), load_default=2.0)
    max_delay = Seconds(minimum=0, maximum=7 * DAY, load_default=3600.0)


class TriggerSchema(Schema):
    """When: exactly one of run_at, cron and every."""

    exactly_one_of = TRIGGERS

    run_at = Time(metadata={"description": "Once, at this time"})
    cron = Text(
        minimum=1,
        maximum=200,
        metadata={"description": "5 fields, names allowed", "example": "30 8 * * mon-fri"},
    )
    every = Seconds(
        minimum=1, maximum=10 * YEAR, metadata={"description": "Interval in real time, aligned to starts_at"}
    )
    timezone = TimeZone(metadata={"description": "IANA name; default: the caller's own"})
    dst = fields.Nested(DstSchema, load_default=lambda: dict(DEFAULT_DST))
    starts_at = Time()
    ends_at = Time()

    @ma.validates_schema(skip_on_field_errors=False)
    def _exactly_one_trigger(self, data: dict[str, Any], **_kwargs: Any) -> None:
        given = [name for name in TRIGGERS if name in data]
        if len(given) > 1:
            raise ma.ValidationError(f"Send only one of {', '.join(TRIGGERS)}.", given[1])

    @ma.validates_schema
    def _needs_a_trigger(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if not any(name in data for name in TRIGGERS):
            raise ma.ValidationError("Say when: send run_at, cron or every.", "run_at")

    @ma.validates_schema
    def _ends_after_it_starts(self, data: dict[str, Any], **_kwargs: Any) -> None:
        starts_at, ends_at = data.get("starts_at"), data.get("ends_at")
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            raise ma.ValidationError("The end must come after the start.", "ends_at")


class NewScheduleSchema(TriggerSchema):
    """A schedule to make."""

    name = Text(minimum=1, maximum=200, load_default=None)
    action = fields.String(required=True, validate=validate.Length(min=1, max=80))
    params = fields.Dict(keys=fields.String(), load_default=dict)
    max_runs = WholeNumber(minimum=1, maximum=2**31 - 1)
    catch_up = Word(("skip", "latest", "all"), load_default="latest")
    catch_up_window = Seconds(minimum=0, maximum=10 * YEAR, load_default=DAY)
    catch_up_limit = WholeNumber(minimum=1, maximum=10_000, load_default=100)
    overlap = Word(("allow", "skip"), load_default="skip")
    timeout = Seconds(minimum=1, maximum=DAY, load_default=300.0)
    retry = fields.Nested(RetrySchema, load_default=lambda: dict(DEFAULT_RETRY))
    notify = fields.List(Word(NOTIFY), validate=validate.Length(max=len(NOTIFY)))


class RunErrorSchema(Schema):
    """Why an attempt failed."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class RunSchema(Schema):
    """One due time, or one request to run now, and what became of it."""

    tagged = True

    id = fields.UUID(required=True)
    schedule_id = fields.UUID(required=True)
    action = fields.String(required=True)
    params = fields.Dict(required=True)
    scheduled_for = Time(required=True)
    status = fields.String(required=True, validate=validate.OneOf(RUN_STATUSES))
    reason = fields.String(required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    max_attempts = fields.Integer(required=True)
    queued_at = Time(required=True, allow_none=True)
    started_at = Time(required=True, allow_none=True)
    finished_at = Time(required=True, allow_none=True)
    lag_ms = fields.Integer(required=True, allow_none=True, metadata={"description": "Start minus due time"})
    duration_ms = fields.Integer(required=True, allow_none=True)
    worker = fields.String(required=True, allow_none=True)
    result = fields.Raw(required=True, allow_none=True)
    error = fields.Nested(RunErrorSchema, required=True, allow_none=True)
    trigger = fields.String(
        required=True, validate=validate.OneOf(["schedule", "catch_up", "backfill", "manual"])
    )


class ScheduleSchema(Schema):
    """A schedule: what is done, when, and by which policies."""

    tagged = True

    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    action = fields.String(required=True)
    params = fields.Dict(required=True)
    run_at = Time(required=True, allow_none=True)
    cron = fields.String(required=True, allow_none=True)
    every = fields.Float(required=True, allow_none=True)
    timezone = fields.String(required=True)
    dst = fields.Nested(DstSchema, required=True)
    starts_at = Time(required=True)
    ends_at = Time(required=True, allow_none=True)
    max_runs = fields.Integer(required=True, allow_none=True)
    catch_up = fields.String(required=True)
    catch_up_window = fields.Float(required=True)
    catch_up_limit = fields.Integer(required=True)
    overlap = fields.String(required=True)
    timeout = fields.Float(required=True)
    retry = fields.Nested(RetrySchema, required=True)
    notify = fields.List(fields.String(), required=True)
    status = fields.String(required=True, validate=validate.OneOf(SCHEDULE_STATUSES))
    next_run_at = Time(required=True, allow_none=True)
    last_run = fields.Nested(RunSchema, required=True, allow_none=True)
    stats = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    fault = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it could not be planned, if so"}
    )
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    updated_at = Time(required=True)


class ScheduleQuery(PageQuery):
    """Filters of the list of schedules; repeat one for 'any of'."""

    status = fields.List(Word(SCHEDULE_STATUSES))
    action = fields.List(fields.String(validate=validate.Length(max=80)))
    last_run_status = fields.List(Word(RUN_STATUSES))
    q = Text(minimum=1, maximum=200, metadata={"description": "Part of the name"})
    next_before = Bound(end=True)
    next_after = Bound()
    sort = sort_field("created_at", "name", "next_run_at")


class RunsOfScheduleQuery(PageQuery):
    """Filters of the runs of one schedule."""

    status = fields.List(Word(RUN_STATUSES))
    scheduled_before = Bound(end=True)
    scheduled_after = Bound()
    sort = sort_field("created_at", "scheduled_for")


class RunQuery(RunsOfScheduleQuery):
    """Filters of the list of runs."""

    schedule_id = fields.UUID()
    action = fields.List(fields.String(validate=validate.Length(max=80)))


class LogQuery(PageQuery):
    """Pages of a run's log, oldest line first."""


class LogLineSchema(Schema):
    """A line that the action logged."""

    at = Time(required=True)
    attempt = fields.Integer(required=True)
    level = fields.String(required=True)
    message = fields.String(required=True)


class PreviewSchema(TriggerSchema):
    """A trigger to try out."""

    n = WholeNumber(minimum=1, maximum=1000, load_default=10)
    after = Bound(open=True, load_default=None)
    starts_at = Time(load_default=None)
    timezone = TimeZone(load_default=None)


class PreviewQuery(PageQuery):
    """How many fire times, and after when; they come on one page unless a smaller one is asked for."""

    per_page = QueryNumber(minimum=1, maximum=1000, load_default=1000)

    n = QueryNumber(minimum=1, maximum=1000, load_default=10)
    after = Bound(open=True, load_default=None)


class FireTimeSchema(Schema):
    """A fire time in UTC and on the wall; ``note`` says where a change of the clocks touched it."""

    utc = Time(required=True)
    local = LocalTime(required=True)
    note = fields.String(required=True, allow_none=True)


class ActionSchema(Schema):
    """An action that schedules may name."""

    name = fields.String(required=True)
    summary = fields.String(required=True)
    params = fields.Function(
        lambda action: json_schema(action.params),
        required=True,
        metadata={"type": "object", "description": "JSON Schema"},
    )
