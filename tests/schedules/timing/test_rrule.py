"""Recurrence rules: examples of RFC 5545, worked out by hand, and what is refused."""

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from taskapi.schedules.timing.rrule_text import UnreadableRule
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, check_rule, due_times, next_due
from tests.schedules.making import at
from tests.schedules.timing.local import utc_times


@pytest.mark.parametrize(
    ("rule", "starts_at", "expected"),
    [
        # RFC 5545, section 3.8.5.3, with the days that it lists.
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02", "0902 0912 0922 1002 1012"),
        ("FREQ=DAILY;UNTIL=19970904T000000Z", "1997-09-02", "0902 0903"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "1997-09-02", "0902 0904 0916 0918 0930"),
        ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997-09-05", "0905 1003 1107 1205 0102"),
        ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "1997-09-07", "0907 0928 1102 1130 0104"),
        ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22", "0922 1020 1117 1222 0119"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28", "0928 1029 1128 1229 0129"),
        ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "1997-09-30", "0930 1001 1031 1101 1130"),
        ("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "1997-06-10", "0610 0710 0610 0710"),
        ("FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "1997-01-01", "0101 0410 0719 0101 0409"),
        ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", "0519 0518 0517"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12", "0512 0511 0517"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "1997-03-13", "0313 0320 0327 0305"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-09-02", "0213 0313 1113 0813 1013"),
        ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "1997-09-13", "0913 1011 1108 1213"),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1996-11-05",
            "1105 1107 1102",
        ),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04", "0904 1007 1106"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29", "0929 1030 1127 1230"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05", "0805 0810 0819 0824"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05", "0805 0817 0819 0831"),
        ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15", "0115 0130 0215 0315 0330"),
        # Where the standard leaves room, or other programs differ.
        ("FREQ=MONTHLY", "2026-01-31", "0131 0331 0531"),
        ("FREQ=YEARLY", "2024-02-29", "0229 0229"),
        ("FREQ=YEARLY;BYWEEKNO=1", "2026-01-01", "0101 0107 0106"),
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "2026-01-01", "0101 1231 0101"),
        ("FREQ=YEARLY;BYWEEKNO=-53;BYDAY=MO", "2025-06-01", "1229 1229"),
        ("FREQ=MONTHLY;BYDAY=MO,1TU", "2026-11-01", "1102 1103 1109 1116"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", "2026-11-18", "1123 1130"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU", "2026-11-18", "0229 0229"),
    ],
)
def test_days_are_those_of_the_standard(rule: str, starts_at: str, expected: str) -> None:
    days = expected.split()
    found = utc_times(len(days), starts_at=f"{starts_at} 09:00", rrule=rule)
    assert [f"{day[5:7]}{day[8:10]}" for day in found] == days
    assert all(day.endswith("09:00:00") for day in found)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "FREQ=DAILY;BYHOUR=9,12;BYMINUTE=0,30",
            ["20 09:00:00", "20 09:30:00", "20 12:00:00", "20 12:30:00"],
        ),
        ("FREQ=DAILY;BYHOUR=8", ["21 08:00:00", "22 08:00:00"]),
        ("FREQ=DAILY;BYHOUR=9,10,11;BYSETPOS=-1,1", ["20 09:00:00", "20 11:00:00", "21 09:00:00"]),
        ("FREQ=HOURLY;INTERVAL=3;UNTIL=20261120T170000Z", ["20 09:00:00", "20 12:00:00", "20 15:00:00"]),
        ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", ["20 09:00:00", "20 10:30:00", "20 12:00:00", "20 13:30:00"]),
        (
            "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10",
            ["20 09:00:00", "20 09:20:00", "20 09:40:00", "20 10:00:00"],
        ),
        ("FREQ=SECONDLY;INTERVAL=7;BYMINUTE=1", ["20 09:01:03", "20 09:01:10"]),
        ("FREQ=HOURLY;BYMINUTE=5;BYSECOND=60", ["20 09:05:59", "20 10:05:59"]),
        ("FREQ=HOURLY;BYYEARDAY=-1", ["31 00:00:00", "31 01:00:00"]),
        ("FREQ=SECONDLY;INTERVAL=86399;BYHOUR=8", ["21 08:59:59", "22 08:59:58"]),
    ],
)
def test_times_of_day_are_those_of_the_standard(rule: str, expected: list[str]) -> None:
    found = utc_times(len(expected), starts_at="2026-11-20 09:00", rrule=rule)
    assert [moment[8:] for moment in found] == expected


