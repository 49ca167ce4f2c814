"""When a schedule is due: a pure function of its definition, without a clock or a database.

All times in and out are aware and in UTC. A cron line is read in the schedule's zone; one
whose hour field is exactly ``*`` goes by real time through a change of the clocks, every other
line follows the ``gap`` and ``repeat`` rules.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from taskapi.schedules.timing.rrule import Recurrence, whole_second
from taskapi.schedules.timing.rrule_text import Rule, UnreadableRule, read_rule
from taskapi.schedules.timing.wall import Due, by_wall_time, first_wall, wall_of, zone_of

CRON_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
MICROSECOND = timedelta(microseconds=1)
ONE_DAY = timedelta(days=1)
LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)


class UnreadableCron(ValueError):
    """A cron line that cannot be read, or never comes; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Exactly one of ``run_at``, ``cron``, ``every`` (seconds) and ``rrule``, and what bounds it.

    Attributes:
        rrule: RFC 5545, with lines of EXDATE; ``starts_at`` is its DTSTART.
        starts_inclusive: whether ``every`` is due at ``starts_at`` itself.
        gap: ``next_valid`` or ``skip``, for a wall time that the clocks leave out.
        repeat: ``first``, ``second`` or ``both``, for a wall time that comes twice.
        exclude_days: local days on which nothing is due.
        exclude_times: due times that are none, to the millisecond.
        skips: due times left out by hand: they stay due, and their verdict says so.
    """

    run_at: datetime | None = None
    cron: str | None = None
    every: float | None = None
    rrule: str | None = None
    timezone: str = "UTC"
    gap: str = "next_valid"
    repeat: str = "first"
    starts_at: datetime
    starts_inclusive: bool = True
    ends_at: datetime | None = None
    exclude_days: frozenset[date] = frozenset()
    exclude_times: frozenset[datetime] = frozenset()
    skips: frozenset[datetime] = frozenset()

    def is_skipped(self, at: datetime) -> bool:
        """Whether a due time was left out by hand."""
        return is_among(at, self.skips)


def is_among(at: datetime, moments: frozenset[datetime]) -> bool:
    """Whether a due time is one of those: on the wire it has milliseconds only."""
    return bool(moments) and (
        at in moments or at.replace(microsecond=at.microsecond // 1000 * 1000) in moments
    )


def read_exclusions(entries: Sequence[str]) -> tuple[frozenset[date], frozenset[datetime]]:
    """The days and the times in a list of dates and RFC 3339 times."""
    days = {date.fromisoformat(entry) for entry in entries if len(entry) == len("2026-12-25")}
    times = {datetime.fromisoformat(entry) for entry in entries if len(entry) > len("2026-12-25")}
    return frozenset(days), frozenset(times)


def due_times(trigger: Trigger, *, after: datetime) -> Iterator[Due]:
    """All due times later than ``after``, ascending, within the trigger's bounds."""
    after = max(after, trigger.starts_at - MICROSECOND)
    end = min(trigger.ends_at or LAST_MOMENT, LAST_MOMENT)
    zone, free_days, looked_at = zone_of(trigger.timezone), _excluded_days(trigger), None
    found = _unbounded(trigger, after)
    while (due := next(found, None)) is not None and due.at < end:
        day = wall_of(due.at, zone).date() if free_days else None
        if day not in free_days:
            if not is_among(due.at, trigger.exclude_times):
                yield due
        elif day == looked_at:
            # A second one on such a day: there may be 86,400, so go on where the day ends.
            found = _unbounded(trigger, max(due.at, _end_of(day, free_days, trigger.timezone)))
        looked_at = day


def _excluded_days(trigger: Trigger) -> frozenset[date]:
    if trigger.rrule is None:
        return trigger.exclude_days
    return trigger.exclude_days | _rule(trigger.rrule).exceptions.days


def _end_of(day: date, free_days: frozenset[date], zone_name: str) -> datetime:
    """The last moment of a run of excluded days."""
    while day in free_days:
        day += ONE_DAY
    return datetime.combine(day, time(), zone_of(zone_name)).astimezone(UTC) - MICROSECOND


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


def check_rule(trigger: Trigger) -> None:
    """Refuse an rrule that cannot be read and one that never comes.

    Raises:
        UnreadableRule: with the reason in words.
    """
    assert trigger.rrule is not None
    if next(_recurrence(trigger).due_times(trigger.starts_at - MICROSECOND), None) is None:
        until = " before UNTIL" if _rule(trigger.rrule).until else ""
        raise UnreadableRule(f"This rule never comes: no date fits it{until}.")


def _unbounded(trigger: Trigger, after: datetime) -> Iterator[Due]:
    if trigger.run_at is not None:
        return iter([Due(trigger.run_at)] if trigger.run_at > after else [])
    if trigger.every is not None:
        return _interval(trigger, after)
    if trigger.rrule is not None:
        return _recurrence(trigger).due_times(after)
    assert trigger.cron is not None
    return _cron(trigger, trigger.cron, after)


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


def _cron(trigger: Trigger, line: str, after: datetime) -> Iterator[Due]:
    zone = zone_of(trigger.timezone)
    walls = CronSim(line, first_wall(after, zone))
    if line.split()[1] != "*":
        return by_wall_time(walls, zone=zone, gap=trigger.gap, repeat=trigger.repeat, after=after)
    # By real time: at every moment at which the wall shows it, and at no other.
    found = by_wall_time(walls, zone=zone, gap="skip", repeat="both", after=after)
    return (Due(due.at) for due in found)


def _recurrence(trigger: Trigger) -> Recurrence:
    assert trigger.rrule is not None
    return Recurrence(
        rule=_rule(trigger.rrule),
        start=whole_second(trigger.starts_at),
        zone=zone_of(trigger.timezone),
        gap=trigger.gap,
        repeat=trigger.repeat,
        free_days=frozenset(day.toordinal() for day in _excluded_days(trigger)),
    )


@lru_cache(maxsize=1024)
def _rule(text: str) -> Rule:
    return read_rule(text)
