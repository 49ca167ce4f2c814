"""Entries as iCalendar text (RFC 5545, with names and refresh intervals of RFC 7986)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from taskapi.calendar.entries import Entry, Kind
from taskapi.calendar.lines import line, text
from taskapi.calendar.zones import is_utc, write_zone

PRODUCT = "-//taskapi//taskapi//EN"
END = b"END:VCALENDAR\r\n"
# A deadline has no length, but what has none is a hairline in most programs.
SHOWN_AS = timedelta(minutes=30)
REFRESH = timedelta(hours=1)
# The older name of the same, which the library takes for a text.
PUBLISHED_TTL = "PT1H"
TODO_STATUS = {"done": "COMPLETED", "in_progress": "IN-PROCESS"}
WALL = "%Y%m%dT%H%M%S"

Property: TypeAlias = tuple[str, str]


def write_calendar(*, name: str, zone: str, kind: Kind, entries: Sequence[Entry]) -> bytes:
    """A calendar of events or of to-dos, the same bytes for the same entries."""
    # Here, as it takes long to load and few processes write calendars.
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-timezone", zone)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", PUBLISHED_TTL)
    names = b"".join(line(key, text(name)) for key in ("NAME", "X-WR-CALNAME"))
    years = [entry.at.year for entry in entries]
    zones = sorted({entry.zone for entry in entries})
    parts = [write_zone(each, min(years) - 1, max(years) + 1) for each in zones]
    parts += [_write_entry(entry, kind) for entry in entries]
    return b"".join([calendar.to_ical().removesuffix(END), names, *parts, END])


def _write_entry(entry: Entry, kind: Kind) -> bytes:
    """Written here: the library takes a hundred times as long, which is seconds for a full calendar."""
    properties = _todo(entry) if kind == "vtodo" else _event(entry)
    lines = (line(name, value) for name, value in (*properties, *_of_both(entry)))
    name = kind.upper().encode()
    return b"".join((b"BEGIN:%b\r\n" % name, *lines, b"END:%b\r\n" % name))


def _of_both(entry: Entry) -> Iterator[Property]:
    yield "UID", text(entry.uid)
    yield "SEQUENCE", str(entry.version)
    yield "CREATED", _in_utc(entry.created_at)
    yield "LAST-MODIFIED", _in_utc(entry.changed_at)
    # Without a METHOD it says the same (RFC 5545, 3.8.7.2).
    yield "DTSTAMP", _in_utc(entry.changed_at)
    yield "DESCRIPTION", text(entry.description)
    if entry.priority:
        yield "PRIORITY", str(entry.priority)
    if entry.tags:
        yield "CATEGORIES", ",".join(map(text, entry.tags))


def _event(entry: Entry) -> Iterator[Property]:
    yield "SUMMARY", text(entry.mark + entry.title)
    (zone, start), (_, end) = _on_the_wall(entry.zone, entry.at, entry.at + SHOWN_AS)
    yield f"DTSTART{zone}", start
    yield f"DTEND{zone}", end
    yield "STATUS", "CONFIRMED"
    # Nobody is busy because something is due.
    yield "TRANSP", "TRANSPARENT"


def _todo(entry: Entry) -> Iterator[Property]:
    yield "SUMMARY", text(entry.title)
    ((zone, due),) = _on_the_wall(entry.zone, entry.at)
    yield f"DUE{zone}", due
    yield "STATUS", TODO_STATUS.get(entry.task_status or "", "NEEDS-ACTION")
    if entry.completed_at is not None:
        yield "COMPLETED", _in_utc(entry.completed_at)
        yield "PERCENT-COMPLETE", "100"


def _on_the_wall(zone: str, *moments: datetime) -> list[Property]:
    """The moments as the zone's clocks show them, each behind its TZID.

    In UTC where the clocks show one of them twice: a time that comes twice means the first one
    (RFC 5545, 3.3.5), and nothing else can be said.
    """
    local = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    if is_utc(zone) or any(moment.fold for moment in local):
        return [("", _in_utc(moment)) for moment in moments]
    return [(f";TZID={zone}", f"{moment:{WALL}}") for moment in local]


def _in_utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):{WALL}}Z"
