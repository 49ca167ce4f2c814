"""What is to come: the next fire times of a schedule, saved or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from taskapi.core.access import Actor
from taskapi.core.db import read_database_clock
from taskapi.core.paging import Page, whole_page
from taskapi.schedules import service
from taskapi.schedules.timing.triggers import Trigger, due_times, read_exclusions


@dataclass(frozen=True, slots=True)
class FireTime:
    """A due time in UTC and on the wall, and what a change of the clocks did to it."""

    utc: datetime
    local: datetime
    note: str | None


def preview_schedule(*, actor: Actor, schedule_id: UUID, n: int, after: datetime | None) -> Page[FireTime]:
    """The next fire times of a schedule."""
    schedule = service.get_schedule(actor=actor, schedule_id=schedule_id)
    if schedule.next_run_at is None:
        return whole_page([])
    return preview(trigger=schedule.trigger, n=n, after=after or read_database_clock())


def preview(*, trigger: Trigger, n: int, after: datetime) -> Page[FireTime]:
    """The next ``n`` fire times after ``after``.

    Raises:
        ValidationFailed
    """
    service.check_trigger(trigger)
    zone = ZoneInfo(trigger.timezone)
    coming = (due for due in due_times(trigger, after=after) if not trigger.is_skipped(due.at))
    found = islice(coming, n)
    return whole_page([FireTime(due.at, due.at.astimezone(zone), due.note) for due in found])


def preview_trigger(
    *,
    actor: Actor,
    n: int,
    after: datetime | None,
    starts_at: datetime | None,
    timezone: str | None,
    dst: dict[str, str],
    exclude: Sequence[str],
    **definition: Any,
) -> Page[FireTime]:
    """The next ``n`` fire times of a trigger that is not saved.

    They come after ``after`` if given, else from ``starts_at`` on, else after now.

    Raises:
        ValidationFailed
    """
    # It moves the start of a run, not the fire time.
    definition.pop("jitter")
    exclude_days, exclude_times = read_exclusions(exclude)
    trigger = Trigger(
        timezone=timezone or actor.timezone,
        starts_at=starts_at or after or read_database_clock(),
        starts_inclusive=starts_at is not None,
        gap=dst["gap"],
        repeat=dst["repeat"],
        exclude_days=exclude_days,
        exclude_times=exclude_times,
        **definition,
    )
    return preview(trigger=trigger, n=n, after=after or trigger.starts_at - timedelta(microseconds=1))