@pytest.mark.parametrize(
    ("until", "zone", "last"),
    [
        ("20261122T090000Z", "Europe/Paris", "2026-11-22 09:00:00"),
        ("20261122T085959Z", "Europe/Paris", "2026-11-21 09:00:00"),
        ("20261122T100000", "Europe/Paris", "2026-11-22 09:00:00"),
        ("20261122T095959", "Europe/Paris", "2026-11-21 09:00:00"),
        ("20261122", "Europe/Paris", "2026-11-22 09:00:00"),
        ("20261122", "Pacific/Auckland", "2026-11-22 09:00:00"),
        ("20261122", "America/Adak", "2026-11-23 09:00:00"),
    ],
)
@pytest.mark.parametrize("freq", ["DAILY", "HOURLY;INTERVAL=24"])
def test_until_is_a_moment_a_time_on_the_wall_or_a_whole_day(
    freq: str, until: str, zone: str, last: str
) -> None:
    fields = {"rrule": f"FREQ={freq};UNTIL={until}", "timezone": zone}
    assert utc_times(9, starts_at="2026-11-20 09:00", **fields)[-1] == last


@pytest.mark.parametrize(
    "exdate",
    [
        "EXDATE:20261121T100000",
        "exdate;value=date-time:20261121t100000",
        "EXDATE:20261121T090000Z",
        "EXDATE;VALUE=DATE:20261121",
        "EXDATE;TZID=America/New_York:20261121T040000",
        'EXDATE;TZID="Europe/Paris":20261121T100000',
        "EXDATE:20250101T100000,20261121T100000\nEXDATE;VALUE=DATE:20250101,20250102",
        "EXDATE:20250101T100000,\r\n 20261121T100000",
    ],
)
@pytest.mark.parametrize("freq", ["DAILY", "HOURLY;INTERVAL=24"])
def test_exceptions_are_taken_away_after_count_has_counted(freq: str, exdate: str) -> None:
    fields = {"rrule": f"rrule:freq={freq.lower()};count=3\n{exdate}", "timezone": "Europe/Paris"}
    found = utc_times(9, starts_at="2026-11-20 09:00", **fields)
    assert found == ["2026-11-20 09:00:00", "2026-11-22 09:00:00"]


def test_an_exception_names_the_time_that_a_gap_has_moved() -> None:
    trigger = Trigger(
        rrule="FREQ=DAILY\nEXDATE:20260329T023000", starts_at=at("2026-03-28 01:30"), timezone="Europe/Paris"
    )
    found = [due.at for due in islice(due_times(trigger, after=trigger.starts_at - MICROSECOND), 2)]
    assert found == [at("2026-03-28 01:30"), at("2026-03-30 00:30")]


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        # A time that comes twice is one of the rule's times, one that does not exist is none.
        ({"repeat": "both", "starts_at": at("2026-10-24 00:30")}, "2026-10-26 01:30"),
        ({"gap": "skip", "starts_at": at("2026-03-28 01:30")}, "2026-03-31 00:30"),
        ({"gap": "next_valid", "starts_at": at("2026-03-28 01:30")}, "2026-03-30 00:30"),
        # 02:30 has passed for the first time when this one begins.
        ({"repeat": "first", "starts_at": at("2026-10-25 01:30")}, "2026-10-28 01:30"),
    ],
)
def test_count_counts_the_times_on_the_wall(rule: dict[str, Any], last: str) -> None:
    trigger = Trigger(rrule="FREQ=DAILY;COUNT=3", timezone="Europe/Paris", **rule)
    assert [due.at for due in due_times(trigger, after=at("2020-01-01 00:00"))][-1] == at(last)


