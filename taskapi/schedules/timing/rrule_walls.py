"""The wall times of a recurrence rule (:rfc:`5545`, section 3.3.10), from any moment on.

All times here are naive. Nothing is listed that is not asked for: a day may have 86,400 times.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice

from taskapi.schedules.timing.rrule_days import END_OF_DAYS, LAST_YEAR, DayRule
from taskapi.schedules.timing.rrule_text import Rule

# Bound the search: a rule is over when so many of its periods, or days that fit, bring nothing.
MAX_FRUITLESS_PERIODS = 4_000
MAX_FRUITLESS_DAYS = 1_000
DAYS_AT_ONCE = 30
DAY_SECONDS = 86_400
UNIT_SECONDS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}


@lru_cache(maxsize=1024)
def day_rule(rule: Rule, start: date) -> DayRule:
    """The days that a rule names, with what DTSTART implies written out."""
    months, month_days, weekdays = rule.months, rule.month_days, rule.weekdays
    if not (month_days or weekdays or rule.year_days):
        if rule.freq == "WEEKLY" or rule.weeks:
            weekdays = ((0, start.weekday()),)
        elif rule.freq in ("YEARLY", "MONTHLY"):
            month_days = (start.day,)
            months = months or ((start.month,) if rule.freq == "YEARLY" else ())
    return DayRule(
        months=months,
        month_days=month_days,
        year_days=rule.year_days,
        weeks=rule.weeks,
        weekdays=weekdays,
        in_month=rule.freq == "MONTHLY" or bool(rule.months),
        week_start=rule.week_start,
    )


def long_walls(rule: Rule, *, start: datetime, first: datetime) -> Iterator[datetime]:
    """The times from ``first`` on of a rule of FREQ=DAILY or longer that starts at ``start``."""
    hours, minutes = rule.hours or (start.hour,), rule.minutes or (start.minute,)
    seconds = rule.seconds or (start.second,)
    a_day = len(hours) * len(minutes) * len(seconds)
    not_before: datetime | None = max(first, start)
    fruitless = 0
    for days in _periods(rule, start=start.date(), first=max(first, start).date()):
        chosen = _chosen(len(days) * a_day, rule.positions)

        def at(place: int, days: Sequence[int] = days) -> datetime:
            day, in_day = divmod(place, a_day)
            hour, in_hour = divmod(in_day, len(minutes) * len(seconds))
            minute, second = divmod(in_hour, len(seconds))
            passed = hours[hour] * 3600 + minutes[minute] * 60 + seconds[second]
            return datetime.fromordinal(days[day]) + timedelta(seconds=passed)

        coming = chosen[bisect_left(chosen, not_before, key=at) :] if not_before else chosen
        yield from map(at, coming)
        if coming:
            # Every later period lies behind it.
            not_before, fruitless = None, 0
            continue
        fruitless += 1
        if fruitless > MAX_FRUITLESS_PERIODS:
            return


def _chosen(size: int, positions: tuple[int, ...]) -> Sequence[int]:
    """What BYSETPOS leaves of so many times, by their places."""
    if not positions:
        return range(size)
    places = {position - 1 if position > 0 else size + position for position in positions}
    return sorted(place for place in places if 0 <= place < size)


def _periods(rule: Rule, *, start: date, first: date) -> Iterator[Sequence[int]]:
    """The days of each period in which the rule is, as ordinals, from about ``first`` on."""
    fitting, interval = day_rule(rule, start), rule.interval
    if rule.freq == "DAILY":
        days = fitting.days(_in_step(start.toordinal(), first.toordinal(), interval), step=interval)
        # Only BYSETPOS asks where a day ends.
        at_once = 1 if rule.positions else DAYS_AT_ONCE
        while found := tuple(islice(days, at_once)):
            yield found
    elif rule.freq == "WEEKLY":
        week = start.toordinal() - (start.weekday() - rule.week_start) % 7
        for monday in range(_in_step(week, first.toordinal(), 7 * interval), END_OF_DAYS, 7 * interval):
            yield tuple(fitting.days(monday, monday + 7))
    else:
        length = 12 if rule.freq == "YEARLY" else 1
        begin, now = (day.year * 12 + (day.month - 1) // length * length for day in (start, first))
        step = length * interval
        for month in range(_in_step(begin, now, step), (LAST_YEAR + 1) * 12, step):
            yield tuple(fitting.days(_first_of_month(month), _first_of_month(month + length)))


def _in_step(start: int, now: int, step: int) -> int:
    """The last of start, start + step … that is not after ``now``, or start."""
    return start + max(0, (now - start) // step * step)


def _first_of_month(number: int) -> int:
    return date(number // 12, number % 12 + 1, 1).toordinal()


class FineWalls:
    """The times of a rule of FREQ=HOURLY or shorter, but for those of some days (as ordinals)."""

    def __init__(self, rule: Rule, free_days: frozenset[int]) -> None:
        # DTSTART implies no days of such a rule.
        self._days = day_rule(rule, date.min)
        self._rule, self._free_days = rule, free_days
        self._units = _fitting_units(rule)
        # Where in a day the intervals begin decides what the day has: these have nothing.
        self._barren: set[int] = set()

    def days(self, first: int, end: int = END_OF_DAYS) -> Iterator[int]:
        """The days that may have times."""
        return (day for day in self._days.days(first, end) if day not in self._free_days)

    def times(self, *, start: datetime, first: datetime, end: datetime | None = None) -> Iterator[datetime]:
        """The times of a rule that starts at ``start``, from ``first`` on and before ``end``."""
        end_day = END_OF_DAYS if end is None else (end - timedelta(microseconds=1)).toordinal() + 1
        first, fruitless = max(first, start), 0
        for day in self.days(first.toordinal(), end_day):
            midnight = datetime.fromordinal(day)
            for wall in self._times_of(midnight, start, max(first - midnight, timedelta())):
                if end is not None and wall >= end:
                    return
                if wall >= first:
                    yield wall
                    fruitless = 0
            fruitless += 1
            if fruitless > MAX_FRUITLESS_DAYS:
                return

    def _times_of(self, midnight: datetime, start: datetime, skipped: timedelta) -> Iterator[datetime]:
        """The times of one day, but for units that end before ``skipped`` has passed."""
        unit, interval = UNIT_SECONDS[self._rule.freq], self._rule.interval
        place = -((midnight - start.replace(hour=0, minute=0, second=0)).days * DAY_SECONDS // unit)
        place = (place + _seconds_of_day(start) // unit) % interval
        if place in self._barren:
            return
        units = self._units[place::interval]
        if units.find(1) < 0:
            self._barren.add(place)
            return
        number = units.find(1, max(0, -(-(int(skipped.total_seconds()) // unit - place) // interval)))
        within = self._within_unit(start) if number >= 0 else []
        while number >= 0:
            begin = midnight + timedelta(seconds=(place + number * interval) * unit)
            yield from (begin + step for step in within)
            number = units.find(1, number + 1)

    def _within_unit(self, start: datetime) -> list[timedelta]:
        """What BYMINUTE and BYSECOND make of an hour, or BYSECOND of a minute."""
        minutes = (self._rule.minutes or (start.minute,)) if self._rule.freq == "HOURLY" else (0,)
        seconds = (self._rule.seconds or (start.second,)) if self._rule.freq != "SECONDLY" else (0,)
        return [timedelta(minutes=minute, seconds=second) for minute in minutes for second in seconds]


def _seconds_of_day(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


@lru_cache(maxsize=64)
def _fitting_units(rule: Rule) -> bytes:
    """A byte for each hour, minute or second of a day: 1 if the BYxxx parts name it."""
    named = [(rule.seconds, 60), (rule.minutes, 60), (rule.hours, 24)]
    units = b"\x01"
    for allowed, total in named[{"HOURLY": 2, "MINUTELY": 1, "SECONDLY": 0}[rule.freq] :]:
        units = b"".join(
            units if not allowed or number in allowed else bytes(len(units)) for number in range(total)
        )
    return units
