"""Calendars as text: what parsers read in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.tz import tzical
from hypothesis import example, given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event

from taskapi.calendar.entries import Entry
from taskapi.calendar.lines import line, text
from taskapi.calendar.writing import write_calendar
from taskapi.calendar.zones import write_zone
from tests.timed import work_of

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = (
    *("Europe/Paris", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Africa/Casablanca"),
    *("Australia/Lord_Howe", "Europe/Dublin", "Pacific/Auckland", "America/Nuuk", "Asia/Kathmandu"),
)


def entry(at: datetime, title: str = "Tea", *, zone: str = "Europe/Paris", description: str = "") -> Entry:
    return Entry(
        uid=f"task-{title}-{at.isoformat()}@taskapi",
        at=at,
        zone=zone,
        title=title,
        description=description,
        version=1,
        created_at=BEGINNING,
        changed_at=BEGINNING,
    )


def write(*entries: Entry) -> bytes:
    return write_calendar(name="Work", zone="Europe/Paris", kind="vevent", entries=entries)


def parse(text: bytes) -> Any:
    return Calendar.from_ical(text)


def utc(day: str, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00+00:00")


def hours_around_changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Each half an hour of the days around every change of the clocks in two years, and some others."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    while day < datetime(2028, 1, 1, tzinfo=UTC):
        changes = (day + timedelta(days=2)).astimezone(zone).utcoffset() != day.astimezone(zone).utcoffset()
        yield from (day + timedelta(minutes=30 * n) for n in range(96 if changes else 1))
        day += timedelta(days=1)


@pytest.mark.parametrize("name", ZONES)
def test_a_zone_says_what_its_clocks_show(name: str) -> None:
    zone = ZoneInfo(name)
    text = write_zone(name, 2025, 2028).decode()
    # Another library, which knows no zone but what it is told.
    told = tzical(StringIO(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n")).get(name)
    for moment in hours_around_changes(zone):
        local = moment.astimezone(zone)
        if local.fold == 0:
            assert local.replace(tzinfo=told).utcoffset() == local.utcoffset(), local


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("Europe/Paris", ["FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10"]),
        ("America/New_York", ["FREQ=YEARLY;BYDAY=2SU;BYMONTH=3", "FREQ=YEARLY;BYDAY=1SU;BYMONTH=11"]),
        ("Africa/Casablanca", []),
        ("Asia/Kolkata", []),
    ],
    ids=["last-sundays", "first-sundays", "by-the-moon", "never"],
)
def test_clocks_that_change_each_year_alike_do_so_by_a_rule_as_outlook_wants(
    name: str, rules: list[str]
) -> None:
    lines = write_zone(name, 2025, 2028).decode().splitlines()
    assert [each.removeprefix("RRULE:") for each in lines if each.startswith("RRULE:")] == rules
    assert any(each.startswith("RDATE:") for each in lines) == (name == "Africa/Casablanca")
    assert sum(each.startswith("BEGIN:") for each in lines) == (2 if name == "Asia/Kolkata" else 3)


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Etc/GMT", "Zulu"])
def test_utc_by_any_name_needs_no_zone(name: str) -> None:
    assert write_zone(name, 2025, 2028) == b""
    assert b"DTSTART:20261125T090000Z" in write(entry(utc("2026-11-25", "09:00"), zone=name))


def test_a_parser_reads_the_moments_that_were_written() -> None:
    # Around both changes of the year, one of which shows an hour twice.
    moments = [
        start + timedelta(minutes=15 * n)
        for start in (utc("2026-03-28", "23:00"), utc("2026-10-24", "23:00"))
        for n in range(16)
    ]
    read = parse(write(*map(entry, moments)))
    assert [event.start.astimezone(UTC) for event in read.events] == moments
    half_an_hour = timedelta(minutes=30)
    assert [event.end.astimezone(UTC) - half_an_hour for event in read.events] == moments


def test_control_characters_are_left_out() -> None:
    (event,) = parse(write(entry(BEGINNING, "a\x00\x07\x7f\x85b\x1b", description="\x0c"))).events
    assert (str(event["summary"]), str(event["description"])) == ("ab", "")


LETTERS = st.characters(exclude_categories=("Cs", "Cc"))


@pytest.mark.one_database
@settings(max_examples=40)
@given(st.text(LETTERS | st.sampled_from('\\nN,;:"\n\t'), max_size=300))
@example("\\" * 200)
@example("👩‍💻" * 40)
@example("a" * 66 + "\\,")
def test_any_text_is_read_as_it_was_written_from_lines_of_75_octets(value: str) -> None:
    written = line("SUMMARY", text(value))
    *lines, end = written.split(b"\r\n")
    assert end == b""
    assert all(0 < len(each) <= 75 and each.decode() and b"\n" not in each for each in lines)
    assert all(each.startswith(b" ") for each in lines[1:])
    read: Any = Event.from_ical(b"BEGIN:VEVENT\r\n" + written + b"END:VEVENT\r\n")
    assert str(read["summary"]) == value


@pytest.mark.one_database
def test_a_full_calendar_is_written_in_less_time_than_a_parser_takes_for_a_quarter() -> None:
    moments = [BEGINNING + timedelta(hours=n) for n in range(400)]
    entries = [entry(at, f"Task {n}", description="as it is " * 30) for n, at in enumerate(moments)]
    write(*entries[:1])
    written = work_of(lambda: write(*entries))
    assert written < work_of(lambda: parse(write(*entries[:100])))


def test_the_same_entries_are_the_same_bytes() -> None:
    assert write(entry(BEGINNING)) == write(entry(BEGINNING))
    assert b"DTSTAMP:20260101T000000Z" in write(entry(BEGINNING))


def test_an_empty_calendar_is_one() -> None:
    assert parse(write()).subcomponents == []
