"""Time zones as iCalendar describes them (RFC 5545, 3.6.5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from taskapi.schedules.timing.wall import stretches, wall_of, zone_of

if TYPE_CHECKING:
    from icalendar import vRecur

WEEK = timedelta(weeks=1)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the clocks are set to, and from what."""

    before: timedelta
    after: timedelta
    name: str
    is_daylight: bool


def is_utc(name: str) -> bool:
    """Whether the clocks of the zone show UTC, under whatever name."""
    return zone_of(name).utcoffset(None) == timedelta(0)


@lru_cache(maxsize=512)
def write_zone(name: str, first_year: int, last_year: int) -> bytes:
    """A VTIMEZONE with every change of the clocks in these years; nothing for UTC, which needs none.

    What holds at their beginning is told where no change comes in the first of them.

    Written here: the library's own names the hour to which the clocks are set as the one at which
    they change.
    """
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    if is_utc(name):
        return b""
    onsets: dict[Rule, list[datetime]] = {}
    (start, first_rule), *changes = _changes(name, first_year, last_year)
    if not changes or changes[0][0].year > first_year:
        onsets[first_rule] = [start]
    for onset, rule in changes:
        onsets.setdefault(rule, []).append(onset)
    timezone = Timezone()
    timezone.add("tzid", name)
    for rule, (first, *others) in onsets.items():
        part = TimezoneDaylight() if rule.is_daylight else TimezoneStandard()
        part.add("dtstart", first)
        part.add("tzname", rule.name)
        part.add("tzoffsetfrom", rule.before)
        part.add("tzoffsetto", rule.after)
        if yearly := _yearly([first, *others], last_year):
            part.add("rrule", yearly)
        elif others:
            part.add("rdate", others)
        timezone.add_component(part)
    written: bytes = timezone.to_ical()
    return written


def _yearly(onsets: Sequence[datetime], last_year: int) -> "vRecur | None":
    """On which Sunday of which month it is each year, if it is: Outlook reads no list of dates."""
    from icalendar import vRecur

    first = onsets[0]
    if [onset.year for onset in onsets] != list(range(first.year, last_year + 1)):
        return None
    if len({(onset.month, onset.weekday(), onset.time()) for onset in onsets}) > 1:
        return None
    weeks = {(onset.day + 6) // 7 for onset in onsets}
    is_last = all((onset + WEEK).month != onset.month for onset in onsets)
    if len(weeks) > 1 and not is_last:
        return None
    day = f"{-1 if is_last else weeks.pop()}{WEEKDAYS[first.weekday()]}"
    return vRecur(freq="yearly", bymonth=first.month, byday=day)


def _changes(name: str, first_year: int, last_year: int) -> Iterator[tuple[datetime, Rule]]:
    """From when on, by the clocks as they were until then, which rule holds; the first from the start on."""
    zone = zone_of(name)
    start, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    before: timedelta | None = None
    while start < end:
        for begin, _ in stretches(start, start + WEEK, zone):
            local = begin.astimezone(zone)
            after = local.utcoffset() or timedelta(0)
            if after != before:
                was = after if before is None else before
                onset = wall_of(begin, zone) - after + was
                yield onset, Rule(was, after, local.tzname() or name, bool(local.dst()))
                before = after
        start += WEEK
