"""Days, weeks and months of a calendar as stretches of time, whatever the clocks do at their ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from taskapi.core.errors import ValidationFailed

INTERVALS = ("day", "week", "month")
# As many as are shown when nobody says from when on.
USUAL = {"day": 30, "week": 12, "month": 12}
MAX_PERIODS = 1_000


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, from its first moment, before its last.

    Attributes:
        first: the day by which it is called; the stretch may begin later.
    """

    first: date
    since: datetime
    until: datetime


def periods(
    interval: str, *, zone: str, now: datetime, start: datetime | None = None, end: datetime | None = None
) -> list[Period]:
    """The periods that touch a range, in order; the first and the last are cut where it ends.

    Weeks begin on Monday (ISO 8601, 3.1.1.23).

    Args:
        start, end: the range; the last ``USUAL`` periods before ``end`` without the first, until
            the end of the current period without the second.

    Raises:
        ValidationFailed: they are more than ``MAX_PERIODS``.
    """
    here = ZoneInfo(zone)
    last = _first_day(interval, _day_of(end - timedelta(microseconds=1) if end else now, here))
    first = (
        _first_day(interval, _day_of(start, here)) if start else _moved(interval, last, 1 - USUAL[interval])
    )
    until = end or _midnight(_moved(interval, last, 1), here)
    since = start or _midnight(first, here)
    found = list(islice(_days(interval, first, last), MAX_PERIODS + 1))
    if len(found) > MAX_PERIODS:
        raise ValidationFailed({"interval": [f"These are more than {MAX_PERIODS:,} periods."]})
    return [
        Period(
            day,
            max(_midnight(day, here), since),
            min(_midnight(_moved(interval, day, 1), here), until),
        )
        for day in found
    ]


def _days(interval: str, first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = _moved(interval, first, 1)


def _day_of(moment: datetime, here: ZoneInfo) -> date:
    return moment.astimezone(here).date()


def _midnight(day: date, here: ZoneInfo) -> datetime:
    """When the day begins: where midnight falls into a gap, the moment after the gap."""
    return datetime(day.year, day.month, day.day, tzinfo=here).astimezone(UTC)


def _first_day(interval: str, day: date) -> date:
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _moved(interval: str, first: date, count: int) -> date:
    """The first day of the period that comes so many after this one."""
    if interval == "month":
        year, month = divmod(first.year * 12 + first.month - 1 + count, 12)
        return date(year, month + 1, 1)
    return first + timedelta(days=count * (7 if interval == "week" else 1))