def test_a_rule_begins_at_the_next_whole_second() -> None:
    start = at("2026-11-20 09:00") + timedelta(milliseconds=1)
    trigger = Trigger(rrule="FREQ=MINUTELY", starts_at=start)
    assert next_due(trigger, after=start - MICROSECOND) == at("2026-11-20 09:00") + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "exactly one RRULE"),
        ("FREQ=DAILY\nFREQ=WEEKLY", "there are 2"),
        ("DAILY", "DAILY is not a part"),
        ("INTERVAL=2", "FREQ is missing"),
        ("FREQ=FORTNIGHTLY", "FREQ must be one of"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("FREQ=DAILY;BYEASTER=0", "BYEASTER is not a part"),
        ("FREQ=DAILY;", "An empty part"),
        ("DTSTART:20261120T090000\nRRULE:FREQ=DAILY", "starts_at"),
        ("FREQ=DAILY;DTSTART=20261120T090000", "starts_at"),
        ("FREQ=DAILY\nRDATE:20261120T090000", "RDATE is not supported"),
        ("FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "EXRULE is not supported"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20261120", "exclude each other"),
        ("FREQ=DAILY;COUNT=10001", "from 1 to 10000"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL must be"),
        ("FREQ=DAILY;INTERVAL=1e3", "INTERVAL must be"),
        ("FREQ=DAILY;INTERVAL=٣", "INTERVAL must be"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL must be times such as"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL must be times such as"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be numbers from 0 to 23"),
        ("FREQ=DAILY;BYHOUR=", "BYHOUR must be"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers from 1 to 31, or counted back"),
        ("FREQ=MONTHLY;BYDAY=MO,XX", "BYDAY must be weekdays"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY must be weekdays"),
        ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY must be weekdays"),
        ("FREQ=WEEKLY;WKST=1", "WKST must be one of"),
        ("FREQ=WEEKLY;BYDAY=1MO", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=DAILY;BYDAY=-1MO", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=YEARLY;BYDAY=1MO;BYWEEKNO=3", "exclude each other"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "does not go with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "FREQ=YEARLY only"),
        ("FREQ=MONTHLY;BYSETPOS=1", "needs another BY part"),
        ("FREQ=HOURLY;BYMINUTE=1,2;BYSETPOS=1", "FREQ=DAILY or longer"),
        ("FREQ=DAILY\nEXDATE;TZID=Mars/Base:20261120T090000", "not an IANA time zone"),
        ("FREQ=DAILY\nEXDATE;TZID=../../etc/passwd:20261120T090000", "not an IANA time zone"),
        ("FREQ=DAILY\nEXDATE;VALUE=PERIOD:20261120T090000", "EXDATE takes"),
        ("FREQ=DAILY\nEXDATE:Christmas", "EXDATE must be times such as"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no date fits it"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "no date fits it"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "no date fits it"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "no date fits it"),
        ("FREQ=SECONDLY;INTERVAL=2;BYSECOND=1", "no date fits it"),
        ("FREQ=DAILY;BYHOUR=1,2;BYSETPOS=3", "no date fits it"),
        ("FREQ=DAILY;UNTIL=20200101", "no date fits it before UNTIL"),
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(UnreadableRule, match=reason):
        check_rule(Trigger(rrule=text, starts_at=at("2026-11-20 09:00"), timezone="Europe/Paris"))


def test_there_is_a_bound_on_exceptions() -> None:
    days = [f"{at('2026-01-01 00:00') + timedelta(days=number):%Y%m%d}" for number in range(1001)]
    with pytest.raises(UnreadableRule, match="more than 1,000 EXDATE"):
        check_rule(Trigger(rrule="FREQ=DAILY\nEXDATE:" + ",".join(days), starts_at=at("2026-11-20 09:00")))
