"""When a schedule is due: a pure function of its definition, without a clock or a database.

All times in and out are aware and in UTC. A cron line is read in the schedule's zone; one
whose hour field is exactly ``*`` goes by real time through a change of the clocks, every other
line follows the ``gap`` and ``repeat`` rules.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

CRON_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
MINUTE = timedelta(minutes=1)
# The longest change of a zone's clocks: Samoa left out a whole day in 2011.
LONGEST_SHIFT = timedelta(hours=26)
LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)


class UnreadableCron(ValueError):
    """A cron line that cannot be read, or never comes; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Exactly one of ``run_at``, ``cron`` and ``every`` (seconds), and the bounds of all due times.

    Attributes:
        starts_inclusive: whether ``every`` is due at ``starts_at`` itself.
        gap: ``next_valid`` or ``skip``, for a wall time that the clocks leave out.
        repeat: ``first``, ``second`` or ``both``, for a wall time that comes twice.
    """

    run_at: datetime | None = None
    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    gap: str = "next_valid"
    repeat: str = "first"
    starts_at: datetime
    starts_inclusive: bool = True
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A due time in UTC, and a note where a change of the clocks moved or doubled it."""

    at: datetime
    note: str | None = field(default=None, compare=False)


def due_times(trigger: Trigger, *, after: datetime) -> Iterator[Due]:
    """All due times later than ``after``, ascending, within the trigger's bounds."""
    for due in _unbounded(trigger, after=max(after, trigger.starts_at - timedelta(microseconds=1))):
        if due.at >= (trigger.ends_at or LAST_MOMENT):
            return
        yield due


def next_due(trigger: Trigger, *, after: datetime) -> datetime | None:
    """The first due time later than ``after``, or None when there is none."""
    due = next(due_times(trigger, after=after), None)
    return due.at if due else None


def check_cron(line: str) -> None:
    """Refuse what cannot be read and what never comes.

    Raises:
        UnreadableCron: with the reason in words.
    """
    fields = line.split()
    if len(fields) != 5:
        raise UnreadableCron(
            f"A cron line has 5 fields ({', '.join(CRON_FIELDS)}); this one has {len(fields)}."
        )
    try:
        next(CronSim(line, datetime(2024, 1, 1)))  # noqa: DTZ001 - wall time, no zone yet
    except CronSimError as error:
        field_name = str(error).removeprefix("Bad ").replace("-", " ")
        raise UnreadableCron(f"The {field_name} cannot be read, or no date has it.") from error
    except StopIteration:
        raise UnreadableCron("This line never comes: no date fits it.") from None


def _unbounded(trigger: Trigger, *, after: datetime) -> Iterator[Due]:
    if trigger.run_at is not None:
        return iter([Due(trigger.run_at)] if trigger.run_at > after else [])
    if trigger.every is not None:
        return _interval(trigger, after)
    assert trigger.cron is not None
    if trigger.cron.split()[1] == "*":
        return _cron_by_real_time(trigger.cron, trigger.timezone, after)
    return _cron_by_wall_time(trigger, after)


def _interval(trigger: Trigger, after: datetime) -> Iterator[Due]:
    """Aligned to the start: start + k · every, so handling late never shifts the next one."""
    assert trigger.every is not None
    first = 0 if trigger.starts_inclusive else 1
    step = round(trigger.every * 1_000_000)
    passed = (after - trigger.starts_at) // timedelta(microseconds=1)
    number = max(first, math.floor(passed / step) - 1)
    while True:
        try:
            at = trigger.starts_at + timedelta(microseconds=number * step)
        except OverflowError:
            return
        if at > after:
            yield Due(at)
        number += 1


def _cron_by_real_time(line: str, zone_name: str, after: datetime) -> Iterator[Due]:
    zone = _zone(zone_name)
    try:
        for local in CronSim(line, after.astimezone(zone)):
            at = local.astimezone(UTC)
            if at > after:
                yield Due(at)
    except CronSimError:
        return


def _cron_by_wall_time(trigger: Trigger, after: datetime) -> Iterator[Due]:
    assert trigger.cron is not None
    zone = _zone(trigger.timezone)
    start = (after - _look_back(after, zone)).astimezone(zone).replace(tzinfo=None)
    last = after
    waiting: list[tuple[datetime, Due]] = []
    for local in CronSim(trigger.cron, start):
        found = _resolve(local, zone, gap=trigger.gap, repeat=trigger.repeat)
        # The first time of a later line may come before the second time of this one, but
        # never before this line's own first time: what lies before that can be handed out.
        while found and waiting and waiting[0][0] < found[0].at:
            at, due = heappop(waiting)
            if at > last:
                yield due
                last = at
        for due in found:
            heappush(waiting, (due.at, due))


def _look_back(after: datetime, zone: ZoneInfo) -> timedelta:
    """How far before ``after`` a wall time may lie that falls after it: only around a change."""
    offsets = {(after + side).astimezone(zone).utcoffset() for side in (-LONGEST_SHIFT, LONGEST_SHIFT)}
    return MINUTE if len(offsets) == 1 else LONGEST_SHIFT


def _resolve(local: datetime, zone: ZoneInfo, *, gap: str, repeat: str) -> list[Due]:
    """The due times of one wall time: none, one or two."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [Due(first)]
    if first.astimezone(zone).replace(tzinfo=None) != local:
        if gap == "skip":
            return []
        return [Due(_end_of_gap(second, first, zone), f"{local:%H:%M} does not exist on this day")]
    twice = f"{local:%H:%M} comes twice on this day"
    if repeat == "both":
        return [Due(first, f"{twice}: the first"), Due(second, f"{twice}: the second")]
    return [Due(first, f"{twice}: the first")] if repeat == "first" else [Due(second, f"{twice}: the second")]


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first minute after the clocks went forward, between two moments around it."""
    old_offset = before.astimezone(zone).utcoffset()
    low, high = before, after
    while high - low > MINUTE:
        middle = low + timedelta(minutes=int((high - low) / MINUTE) // 2)
        if middle.astimezone(zone).utcoffset() == old_offset:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
