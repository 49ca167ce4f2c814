"""What is told at a glance of a due time is what the rules say of it."""

from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from taskapi.schedules.definition import trigger_of
from taskapi.schedules.engine.planning import policy_of
from taskapi.schedules.engine.usual import plan_usual
from taskapi.schedules.timing.triggers import next_due
from taskapi.schedules.timing.verdicts import plan

pytestmark = pytest.mark.one_database

# The clocks of Berlin and New York change within the days that follow.
START = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
TRIGGERS: list[dict[str, Any]] = [
    {"every": 60.0},
    {"every": 0.7},
    {"every": 3600.0, "starts_at_given": False},
    {"every": 7.0, "ends_at": START + timedelta(hours=1)},
    {"cron": "*/5 * * * *"},
    {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
    {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "dst": {"gap": "skip", "repeat": "both"}},
    {"cron": "*/30 1-3 * * *", "timezone": "America/New_York", "dst": {"gap": "skip", "repeat": "second"}},
    {"cron": "0 9 * * 1-5", "timezone": "Asia/Tokyo", "ends_at": START + timedelta(days=3)},
    {"run_at": START + timedelta(minutes=1)},
    {"rrule": "FREQ=HOURLY"},
]
POLICIES: list[dict[str, Any]] = [
    {},
    {"overlap": "allow", "start_deadline": 5.0},
    {"overlap": "queue", "catch_up": "all"},
    {"overlap": "replace"},
    {"max_runs": 2, "run_count": 1},
    {"jitter": 30.0},
    {"exclude": ["2026-10-25"]},
    {"paused_at": START - timedelta(hours=2), "resumed_at": START + timedelta(hours=10)},
    {"paused_at": START + timedelta(hours=2), "resumed_at": None},
]
PLAIN: dict[str, Any] = {
    "id": UUID(int=1),
    **dict.fromkeys(("run_at", "cron", "every", "rrule", "ends_at", "max_runs", "start_deadline")),
    **dict.fromkeys(("paused_at", "resumed_at")),
    "timezone": "UTC",
    "dst": {"gap": "next_valid", "repeat": "first"},
    "starts_at": START,
    "starts_at_given": True,
    "exclude": [],
    "skips": [],
    "jitter": 0.0,
    "run_count": 0,
    "catch_up": "latest",
    "catch_up_window": 86_400.0,
    "catch_up_limit": 100,
    "overlap": "skip",
}


@pytest.mark.parametrize("policy", range(len(POLICIES)))
@pytest.mark.parametrize("trigger", range(len(TRIGGERS)))
def test_a_plan_at_a_glance_is_the_plan_by_the_rules(trigger: int, policy: int) -> None:
    schedule: Any = SimpleNamespace(**{**PLAIN, **TRIGGERS[trigger], **POLICIES[policy]})
    told = 0
    mark = next_due(trigger_of(schedule), after=START)
    for late, is_busy in product((0.0, 0.4, 4.0, 6.0, 60.0, 60.001, 4000.0), (False, True)):
        if mark is None:
            break
        now = mark + timedelta(seconds=late)
        glance = plan_usual(schedule, mark=mark, now=now, is_busy=is_busy)
        rules = plan(
            trigger_of(schedule), policy_of(schedule), mark=mark, now=now, has_open_run=is_busy, limit=4
        )
        assert glance in (None, rules)
        told += glance is not None
        mark = next_due(trigger_of(schedule), after=mark + timedelta(hours=3))
    is_obvious = policy in (0, 1, 2, 8) and TRIGGERS[trigger].get("rrule") is None
    assert bool(told) == is_obvious or policy == 7


@pytest.mark.parametrize("mark", [START - timedelta(minutes=5), START + timedelta(seconds=30)])
@pytest.mark.parametrize("trigger", [{"every": 60.0}, {"cron": "* * * * *"}, {"run_at": START}])
def test_a_mark_that_is_no_due_time_takes_a_closer_look(mark: datetime, trigger: dict[str, Any]) -> None:
    schedule: Any = SimpleNamespace(**{**PLAIN, **trigger})
    assert plan_usual(schedule, mark=mark, now=mark, is_busy=False) is None
