"""A schedule as the pure rules of time see it: the whole row, or the few columns that dispatch reads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from taskapi.schedules.timing.triggers import Trigger, read_exclusions


class Definition(Protocol):
    """What says when a schedule is due and what becomes of a due time, in the words of the table."""

    @property
    def id(self) -> UUID: ...
    @property
    def run_at(self) -> datetime | None: ...
    @property
    def cron(self) -> str | None: ...
    @property
    def every(self) -> float | None: ...
    @property
    def rrule(self) -> str | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def dst(self) -> Mapping[str, Any]: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def starts_at_given(self) -> bool: ...
    @property
    def ends_at(self) -> datetime | None: ...
    @property
    def exclude(self) -> Sequence[str]: ...
    @property
    def skips(self) -> Sequence[str]: ...
    @property
    def jitter(self) -> float: ...
    @property
    def max_runs(self) -> int | None: ...
    @property
    def run_count(self) -> int: ...
    @property
    def catch_up(self) -> str: ...
    @property
    def catch_up_window(self) -> float: ...
    @property
    def catch_up_limit(self) -> int: ...
    @property
    def overlap(self) -> str: ...
    @property
    def start_deadline(self) -> float | None: ...
    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def resumed_at(self) -> datetime | None: ...


def trigger_of(schedule: Definition) -> Trigger:
    """When it is due, as the pure rules of ``triggers`` understand it."""
    exclude_days, exclude_times = read_exclusions(schedule.exclude)
    return Trigger(
        run_at=schedule.run_at,
        cron=schedule.cron,
        every=schedule.every,
        rrule=schedule.rrule,
        timezone=schedule.timezone,
        gap=schedule.dst["gap"],
        repeat=schedule.dst["repeat"],
        starts_at=schedule.starts_at,
        starts_inclusive=schedule.starts_at_given,
        ends_at=schedule.ends_at,
        exclude_days=exclude_days,
        exclude_times=exclude_times,
        skips=frozenset(map(datetime.fromisoformat, schedule.skips)),
    )


def last_pause_of(schedule: Definition) -> tuple[datetime, datetime] | None:
    """The beginning and end of the last pause that is over."""
    if schedule.paused_at is None or schedule.resumed_at is None:
        return None
    return schedule.paused_at, schedule.resumed_at
