"""Actions and schedules on the wire."""

from datetime import date, datetime
from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.core.json import format_time
from taskapi.core.openapi import json_schema
from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import (
    PLAIN_DATE,
    AnyCase,
    AnyCaseText,
    Bound,
    QueryNumber,
    Schema,
    Seconds,
    Text,
    Time,
    TimeZone,
    WholeNumber,
    Word,
)
from taskapi.schedules.run_schemas import RUN_STATUSES, Params, RunSchema

TRIGGERS = ("run_at", "cron", "every", "rrule")
SCHEDULE_STATUSES = ("active", "paused", "completed", "cancelled")
NOTIFY = ("created", "completed", "failed")
DAY = 86_400.0
YEAR = 366 * DAY
MAX_FAILURES = 1000
DEFAULT_RETRY = {"max_attempts": 3, "delay": 10.0, "factor": 2.0, "max_delay": 3600.0}
DEFAULT_DST = {"gap": "next_valid", "repeat": "first"}


class LocalTime(Time):
    """A time on the wall, with its offset."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.isoformat(timespec="seconds")


class DayOrTime(fields.Field[str]):
    """A date, or an RFC 3339 time; kept as text, a time in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not PLAIN_DATE.fullmatch(value):
            return format_time(Time().deserialize(value))
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ma.ValidationError("There is no such day.") from None


