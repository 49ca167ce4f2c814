"""Which days a recurrence rule names: :rfc:`5545`, section 3.3.10, the parts that speak of days.

Whether a part "expands" or "limits" makes no difference here: a period (day, week, month or year)
gives those of its days that fit every part, once what DTSTART implies is written out.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

FIRST_YEAR, LAST_YEAR = 1969, 2200
# The first day that is not looked at.
END_OF_DAYS = date(LAST_YEAR + 1, 1, 1).toordinal()
# Weekdays of a BYDAY: every one of them (number 0), or the n-th of the month or year.
Weekdays = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRule:
    """The BYxxx parts that speak of days; an empty one fits every day, a negative one counts back.

    Attributes:
        weekdays: pairs of a number (0: any) and a weekday (Monday is 0).
        in_month: whether numbers of weekdays count within the month, else within the year.
        week_start: WKST, on which weeks and their numbers depend.
    """

    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    weekdays: Weekdays = ()
    in_month: bool = False
    week_start: int = 0

    def days(self, first: int, end: int = END_OF_DAYS, step: int = 1) -> Iterator[int]:
        """Those of the days first, first + step … before ``end`` that fit, as proleptic ordinals."""
        while first < end:
            year = date.fromordinal(first).year
            new_year = date(year, 1, 1).toordinal()
            looked_at = _days_of_year(self, _MODELS[_kind(year)])[first - new_year : end - new_year : step]
            index = looked_at.find(1)
            while index >= 0:
                yield first + index * step
                index = looked_at.find(1, index + 1)
            first += len(looked_at) * step

    def fits(self, day: date, day_of_year: int) -> bool:
        """Whether every part names the day."""
        if self.months and day.month not in self.months:
            return False
        month_length = calendar.monthrange(day.year, day.month)[1]
        year_length = 365 + calendar.isleap(day.year)
        place = (day.day, month_length) if self.in_month else (day_of_year, year_length)
        return (
            _names(self.month_days, day.day, month_length)
            and _names(self.year_days, day_of_year, year_length)
            and (not self.weeks or _names(self.weeks, *_week_of(day, self.week_start)))
            and (not self.weekdays or self._names_weekday(day.weekday(), *place))
        )

    def _names_weekday(self, weekday: int, number: int, total: int) -> bool:
        places = (0, (number + 6) // 7, -((total - number) // 7 + 1))
        return any(on == weekday and place in places for place, on in self.weekdays)


def _names(numbers: tuple[int, ...], number: int, total: int) -> bool:
    return not numbers or number in numbers or number - total - 1 in numbers


def _week_of(day: date, week_start: int) -> tuple[int, int]:
    """The number of the day's week, and how many weeks the year has to which that week belongs.

    Week 1 is the first with at least four days in the year, as in ISO 8601.
    """
    middle = day + timedelta(days=3 - (day.weekday() - week_start) % 7)
    # The week of 28 December is always the year's last one.
    last = date(middle.year, 12, 28)
    last_middle = last + timedelta(days=3 - (last.weekday() - week_start) % 7)
    return (middle.timetuple().tm_yday + 6) // 7, (last_middle.timetuple().tm_yday + 6) // 7


def _kind(year: int) -> tuple[bool, bool, bool, int]:
    """All that the days of a year depend on: there are 28 kinds of years."""
    leap = calendar.isleap
    return leap(year - 1), leap(year), leap(year + 1), date(year, 1, 1).weekday()


# One year of each kind stands for all: a search of centuries looks at few days.
_MODELS = {_kind(year): year for year in range(LAST_YEAR, FIRST_YEAR - 1, -1)}


@lru_cache(maxsize=4096)
def _days_of_year(rule: DayRule, year: int) -> bytes:
    """A byte for each day of the year: 1 if it fits."""
    numbers = range(1, 366 + calendar.isleap(year))
    if not (rule.months or rule.month_days or rule.year_days or rule.weeks or rule.weekdays):
        return b"\x01" * len(numbers)
    new_year = date(year, 1, 1).toordinal()
    return bytes(rule.fits(date.fromordinal(new_year + number - 1), number) for number in numbers)
