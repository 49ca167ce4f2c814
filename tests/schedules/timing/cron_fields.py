"""What a cron line means, read in the plainest way, by what crontab(5) says."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

MONTHS = [name.lower() for name in calendar.month_abbr]
# Sunday is both 0 and 7.
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@dataclass(frozen=True)
class CronFields:
    """The times of day and the days of a line."""

    minutes: frozenset[int]
    hours: frozenset[int]
    is_day: Callable[[date], bool]

    def fit(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.is_day(wall.date())


def read_cron(line: str) -> CronFields:
    minute, hour, day, month, weekday = line.lower().split()
    months = _numbers(month, 1, 12, MONTHS)
    # Two fields that each name days are read as 'or', else both must fit.
    judge = all if day.startswith("*") or weekday.startswith("*") else any

    @cache
    def is_day(at: date) -> bool:
        return at.month in months and judge((_is_day_of_month(day, at), _is_weekday(weekday, at)))

    return CronFields(_numbers(minute, 0, 59), _numbers(hour, 0, 23), is_day)


def _numbers(field: str, first: int, last: int, names: list[str] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, _, end = ("", "", "") if span == "*" else span.partition("-")
        low = _number(begin, names) if begin else first
        high = _number(end, names) if end else low if begin and not step else last
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: list[str] | None) -> int:
    return names.index(text) if names and text in names else int(text)


def _is_day_of_month(field: str, at: date) -> bool:
    if field == "l":
        return (at + timedelta(days=1)).day == 1
    return at.day in _numbers(field, 1, 31)


def _is_weekday(field: str, at: date) -> bool:
    if "#" in field:
        name, _, nth = field.partition("#")
        return at.isoweekday() % 7 == _number(name, WEEKDAYS) % 7 and (at.day - 1) // 7 + 1 == int(nth)
    return at.isoweekday() % 7 in {number % 7 for number in _numbers(field, 0, 6, WEEKDAYS)}
