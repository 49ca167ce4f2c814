"""What a change of the clocks does to each kind of trigger: cases worked out by hand.

In 2026 Paris springs from 02:00 to 03:00 on 29 March and falls back from 03:00 to 02:00 on 25
October; New York springs on 8 March and falls back on 1 November at 02:00; Lord Howe moves by half
an hour, back on 5 April and forward on 4 October at 02:00; Santiago changes at midnight, back on 5
April (to 23:00 of the 4th) and forward on 6 September; Casablanca leaves its summer time for Ramadan,
from 15 February 03:00 to 22 March 02:00; Chatham falls back on 5 April at 03:45 and springs on 27
September at 02:45; Kolkata never changes.
"""

from typing import Any

import pytest

from tests.schedules.making import at
from tests.schedules.timing.local import local_times

SKIP, FIRST, SECOND, BOTH = {"gap": "skip"}, {"repeat": "first"}, {"repeat": "second"}, {"repeat": "both"}
Case = tuple[str, str, dict[str, str], list[str]]

PARIS: list[Case] = [
    ("30 2 * * *", "2026-03-28 12:00", {}, ["03-29 03:00+0200", "03-30 02:30+0200"]),
    ("30 2 * * *", "2026-03-28 12:00", SKIP, ["03-30 02:30+0200"]),
    ("15,45 2 * * *", "2026-03-28 12:00", {}, ["03-29 03:00+0200", "03-30 02:15+0200"]),
    ("0 2-3 * * *", "2026-03-28 12:00", {}, ["03-29 03:00+0200", "03-30 02:00+0200"]),
    ("30 * * * *", "2026-03-29 00:00", {}, ["03-29 01:30+0100", "03-29 03:30+0200"]),
    ("*/20 * * * *", "2026-03-29 00:35", {}, ["03-29 01:40+0100", "03-29 03:00+0200"]),
    ("30 2 * * *", "2026-10-24 12:00", FIRST, ["10-25 02:30+0200", "10-26 02:30+0100"]),
    ("30 2 * * *", "2026-10-24 12:00", SECOND, ["10-25 02:30+0100", "10-26 02:30+0100"]),
    (
        "0,30 2 * * *",
        "2026-10-24 12:00",
        BOTH,
        ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-26 02:00+0100"],
    ),
    ("0 * * * *", "2026-10-24 23:30", {}, ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"]),
    ("*/30 1-3 * * *", "2026-10-25 00:10", {}, ["10-25 02:30+0200", "10-25 03:00+0100"]),
]
NEW_YORK: list[Case] = [
    ("30 2 * * *", "2026-03-08 00:00", {}, ["03-08 03:00-0400", "03-09 02:30-0400"]),
    ("30 2 * * *", "2026-03-08 00:00", SKIP, ["03-09 02:30-0400"]),
    ("30 1 * * *", "2026-11-01 00:00", FIRST, ["11-01 01:30-0400", "11-02 01:30-0500"]),
    ("30 1 * * *", "2026-11-01 00:00", SECOND, ["11-01 01:30-0500", "11-02 01:30-0500"]),
    ("30 1 * * *", "2026-11-01 00:00", BOTH, ["11-01 01:30-0400", "11-01 01:30-0500"]),
]
LORD_HOWE: list[Case] = [
    ("15 2 * * *", "2026-10-03 12:00", {}, ["10-04 02:30+1100", "10-05 02:15+1100"]),
    ("15 2 * * *", "2026-10-03 12:00", SKIP, ["10-05 02:15+1100"]),
    ("30 2 * * *", "2026-10-03 12:00", {}, ["10-04 02:30+1100", "10-05 02:30+1100"]),
    ("45 1 * * *", "2026-04-04 12:00", FIRST, ["04-05 01:45+1100", "04-06 01:45+1030"]),
    ("45 1 * * *", "2026-04-04 12:00", SECOND, ["04-05 01:45+1030", "04-06 01:45+1030"]),
    ("45 1 * * *", "2026-04-04 12:00", BOTH, ["04-05 01:45+1100", "04-05 01:45+1030"]),
    ("45 * * * *", "2026-04-04 14:00", {}, ["04-05 01:45+1100", "04-05 01:45+1030", "04-05 02:45+1030"]),
    ("15 * * * *", "2026-10-03 14:40", {}, ["10-04 01:15+1030", "10-04 03:15+1100"]),
]
SANTIAGO: list[Case] = [
    ("0 0 * * *", "2026-09-05 12:00", {}, ["09-06 01:00-0300", "09-07 00:00-0300"]),
    ("0 0 * * *", "2026-09-05 12:00", SKIP, ["09-07 00:00-0300"]),
    ("0 0 * * sun", "2026-09-05 12:00", {}, ["09-06 01:00-0300", "09-13 00:00-0300"]),
    ("30 23 * * *", "2026-04-04 12:00", FIRST, ["04-04 23:30-0300", "04-05 23:30-0400"]),
    ("30 23 * * *", "2026-04-04 12:00", SECOND, ["04-04 23:30-0400", "04-05 23:30-0400"]),
    ("30 23 * * *", "2026-04-04 12:00", BOTH, ["04-04 23:30-0300", "04-04 23:30-0400"]),
]
CASABLANCA: list[Case] = [
    ("30 2 * * *", "2026-02-14 12:00", FIRST, ["02-15 02:30+0100", "02-16 02:30+0000"]),
    ("30 2 * * *", "2026-02-14 12:00", SECOND, ["02-15 02:30+0000", "02-16 02:30+0000"]),
    ("30 2 * * *", "2026-02-14 12:00", BOTH, ["02-15 02:30+0100", "02-15 02:30+0000"]),
    ("30 2 * * *", "2026-03-21 12:00", {}, ["03-22 03:00+0100", "03-23 02:30+0100"]),
    ("30 2 * * *", "2026-03-21 12:00", SKIP, ["03-23 02:30+0100"]),
    ("0 12 * * *", "2026-02-14 00:00", {}, ["02-14 12:00+0100", "02-15 12:00+0000"]),
]
CHATHAM: list[Case] = [
    ("45 2 * * *", "2026-09-26 00:00", {}, ["09-27 03:45+1345", "09-28 02:45+1345"]),
    ("0 3 * * *", "2026-09-26 00:00", SKIP, ["09-28 03:00+1345"]),
    ("0 3 * * *", "2026-04-04 00:00", FIRST, ["04-05 03:00+1345", "04-06 03:00+1245"]),
    ("0 3 * * *", "2026-04-04 00:00", SECOND, ["04-05 03:00+1245", "04-06 03:00+1245"]),
    ("0 3 * * *", "2026-04-04 00:00", BOTH, ["04-05 03:00+1345", "04-05 03:00+1245"]),
]
KOLKATA: list[Case] = [
    ("0 9 * * mon-fri", "2026-11-20 12:00", {}, ["11-23 09:00+0530"]),
    ("30 2 * * *", "2026-03-28 22:00", BOTH, ["03-30 02:30+0530", "03-31 02:30+0530"]),
]
CASES = {
    "Europe/Paris": PARIS,
    "America/New_York": NEW_YORK,
    "Australia/Lord_Howe": LORD_HOWE,
    "America/Santiago": SANTIAGO,
    "Africa/Casablanca": CASABLANCA,
    "Pacific/Chatham": CHATHAM,
    "Asia/Kolkata": KOLKATA,
}


@pytest.mark.parametrize(
    ("zone", "cron", "after", "rule", "expected"),
    [(zone, *case) for zone, cases in CASES.items() for case in cases],
)
def test_cron_lines_follow_the_wall_clock_and_the_dst_rule(
    zone: str, cron: str, after: str, rule: dict[str, str], expected: list[str]
) -> None:
    assert local_times(len(expected), after=after, cron=cron, timezone=zone, **rule) == expected


# The same days as recurrence rules: each begins the day before at the hour it names.
RULES: list[tuple[str, str, str, dict[str, str], list[str]]] = [
    ("FREQ=DAILY", "Europe/Paris", "2026-03-28 01:30", {}, ["03-28 02:30+0100", "03-29 03:00+0200"]),
    ("FREQ=DAILY", "Europe/Paris", "2026-03-28 01:30", SKIP, ["03-28 02:30+0100", "03-30 02:30+0200"]),
    ("FREQ=DAILY", "Europe/Paris", "2026-10-24 00:30", SECOND, ["10-24 02:30+0200", "10-25 02:30+0100"]),
    ("FREQ=WEEKLY", "Europe/Paris", "2026-03-22 01:30", {}, ["03-22 02:30+0100", "03-29 03:00+0200"]),
    (
        "FREQ=HOURLY;BYHOUR=2;BYMINUTE=0,30",
        "Europe/Paris",
        "2026-10-24 12:00",
        BOTH,
        ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-26 02:00+0100"],
    ),
    ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0", "Europe/Paris", "2026-03-29 00:30", {}, ["03-29 03:00+0200"]),
    ("FREQ=DAILY", "America/New_York", "2026-03-07 07:30", {}, ["03-07 02:30-0500", "03-08 03:00-0400"]),
    ("FREQ=DAILY", "America/New_York", "2026-10-31 05:30", SECOND, ["10-31 01:30-0400", "11-01 01:30-0500"]),
    ("FREQ=DAILY", "Australia/Lord_Howe", "2026-10-02 15:45", {}, ["10-03 02:15+1030", "10-04 02:30+1100"]),
    (
        "FREQ=DAILY",
        "Australia/Lord_Howe",
        "2026-04-03 14:45",
        SECOND,
        ["04-04 01:45+1100", "04-05 01:45+1030"],
    ),
    ("FREQ=WEEKLY", "America/Santiago", "2026-08-30 04:00", {}, ["08-30 00:00-0400", "09-06 01:00-0300"]),
    ("FREQ=WEEKLY", "America/Santiago", "2026-08-30 04:00", SKIP, ["08-30 00:00-0400", "09-13 00:00-0300"]),
    ("FREQ=DAILY", "Africa/Casablanca", "2026-03-21 02:30", {}, ["03-21 02:30+0000", "03-22 03:00+0100"]),
    ("FREQ=DAILY", "Africa/Casablanca", "2026-02-14 01:30", BOTH, ["02-14 02:30+0100", "02-15 02:30+0100"]),
    ("FREQ=DAILY", "Pacific/Chatham", "2026-04-03 13:15", SECOND, ["04-04 03:00+1345", "04-05 03:00+1245"]),
    ("FREQ=DAILY", "Asia/Kolkata", "2026-03-28 21:00", BOTH, ["03-29 02:30+0530", "03-30 02:30+0530"]),
    # Shorter ones count real time from their start through both changes …
    (
        "FREQ=HOURLY;INTERVAL=2",
        "Europe/Paris",
        "2026-03-28 23:00",
        {},
        ["03-29 00:00+0100", "03-29 03:00+0200", "03-29 05:00+0200"],
    ),
    (
        "FREQ=MINUTELY;INTERVAL=40",
        "Europe/Paris",
        "2026-10-25 00:00",
        {},
        ["10-25 02:00+0200", "10-25 02:40+0200", "10-25 02:20+0100", "10-25 03:00+0100"],
    ),
    (
        "FREQ=HOURLY",
        "Australia/Lord_Howe",
        "2026-04-04 14:00",
        {},
        ["04-05 01:00+1100", "04-05 01:30+1030", "04-05 02:30+1030"],
    ),
    # … and read BYMINUTE off the wall.
    (
        "FREQ=HOURLY;BYMINUTE=45",
        "Australia/Lord_Howe",
        "2026-04-04 14:00",
        {},
        ["04-05 01:45+1100", "04-05 01:45+1030", "04-05 02:45+1030"],
    ),
    (
        "FREQ=MINUTELY;INTERVAL=30;BYDAY=SU",
        "America/Santiago",
        "2026-04-05 02:00",
        {},
        ["04-05 00:00-0400", "04-05 00:30-0400"],
    ),
]


@pytest.mark.parametrize(("rrule", "zone", "starts_at", "rule", "expected"), RULES)
def test_recurrence_rules_follow_it_too_unless_they_count_hours_or_less(
    rrule: str, zone: str, starts_at: str, rule: dict[str, str], expected: list[str]
) -> None:
    fields = {"rrule": rrule, "timezone": zone, "starts_at": at(starts_at), **rule}
    assert local_times(len(expected), after="2020-01-01 00:00", **fields) == expected


@pytest.mark.parametrize(
    ("zone", "starts_at", "every", "expected"),
    [
        ("Europe/Paris", "2026-03-28 01:30", 86400, ["03-28 02:30+0100", "03-29 03:30+0200"]),
        ("Europe/Paris", "2026-10-24 02:00", 86400, ["10-24 04:00+0200", "10-25 03:00+0100"]),
        ("Europe/Paris", "2026-10-25 00:30", 3600, ["10-25 02:30+0200", "10-25 02:30+0100"]),
        ("America/New_York", "2026-03-08 06:30", 1800, ["03-08 01:30-0500", "03-08 03:00-0400"]),
        ("Australia/Lord_Howe", "2026-04-04 14:45", 1800, ["04-05 01:45+1100", "04-05 01:45+1030"]),
        ("America/Santiago", "2026-04-05 02:30", 3600, ["04-04 23:30-0300", "04-04 23:30-0400"]),
        ("Africa/Casablanca", "2026-02-15 01:30", 3600, ["02-15 02:30+0100", "02-15 02:30+0000"]),
        ("Pacific/Chatham", "2026-09-26 13:45", 3600, ["09-27 02:30+1245", "09-27 04:30+1345"]),
        ("Asia/Kolkata", "2026-03-28 21:00", 86400, ["03-29 02:30+0530", "03-30 02:30+0530"]),
    ],
)
def test_intervals_are_in_real_time_everywhere(
    zone: str, starts_at: str, every: float, expected: list[str]
) -> None:
    fields: dict[str, Any] = {"every": float(every), "timezone": zone, "starts_at": at(starts_at)}
    assert local_times(len(expected), after="2020-01-01 00:00", **fields) == expected
