"""Cron lines against a walk through every minute, around changes of the clocks."""

import ast
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product, takewhile
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapi.schedules.timing.triggers import Trigger, due_times
from tests.schedules.making import at
from tests.schedules.timing import cron_fields, walk
from tests.schedules.timing.walk import Walk, changes

TWO_DAYS = timedelta(days=2)
GAPS, REPEATS = ("next_valid", "skip"), ("first", "second", "both")
YEARS = range(2000, 2041)
# What a machine calls its own zone is none.
ZONES = sorted(available_timezones() - {"localtime"})
LINES = ["45 * * * *", "*/30 0-23 * * *", "15 0,1,2,3,23 * * *", "0 2 * * sun", "59 23 L * *"]
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


# The same sample each time.
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    line=st.builds("{} {} {}".format, minutes, hours, days),
    zone=st.sampled_from(ZONES),
    year=st.sampled_from(YEARS),
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


def compared(year: int) -> Counter[str]:
    """Compare around each change of a year, by each line and rule; how many there were."""
    seen, counted = set(), Counter[str]()
    for zone in ZONES:
        info, found = ZoneInfo(zone), changes_of_year(zone, year)
        counted.update(zones=bool(found), changes=len(found))
        for change in found:
            # Many zones change alike: what counts is how the days around it look.
            sides = (change + timedelta(hours=hours) for hours in range(-75, 76, 3))
            kind = (change, tuple(side.astimezone(info).utcoffset() for side in sides))
            if kind not in seen:
                seen.add(kind)
                counted.update(comparisons=compare(zone, change))
    return counted


def compare(zone: str, change: datetime) -> int:
    walked, number = Walk(ZoneInfo(zone), change - TWO_DAYS, change + TWO_DAYS), 0
    for line, gap, repeat in product(LINES, GAPS, REPEATS):
        ours = due_by_us(line, zone, walked.start, walked.end, gap=gap, repeat=repeat)
        assert ours == walked.due(line, gap=gap, repeat=repeat), (zone, change, line, gap, repeat)
        number += 1
    return number


@pytest.mark.soak
@pytest.mark.parametrize("year", YEARS)
def test_every_change_of_every_zone_agrees_with_a_walk_by_the_minute(year: int) -> None:
    counted = compared(year)
    assert counted["zones"] > 150
    assert counted["changes"] > 300
    assert counted["comparisons"] > 1_500


@pytest.mark.parametrize("module", [walk, cron_fields])
def test_the_walk_is_no_work_of_the_application(module: ModuleType) -> None:
    """Nor of the libraries that the application reads cron lines and rules with."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    ours = {name for name in imported if name.startswith("tests.")}
    assert ours <= {"tests.schedules.timing.cron_fields"}
    assert {name.partition(".")[0] for name in imported - ours} <= sys.stdlib_module_names


def test_the_walk_knows_one_rule_from_another() -> None:
    """In Berlin a quarter past two is left out in March and comes twice in October."""
    for change, counts in (
        (at("2026-03-29 01:00"), [5, 5, 5, 4, 4, 4]),
        (at("2026-10-25 01:00"), [3, 3, 4] * 2),
    ):
        walked = Walk(ZoneInfo("Europe/Berlin"), change - TWO_DAYS, change + TWO_DAYS)
        due = [walked.due("15 2 * * *", gap=gap, repeat=repeat) for gap, repeat in product(GAPS, REPEATS)]
        assert [len(found) for found in due] == counts
