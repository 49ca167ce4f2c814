"""Cron lines against a walk through every minute, around changes of the clocks."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapi.schedules.timing.triggers import Trigger, due_times
from tests.schedules.making import at
from tests.schedules.timing.walk import Walk, changes

TWO_DAYS = timedelta(days=2)
GAPS, REPEATS = ("next_valid", "skip"), ("first", "second", "both")
ZONES = sorted(zone for zone in available_timezones() if "/" in zone)
minutes = st.sampled_from(["*", "0", "30", "15,45", "*/20", "59", "7-11"])
hours = st.sampled_from(["*", "0", "1", "2", "3", "23", "1-3", "*/2", "0,2,4", "0-23", "22-23"])
days = st.sampled_from(["* * *", "* * sun", "1-7 * *", "L * *", "* * mon-fri", "1,15 * sat#1"])


@cache
def changes_of_year(zone: str, year: int) -> list[datetime]:
    return list(changes(ZoneInfo(zone), year, year))


def due_by_us(
    cron: str, zone: str, start: datetime, end: datetime, *, gap: str, repeat: str
) -> list[datetime]:
    trigger = Trigger(starts_at=at("1999-01-01 00:00"), cron=cron, timezone=zone, gap=gap, repeat=repeat)
    return [due.at for due in takewhile(lambda due: due.at < end, due_times(trigger, after=start))]


@settings(max_examples=40, deadline=None)
@given(
    line=st.builds("{} {} {}".format, minutes, hours, days),
    zone=st.sampled_from(ZONES),
    year=st.integers(2000, 2040),
    place=st.integers(0, 5),
    gap=st.sampled_from(GAPS),
    repeat=st.sampled_from(REPEATS),
)
def test_cron_lines_agree_with_a_walk_by_the_minute(
    line: str, zone: str, year: int, place: int, gap: str, repeat: str
) -> None:
    found = changes_of_year(zone, year) or [datetime(year, 1 + place, 28, tzinfo=UTC)]
    start, end = (found[place % len(found)] + side * TWO_DAYS for side in (-1, 1))
    walked = Walk(ZoneInfo(zone), start, end).due(line, gap=gap, repeat=repeat)
    assert due_by_us(line, zone, start, end, gap=gap, repeat=repeat) == walked


@pytest.mark.soak
def test_every_change_of_every_zone_agrees_with_a_walk_by_the_minute() -> None:
    seen = set()
    for zone in ZONES:
        info = ZoneInfo(zone)
        for change in changes(info, 2000, 2040):
            # Many zones change alike: what counts is how the days around it look.
            sides = (change + timedelta(hours=hours) for hours in range(-75, 76, 3))
            kind = (change, tuple(side.astimezone(info).utcoffset() for side in sides))
            if kind in seen:
                continue
            seen.add(kind)
            walk = Walk(info, change - TWO_DAYS, change + TWO_DAYS)
            for line in ("*/7 * * * *", "*/30 0-23 * * *", "15 0,1,2,3,23 * * *"):
                for gap, repeat in [("next_valid", "first"), ("skip", "second"), ("next_valid", "both")]:
                    ours = due_by_us(line, zone, walk.start, walk.end, gap=gap, repeat=repeat)
                    assert ours == walk.due(line, gap=gap, repeat=repeat), (zone, change, line, gap, repeat)
