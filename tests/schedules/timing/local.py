"""Due times as people read them off the wall."""

from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, due_times
from tests.schedules.making import at

LONG_AGO = at("2020-01-01 00:00")


def local_times(n: int, *, after: str, **fields: Any) -> list[str]:
    """The next due times on the wall with their offset, such as '10-25 02:30+0200'."""
    trigger = Trigger(**{"starts_at": LONG_AGO, **fields})
    found = islice(due_times(trigger, after=at(after)), n)
    return [f"{due.at.astimezone(ZoneInfo(trigger.timezone)):%m-%d %H:%M%z}" for due in found]


def utc_times(n: int, *, starts_at: str, **fields: Any) -> list[str]:
    """The first due times in UTC, such as '2026-11-20 09:00:00'."""
    trigger = Trigger(starts_at=at(starts_at), **fields)
    found = islice(due_times(trigger, after=trigger.starts_at - MICROSECOND), n)
    return [f"{due.at:%Y-%m-%d %H:%M:%S}" for due in found]
