"""Due times of the past: a trigger as if it had begun earlier. Pure rules, without clock or database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, due_times


def reaching_back(trigger: Trigger, *, to: datetime) -> Trigger:
    """The trigger as if its start, which nobody chose, had been at ``to`` already.

    An interval keeps its grid. An rrule stays as it is: its DTSTART is a part of the rule.
    """
    if trigger.rrule is not None or to >= trigger.starts_at:
        return trigger
    if trigger.every is None:
        return replace(trigger, starts_at=to)
    step = timedelta(microseconds=round(trigger.every * 1_000_000))
    # Rounded away from the start: the first of the grid lies at ``to`` or before it.
    steps = -((to - trigger.starts_at) // step)
    return replace(trigger, starts_at=trigger.starts_at - steps * step, starts_inclusive=True)


def due_between(trigger: Trigger, start: datetime, end: datetime) -> Iterator[datetime]:
    """The due times from ``start`` on and before ``end``, ascending."""
    for due in due_times(trigger, after=start - MICROSECOND):
        if due.at >= end:
            return
        yield due.at
