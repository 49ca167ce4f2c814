"""What is to come: the next fire times of a schedule, saved or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from taskapi.core.access import Actor
from taskapi.core.db import read_database_clock
from taskapi.core.paging import Page, whole_page
from taskapi.schedules import service
from taskapi.schedules.engine.planning import policy_of
from taskapi.schedules.models import Schedule
from taskapi.schedules.timing.past import due_between
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, due_times, read_exclusions
from taskapi.schedules.timing.wall import Due

# Of runs that come before what is shown so many are counted, while the caller waits.
MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class FireTime:
    """A due time in UTC and on the wall, and what a change of the clocks did to it."""

    utc: datetime
    local: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class RunsLeft:
    """How many due times may still run, counted from ``since`` on."""

    number: int
    since: datetime


def preview_schedule(*, actor: Actor, schedule_id: UUID, n: int, after: datetime | None) -> Page[FireTime]:
    """The next fire times of a schedule."""
    schedule = service.get_schedule(actor=actor, schedule_id=schedule_id)
    service.check_trigger(schedule.trigger)
    return whole_page(list(islice(fire_times(schedule, after=after or read_database_clock()), n)))


def fire_times(schedule: Schedule, *, after: datetime) -> Iterator[FireTime]:
    """All fire times of a schedule after ``after``, ascending."""
    if schedule.next_run_at is None:
        return iter(())
    number = policy_of(schedule).runs_left
    # What is due before the mark has its run, and is counted.
    left = None if number is None else RunsLeft(number, schedule.next_run_at)
    return _fire_times(schedule.trigger, after=after, left=left)


def preview(*, trigger: Trigger, n: int, after: datetime, left: RunsLeft | None = None) -> Page[FireTime]:
    """The next ``n`` fire times after ``after``, without those that are left out by hand.

    Raises:
        ValidationFailed
    """
    service.check_trigger(trigger)
    return whole_page(list(islice(_fire_times(trigger, after=after, left=left), n)))


def _fire_times(trigger: Trigger, *, after: datetime, left: RunsLeft | None) -> Iterator[FireTime]:
    zone = ZoneInfo(trigger.timezone)
    coming = (due for due in due_times(trigger, after=after) if not trigger.is_skipped(due.at))
    found = coming if left is None else _within(left, coming, trigger, after=after)
    return (FireTime(due.at, due.at.astimezone(zone), due.note) for due in found)


def _within(left: RunsLeft, coming: Iterator[Due], trigger: Trigger, *, after: datetime) -> Iterator[Due]:
    """Those of the due times after ``after`` that ``max_runs`` still allows.

    Beyond ``MAX_COUNTED`` runs it is not known how many are left; then all of them are.
    """
    earlier = due_between(trigger, left.since, after + MICROSECOND)
    running = (at for at in earlier if not trigger.is_skipped(at))
    counted = sum(1 for _ in islice(running, min(left.number, MAX_COUNTED)))
    number = left.number - counted
    if counted == MAX_COUNTED and number > 0:
        yield from coming
        return
    for due in coming:
        if due.at >= left.since:
            if number == 0:
                return
            number -= 1
        yield due


def preview_trigger(
    *,
    actor: Actor,
    n: int,
    after: datetime | None,
    starts_at: datetime | None,
    timezone: str | None,
    dst: dict[str, str],
    exclude: Sequence[str],
    max_runs: int | None,
    **definition: Any,
) -> Page[FireTime]:
    """The next ``n`` fire times of a trigger that is not saved.

    They come after ``after`` if given, else from ``starts_at`` on, else after now. ``max_runs`` counts
    from there on, but what would have run before it since now is counted as well.

    Raises:
        ValidationFailed
    """
    # It moves the start of a run, not the fire time.
    definition.pop("jitter")
    exclude_days, exclude_times = read_exclusions(exclude)
    now = read_database_clock()
    trigger = Trigger(
        timezone=timezone or actor.timezone,
        starts_at=starts_at or after or now,
        starts_inclusive=starts_at is not None,
        gap=dst["gap"],
        repeat=dst["repeat"],
        exclude_days=exclude_days,
        exclude_times=exclude_times,
        **definition,
    )
    after = after or trigger.starts_at - MICROSECOND
    # What is shown of the past is counted as well.
    since = min(after + MICROSECOND, max(trigger.starts_at, now))
    left = None if max_runs is None else RunsLeft(max_runs, since)
    return preview(trigger=trigger, n=n, after=after, left=left)