class Words(fields.List[str]):
    """A list in which each word counts once."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


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
    """When: exactly one of run_at, cron, every and rrule."""

    exactly_one_of: ClassVar[tuple[str, ...]] = TRIGGERS

    run_at = Time(metadata={"description": "Once, at this time"})
    cron = Text(
        minimum=1,
        maximum=200,
        metadata={"description": "5 fields, names allowed", "example": "30 8 * * mon-fri"},
    )
    every = Seconds(
        minimum=1, maximum=10 * YEAR, metadata={"description": "Interval in real time, aligned to starts_at"}
    )
    rrule = Text(
        minimum=1,
        maximum=20_000,
        single_line=False,
        metadata={
            "description": "RFC 5545 with lines of EXDATE; starts_at is DTSTART",
            "example": "FREQ=MONTHLY;BYDAY=1MO\nEXDATE;VALUE=DATE:20270104",
        },
    )
    timezone = TimeZone(metadata={"description": "IANA name; default: the caller's own"})
    dst = fields.Nested(DstSchema, load_default=lambda: dict(DEFAULT_DST))
    # Not named as on the wire: marshmallow has an ``exclude`` of its own.
    excluded = fields.List(
        DayOrTime(metadata={"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
        validate=validate.Length(max=1000),
        attribute="exclude",
        data_key="exclude",
        load_default=list,
        metadata={"description": "Days in the schedule's zone, and due times, that are not due"},
    )
    jitter = Seconds(
        minimum=0,
        maximum=DAY,
        load_default=0.0,
        metadata={"description": "Spread the due times over so long, but never past the next one"},
    )
    starts_at = Time()
    ends_at = Time(allow_none=True)

    def on_bind_field(self, name: str, field: fields.Field[Any]) -> None:
        field.allow_none = field.allow_none or name in TRIGGERS

    @ma.pre_load
    def _without_the_others(self, data: Any, **_kwargs: Any) -> Any:
        """null says "not this one", as a schedule is answered."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None or name not in TRIGGERS}

    @ma.validates_schema(skip_on_field_errors=False)
    def _exactly_one_trigger(self, data: dict[str, Any], **_kwargs: Any) -> None:
        given = [name for name in TRIGGERS if name in data]
        if len(given) > 1:
            raise ma.ValidationError(f"Send only one of {', '.join(TRIGGERS)}.", given[1])

    @ma.validates_schema
    def _needs_a_trigger(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if self.exactly_one_of and not any(name in data for name in TRIGGERS):
            raise ma.ValidationError("Say when: send run_at, cron, every or rrule.", "run_at")

    @ma.validates_schema
    def _ends_after_it_starts(self, data: dict[str, Any], **_kwargs: Any) -> None:
        starts_at, ends_at = data.get("starts_at"), data.get("ends_at")
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            raise ma.ValidationError("The end must come after the start.", "ends_at")


class NewScheduleSchema(TriggerSchema):
    """A schedule to make."""

    name = Text(minimum=1, maximum=200, load_default=None)
    action = AnyCase(required=True, validate=validate.Length(min=1, max=80))
    params = fields.Dict(keys=fields.String(), load_default=dict)
    max_runs = WholeNumber(minimum=1, maximum=2**31 - 1, allow_none=True)
    catch_up = Word(("skip", "latest", "all"), load_default="latest")
    catch_up_window = Seconds(minimum=0, maximum=10 * YEAR, load_default=DAY)
    catch_up_limit = WholeNumber(minimum=1, maximum=10_000, load_default=100)
    overlap = Word(("allow", "skip", "queue", "replace"), load_default="skip")
    timeout = Seconds(minimum=1, maximum=DAY, load_default=300.0)
    retry = fields.Nested(RetrySchema, load_default=lambda: dict(DEFAULT_RETRY))
    start_deadline = Seconds(
        minimum=1,
        maximum=10 * YEAR,
        allow_none=True,
        metadata={"description": "A run not started so long after its due time is skipped, which is told"},
    )
    finish_deadline = Seconds(
        minimum=1,
        maximum=10 * YEAR,
        allow_none=True,
        metadata={"description": "It is told once if a run has not finished so long after its due time"},
    )
    notify = Words(Word(NOTIFY), validate=validate.Length(max=len(NOTIFY)))
    alert_after = WholeNumber(
        minimum=1,
        maximum=MAX_FAILURES,
        load_default=1,
        metadata={"description": "Tell of a failure from so many failed runs in a row on"},
    )
    pause_after = WholeNumber(
        minimum=1,
        maximum=MAX_FAILURES,
        allow_none=True,
        metadata={"description": "So many failed runs in a row pause the schedule"},
    )


class ScheduleSchema(Schema):
    """A schedule: what is done, when, and by which policies."""

    tagged = True

    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    action = fields.String(required=True)
    params = Params(required=True)
    run_at = Time(required=True, allow_none=True)
    cron = fields.String(required=True, allow_none=True)
    every = fields.Float(required=True, allow_none=True)
    rrule = fields.String(required=True, allow_none=True)
    timezone = fields.String(required=True)
    dst = fields.Nested(DstSchema, required=True)
    excluded = fields.List(fields.String(), attribute="exclude", data_key="exclude", required=True)
    jitter = fields.Float(required=True)
    starts_at = Time(required=True)
    ends_at = Time(required=True, allow_none=True)
    max_runs = fields.Integer(required=True, allow_none=True)
    catch_up = fields.String(required=True)
    catch_up_window = fields.Float(required=True)
    catch_up_limit = fields.Integer(required=True)
    overlap = fields.String(required=True)
    timeout = fields.Float(required=True)
    retry = fields.Nested(RetrySchema, required=True)
    start_deadline = fields.Float(required=True, allow_none=True)
    finish_deadline = fields.Float(required=True, allow_none=True)
    notify = fields.List(fields.String(), required=True)
    alert_after = fields.Integer(required=True)
    pause_after = fields.Integer(required=True, allow_none=True)
    failures_in_row = fields.Integer(required=True)
    ping_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of a heartbeat check: what the job outside calls; who knows it may"},
    )
    last_ping_at = Time(required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(SCHEDULE_STATUSES))
    next_run_at = Time(required=True, allow_none=True)
    last_run = fields.Nested(RunSchema, required=True, allow_none=True)
    stats = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    fault = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it could not be planned, or was paused by itself, if so"},
    )
    version = fields.Integer(required=True)
    created_at = Time(required=True)
    updated_at = Time(required=True)


class ScheduleQuery(PageQuery):
    """Filters of the list of schedules; repeat one for 'any of'."""

    status = fields.List(Word(SCHEDULE_STATUSES))
    action = fields.List(AnyCaseText(maximum=80))
    last_run_status = fields.List(Word(RUN_STATUSES))
    q = Text(minimum=1, maximum=200, metadata={"description": "Part of the name"})
    next_before = Bound(end=True)
    next_after = Bound()
    sort = sort_field("created_at", "name", "next_run_at")


class PreviewSchema(TriggerSchema):
    """A trigger to try out."""

    n = WholeNumber(minimum=1, maximum=1000, load_default=10)
    after = Bound(open=True, load_default=None)
    starts_at = Time(load_default=None)
    timezone = TimeZone(load_default=None)
    max_runs = WholeNumber(minimum=1, maximum=2**31 - 1, allow_none=True, load_default=None)


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
