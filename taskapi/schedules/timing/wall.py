"""Between the wall and real time: what a zone's changes of the clocks do to a time of day.

A *wall time* is naive, as people read it off a clock in the zone. The zone leaves some out (a
*gap*) and repeats others; :rfc:`5545` and cron say nothing that suits everybody, so the schedule
says it: ``gap`` is ``next_valid`` or ``skip``, ``repeat`` is ``first``, ``second`` or ``both``.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# The longest change of a zone's clocks: Samoa left out a whole day in 2011.
LONGEST_SHIFT = timedelta(hours=26)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A due time in UTC, and a note where a change of the clocks moved or doubled it."""

    at: datetime
    note: str | None = field(default=None, compare=False)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name."""
    return ZoneInfo(name)


def wall_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of the zone show at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


def by_wall_time(
    walls: Iterable[datetime], *, zone: ZoneInfo, gap: str, repeat: str, after: datetime
) -> Iterator[Due]:
    """The due times later than ``after`` of ascending wall times; those that fall together are one.

    Args:
        walls: from ``first_wall(after, zone)`` on, or from earlier.
    """
    last = after
    for due in _ascending(resolve(wall, zone, gap=gap, repeat=repeat) for wall in walls):
        if due.at > last:
            last = due.at
            yield due


def first_wall(after: datetime, zone: ZoneInfo) -> datetime:
    """The earliest wall time that may fall after a moment; before it only around a change."""
    offsets = {(after + side).astimezone(zone).utcoffset() for side in (-LONGEST_SHIFT, LONGEST_SHIFT)}
    return wall_of(after - (MINUTE if len(offsets) == 1 else LONGEST_SHIFT), zone)


def _ascending(groups: Iterable[list[Due]]) -> Iterator[Due]:
    waiting: deque[Due] = deque()
    for found in groups:
        if not found:
            continue
        # The first time of a later wall time may come before the second time of this one, but
        # never before this one's own first time: what lies before that can be handed out.
        while waiting and waiting[0].at < found[0].at:
            yield waiting.popleft()
        yield found[0]
        waiting.extend(found[1:])
    yield from waiting


def resolve(wall: datetime, zone: ZoneInfo, *, gap: str, repeat: str) -> list[Due]:
    """The due times of one wall time: none, one or two."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [Due(first)]
    # In a gap the two are read with the other side's offset, so that they change places.
    if second < first:
        if gap == "skip":
            return []
        return [Due(_first_change(second, first, zone), f"{wall:%H:%M} does not exist on this day")]
    twice = f"{wall:%H:%M} comes twice on this day"
    both = [Due(first, f"{twice}: the first"), Due(second, f"{twice}: the second")]
    return {"first": both[:1], "second": both[1:], "both": both}[repeat]


def stretches(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a day in UTC in which the zone's offset stays the same, in order."""
    while begin < end:
        change = end
        if begin.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
            change = _first_change(begin, end, zone)
        yield begin, change
        begin = change


def _first_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with the new offset, between two moments of whole seconds around a change."""
    old_offset = before.astimezone(zone).utcoffset()
    low, high = before, after
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        if middle.astimezone(zone).utcoffset() == old_offset:
            low = middle
        else:
            high = middle
    return high
