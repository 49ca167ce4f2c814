"""Reading a recurrence rule: :rfc:`5545`, sections 3.3.10 (RRULE) and 3.8.5.1 (EXDATE).

DTSTART is not part of the text: it is the schedule's ``starts_at``. What the standard forbids is
refused with the reason, not guessed at.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from taskapi.schedules.timing.rrule_days import Weekdays
from taskapi.schedules.timing.wall import zone_of

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_COUNT = 10_000
MAX_EXDATES = 1_000


class UnreadableRule(ValueError):
    """A recurrence rule that cannot be read, or never comes; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """EXDATE: whole days, times on the schedule's wall (naive), and aware ones."""

    days: frozenset[date] = frozenset()
    walls: frozenset[datetime] = frozenset()
    elsewhere: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A recurrence rule as it is written; what is left out is empty.

    Attributes:
        until: the last moment; aware, or naive for a time on the schedule's wall.
        weekdays: pairs of a number (0: every one) and a weekday (Monday is 0).
        week_start: WKST, Monday is 0.
    """

    freq: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: Weekdays = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0
    exceptions: Exceptions = field(default_factory=Exceptions)

    @property
    def is_fine(self) -> bool:
        """Whether its periods are shorter than a day."""
        return self.freq in FREQUENCIES[4:]


def read_rule(text: str) -> Rule:
    """Read an RRULE, with or without its name, and lines of EXDATE.

    Raises:
        UnreadableRule: with the reason in words.
    """
    # Calendars fold long lines: a line break and a blank in the middle of it.
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    rules, exceptions = [], []
    for line in filter(None, map(str.strip, lines)):
        name = re.split("[:;]", line)[0].upper()
        if name == "EXDATE":
            exceptions.append(line)
        elif name in _NOT_HERE:
            raise UnreadableRule(_NOT_HERE[name])
        else:
            rules.append(re.sub("^RRULE:", "", line.upper()))
    if len(rules) != 1:
        raise UnreadableRule(f"Send exactly one RRULE; there are {len(rules)}.")
    parts = _read_parts(rules[0])
    _check_together(parts)
    return Rule(**parts, exceptions=_read_exceptions(exceptions))


_NOT_HERE = {
    "DTSTART": "DTSTART is not part of the rule here: send it as starts_at.",
    "RDATE": "RDATE is not supported: make a schedule with run_at for the other time.",
    "EXRULE": "EXRULE is not supported (RFC 5545 has dropped it): use EXDATE lines or exclude.",
}


def _read_parts(text: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for piece in text.split(";"):
        name, equals, value = piece.strip().partition("=")
        if name in _NOT_HERE:
            raise UnreadableRule(_NOT_HERE[name])
        if name not in _PARTS or not equals:
            raise UnreadableRule(f"{name[:20] or 'An empty part'} is not a part of a rule in RFC 5545.")
        attribute, read = _PARTS[name]
        if attribute in parts:
            raise UnreadableRule(f"{name} is given twice.")
        parts[attribute] = read(name, value.strip())
    if "freq" not in parts:
        raise UnreadableRule("FREQ is missing: say FREQ=DAILY, for example.")
    return parts


def _frequency(_name: str, value: str) -> str:
    if value not in FREQUENCIES:
        raise UnreadableRule(f"FREQ must be one of {', '.join(FREQUENCIES)}.")
    return value


def _weekday(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise UnreadableRule(f"{name} must be one of {', '.join(WEEKDAYS)}.")
    return WEEKDAYS.index(value)


def _number(low: int, high: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise UnreadableRule(f"{name} must be a whole number from {low} to {high}.")
        return int(value)

    return read


def _numbers(low: int, high: int, *, signed: bool = False) -> Callable[[str, str], tuple[int, ...]]:
    pattern = re.compile("[+-]?[0-9]{1,3}" if signed else "[0-9]{1,3}")

    def read(name: str, value: str) -> tuple[int, ...]:
        texts = value.split(",")
        found = {int(text) for text in texts if pattern.fullmatch(text)}
        if not all(pattern.fullmatch(text) for text in texts) or any(
            not low <= abs(number) <= high for number in found
        ):
            before = ", or counted back from -1," if signed else ""
            raise UnreadableRule(f"{name} must be numbers from {low} to {high}{before} separated by commas.")
        return tuple(sorted(found))

    return read


def _weekdays(name: str, value: str) -> Weekdays:
    found = set()
    for text in value.split(","):
        match = re.fullmatch("([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", text)
        number = int(match[1] or 0) if match else 0
        if match is None or abs(number) > 53 or (match[1] and number == 0):
            raise UnreadableRule(f"{name} must be weekdays such as MO,WE or, numbered, 1MO or -1FR.")
        found.add((number, WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _seconds(name: str, value: str) -> tuple[int, ...]:
    # No clock here has leap seconds: section 3.3.12 then takes second 60 as 59.
    return tuple(sorted({min(second, 59) for second in _numbers(0, 60)(name, value)}))


def _until(name: str, value: str) -> datetime:
    moment = _read_time(name, value)
    # A date includes the whole of its day.
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(23, 59, 59))


_PARTS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("freq", _frequency),
    "INTERVAL": ("interval", _number(1, 999_999_999)),
    "COUNT": ("count", _number(1, MAX_COUNT)),
    "UNTIL": ("until", _until),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYWEEKNO": ("weeks", _numbers(1, 53, signed=True)),
    "BYYEARDAY": ("year_days", _numbers(1, 366, signed=True)),
    "BYMONTHDAY": ("month_days", _numbers(1, 31, signed=True)),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _numbers(0, 23)),
    "BYMINUTE": ("minutes", _numbers(0, 59)),
    "BYSECOND": ("seconds", _seconds),
    "BYSETPOS": ("positions", _numbers(1, 366, signed=True)),
    "WKST": ("week_start", _weekday),
}


def _check_together(parts: dict[str, Any]) -> None:
    """Refuse what must not stand together (the table in section 3.3.10)."""
    freq = parts["freq"]
    numbered = any(number for number, _ in parts.get("weekdays", ()))
    others = {"months", "weeks", "year_days", "month_days", "weekdays", "hours", "minutes", "seconds"}
    refused = [
        ("COUNT and UNTIL exclude each other.", "count" in parts and "until" in parts),
        (
            "BYDAY with numbers, such as 1MO, needs FREQ=MONTHLY or YEARLY.",
            numbered and freq not in ("MONTHLY", "YEARLY"),
        ),
        ("BYDAY with numbers and BYWEEKNO exclude each other.", numbered and "weeks" in parts),
        ("BYMONTHDAY does not go with FREQ=WEEKLY.", "month_days" in parts and freq == "WEEKLY"),
        (
            f"BYYEARDAY does not go with FREQ={freq}.",
            "year_days" in parts and freq in ("DAILY", "WEEKLY", "MONTHLY"),
        ),
        ("BYWEEKNO goes with FREQ=YEARLY only.", "weeks" in parts and freq != "YEARLY"),
        (
            "BYSETPOS needs another BY part to choose from.",
            "positions" in parts and not others & parts.keys(),
        ),
        ("BYSETPOS goes with FREQ=DAILY or longer only.", "positions" in parts and freq in FREQUENCIES[4:]),
    ]
    for reason, applies in refused:
        if applies:
            raise UnreadableRule(reason)


def _read_exceptions(lines: list[str]) -> Exceptions:
    days, walls, elsewhere = set(), set(), set()
    for line in lines:
        name, _, values = line.partition(":")
        zone = _zone_parameter(name.split(";")[1:])
        for value in values.upper().split(","):
            moment = _read_time("EXDATE", value.strip())
            if not isinstance(moment, datetime):
                days.add(moment)
            elif moment.tzinfo is None and zone is None:
                walls.add(moment)
            else:
                elsewhere.add(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    if len(days) + len(walls) + len(elsewhere) > MAX_EXDATES:
        raise UnreadableRule(f"There are more than {MAX_EXDATES:,} EXDATE.")
    return Exceptions(days=frozenset(days), walls=frozenset(walls), elsewhere=frozenset(elsewhere))


def _zone_parameter(parameters: list[str]) -> ZoneInfo | None:
    """The zone that TZID names; VALUE only repeats what a value shows by itself."""
    zone = None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.upper() == "TZID":
            zone = _zone_named(value.strip('"'))
        elif parameter.upper() not in ("VALUE=DATE", "VALUE=DATE-TIME"):
            raise UnreadableRule(f"EXDATE takes VALUE=DATE, VALUE=DATE-TIME and TZID, not {parameter[:40]}.")
    return zone


def _zone_named(name: str) -> ZoneInfo:
    try:
        return zone_of(name)
    except (KeyError, OSError, ValueError):
        raise UnreadableRule(f"{name[:64]} is not an IANA time zone such as Europe/Paris.") from None


def _read_time(name: str, value: str) -> date | datetime:
    """A DATE, a DATE-TIME (naive), or one in UTC (aware)."""
    match = re.fullmatch("([0-9]{8})(?:T([0-9]{6})(Z?))?", value)
    try:
        if match is None:
            raise ValueError
        day = date.fromisoformat(match[1])
        if match[2] is None:
            return day
        hour, minute, second = (int(match[2][place : place + 2]) for place in (0, 2, 4))
        zone = UTC if match[3] else None
        return datetime(
            day.year, day.month, day.day, hour, minute, 59 if second == 60 else second, tzinfo=zone
        )
    except ValueError:
        raise UnreadableRule(
            f"{name} must be times such as 20261225, 20261225T090000 or 20261225T090000Z."
        ) from None
