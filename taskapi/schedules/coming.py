"""When a user's schedules fire next, all of them together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from uuid import UUID

from taskapi.schedules import queries
from taskapi.schedules.models import Schedule
from taskapi.schedules.preview import fire_times


@dataclass(frozen=True, slots=True)
class Coming:
    """A due time of a schedule that lies ahead."""

    at: datetime
    schedule: Schedule


def coming_runs(
    *, owner_id: UUID, after: datetime, until: datetime, schedules: int, each: int
) -> list[Coming]:
    """The due times between two moments of a user's active schedules, ascending.

    Args:
        schedules: so many are looked at, those that are due first.
        each: so many due times of each are told.
    """
    found = queries.due_next(owner_id, before=until, limit=schedules)
    coming = (one for schedule in found for one in islice(_of(schedule, after, until), each))
    return sorted(coming, key=lambda one: (one.at, one.schedule.id))


def _of(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Coming]:
    times = (fire_time.utc for fire_time in fire_times(schedule, after=after))
    return (Coming(at, schedule) for at in takewhile(lambda at: at < until, times))
