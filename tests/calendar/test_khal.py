"""A calendar as a real program shows it: khal, which people use in terminals."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.calendar.making import fetch, make_feed, read
from tests.people import make_person
from tests.schedules.making import Time, make
from tests.tasks.making import make_task

PARIS = "Europe/Paris"
CONFIG = """
[calendars]
[[work]]
path = {folder}/work
[locale]
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
local_timezone = {zone}
default_timezone = {zone}
[sqlite]
path = {folder}/khal.db
"""
HOSTILE = "END:VEVENT, BEGIN:VALARM; 👩‍💻 \u05e9\u05dc\u05d5\u05dd"
SHOWN = [
    "2026-10-24 09:00|2026-10-24 09:30|summer",
    "2026-10-25 02:30|2026-10-25 02:00|the first of two",
    "2026-10-25 02:30|2026-10-25 03:00|the second of two",
    "2026-10-26 09:00|2026-10-26 09:30|winter",
    "2026-11-20 15:00|2026-11-20 15:30|⏱ in New York",
    f"2026-11-26 10:00|2026-11-26 10:30|{HOSTILE}",
    "2027-03-28 03:30|2027-03-28 04:00|after the gap",
    "2027-03-29 09:00|2027-03-29 09:30|summer again",
]


@pytest.mark.one_database
def test_it_shows_the_same_as_a_parser_at_the_same_times(
    app: Flask, time: Time, client: FlaskClient, tmp_path: Path
) -> None:
    paula = make_person(app, "paula@example.org", timezone=PARIS)
    for title, due_date in (
        ("summer", "2026-10-24T07:00:00Z"),
        ("the first of two", "2026-10-25T00:30:00Z"),
        ("the second of two", "2026-10-25T01:30:00Z"),
        ("winter", "2026-10-26T08:00:00Z"),
        (HOSTILE, "2026-11-26T09:00:00Z"),
        ("after the gap", "2027-03-28T01:30:00Z"),
        ("summer again", "2027-03-29T07:00:00Z"),
    ):
        make_task(paula, title=title, due_date=due_date)
    make(paula, name="in New York", cron="0 9 * * *", timezone="America/New_York", max_runs=1)
    feed = make_feed(paula)
    assert shown_by_khal(tmp_path, fetch(client, feed).data) == SHOWN
    assert [as_line(event) for event in read(client, feed).events] == SHOWN


def as_line(event: Any) -> str:
    """An event of the parser's as khal prints it."""
    start, end = (moment.astimezone(ZoneInfo(PARIS)) for moment in (event.start, event.end))
    return f"{start:%Y-%m-%d %H:%M}|{end:%Y-%m-%d %H:%M}|{event['summary']}"


def shown_by_khal(folder: Path, calendar: bytes) -> list[str]:
    (folder / "work").mkdir()
    (folder / "config").write_text(CONFIG.format(folder=folder, zone=PARIS))
    (folder / "feed.ics").write_bytes(calendar)
    khal(folder, "import", "--batch", "-a", "work", str(folder / "feed.ics"))
    line = "{start-long-full}|{end}|{title}"
    shown = khal(folder, "list", "--day-format", "", "--format", line, "2026-10-01", "365d")
    return shown.strip().splitlines()


def khal(folder: Path, *arguments: str) -> str:
    """Run it with files of its own; what it prints."""
    home = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
    }
    program = Path(sys.executable).with_name("khal")
    command: list[str | Path] = [program, "-c", folder / "config", *arguments]
    done = subprocess.run(command, env=home, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()
