"""Cron lines against a walk through every minute, around changes of the clocks."""

import ast
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, product, takewhile
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo, available_timezones

import pytest

from taskapi.schedules.timing.triggers import Trigger, due_times
from tests.schedules.making import at
from tests.schedules.timing import cron_fields, walk
from tests.schedules.timing.walk import Walk, changes

TWO_DAYS = timedelta(days=2)
GAPS, REPEATS = ("next_valid", "skip"), ("first", "second", "both")
RULES = tuple(product(GAPS, REPEATS))
YEARS = range(2000, 2041)
# What a machine calls its own zone is none.
ZONES = sorted(available_timezones() - {"localtime"})
LINES = ("45 * * * *", "*/30 0-23 * * *", "15 0,1,2,3,23 * * *", "0 2 * * sun", "59 23 L * *")
# Of a line that meets a time which the clocks leave out or show twice: its minutes, hours and days.
MINUTES = ("{at.minute}", "{at.minute}/7", "*/15,{at.minute}")
HOURS = ("{at.hour}", "{at.hour}-23", "0,{at.hour}")
DAYS = ("* * *", "{at.day},28 * *", "{at.day} {at.month} *", "* * {at:%a}")
# So many changes are in the sample.
CHANGES = 30


def due_by_us(
    cron: str, zone: str, start: datetime, end: datetime, *, gap: str, repeat: str
) -> list[datetime]:
    trigger = Trigger(starts_at=at("1999-01-01 00:00"), cron=cron, timezone=zone, gap=gap, repeat=repeat)
    return [due.at for due in takewhile(lambda due: due.at < end, due_times(trigger, after=start))]


def some_changes(chance: random.Random) -> Iterator[tuple[str, datetime]]:
    """Changes of zones anywhere, without end."""
    while True:
        zone, year = chance.choice(ZONES), chance.choice(YEARS)
        if found := list(changes(ZoneInfo(zone), year, year)):
            yield zone, chance.choice(found)


def lines_that_meet(walked: Walk, chance: random.Random) -> Iterator[str]:
    """For a time that the clocks leave out, and for one that they show twice, a line that has it."""
    shown_twice = [wall for wall, moments in walked.shown.items() if moments[1:]]
    for walls in (list(walked.left_out), shown_twice):
        if walls:
            words = (chance.choice(choices) for choices in (MINUTES, HOURS, DAYS))
            yield " ".join(words).format(at=chance.choice(walls))


def compare(zone: str, change: datetime, lines: Sequence[str], chance: random.Random) -> Counter[str]:
    """Compare around a change, by these lines and such as meet it, and by each rule; how many there were."""
    walked = Walk(ZoneInfo(zone), change - TWO_DAYS, change + TWO_DAYS)
    counted = Counter[str]()
    for line in (*lines, *lines_that_meet(walked, chance)):
        due = {}
        for gap, repeat in RULES:
            ours = due_by_us(line, zone, walked.start, walked.end, gap=gap, repeat=repeat)
            assert ours == walked.due(line, gap=gap, repeat=repeat), (zone, change, line, gap, repeat)
            due[gap, repeat] = ours
            # Who asks beside the change has the same answer.
            later, until = sorted(change + chance.randrange(-180, 360) * walk.MINUTE for _ in range(2))
            rest = due_by_us(line, zone, later, until, gap=gap, repeat=repeat)
            assert rest == [at for at in ours if later < at < until], (zone, later, line, gap, repeat)
        by_gap = due["next_valid", "first"] != due["skip", "first"]
        by_repeat = due["skip", "first"] != due["skip", "second"]
        counted.update(lines=1, comparisons=len(RULES), differ=by_gap or by_repeat)
        counted.update(differ_by_gap=by_gap, differ_by_repeat=by_repeat)
    return counted


def test_cron_lines_agree_with_a_walk_by_the_minute() -> None:
    """The same sample each time, in which the rules mostly give different answers."""
    chance, counted = random.Random(4), Counter[str]()
    for zone, change in islice(some_changes(chance), CHANGES):
        counted += compare(zone, change, [chance.choice(LINES)], chance)
    assert counted["lines"] >= 2 * CHANGES
    assert counted["differ"] >= counted["lines"] / 2
    assert min(counted["differ_by_gap"], counted["differ_by_repeat"]) >= CHANGES / 4


def compared(year: int) -> Counter[str]:
    """Compare around each change of a year, by each line and rule; how many there were."""
    seen, counted, chance = set(), Counter[str](), random.Random(year)
    for zone in ZONES:
        info, found = ZoneInfo(zone), list(changes(ZoneInfo(zone), year, year))
        counted.update(zones=bool(found), changes=len(found))
        for change in found:
            # Many zones change alike: what counts is how the days around it look.
            sides = (change + timedelta(hours=hours) for hours in range(-75, 76, 3))
            kind = (change, tuple(side.astimezone(info).utcoffset() for side in sides))
            if kind not in seen:
                seen.add(kind)
                counted += compare(zone, change, LINES, chance)
    return counted


@pytest.mark.soak
@pytest.mark.parametrize("year", YEARS)
def test_every_change_of_every_zone_agrees_with_a_walk_by_the_minute(year: int) -> None:
    counted = compared(year)
    assert counted["zones"] > 150
    assert counted["changes"] > 300
    assert counted["comparisons"] > 1_500
    assert counted["differ"] >= counted["lines"] / 3


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
