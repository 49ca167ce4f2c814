"""Fills in weather that could not be given at once: by a job, or by the sweep if Redis lost that."""

import random
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import FILL_WEATHER, Queue
from taskapi.clients.weather import current_weather
from taskapi.clients.weather.base import WeatherUnavailable
from taskapi.core.db import before_commit, database_now, on_commit, session, transaction
from taskapi.core.events import record_event
from taskapi.core.freshness import touch
from taskapi.tasks.models import Task
from taskapi.tasks.weather import weather_of

log = structlog.get_logger(__name__)

# Nobody waits for it.
FILL_SECONDS = 10.0
# After a day the weather of then is not to be had any more.
GIVE_UP_SECONDS = 86_400.0
# Bounds one round, which occupies a worker; the rest comes with the next.
ROUND_CITIES, ROUND_SECONDS = 100, 40.0
BATCH = 500


def fill_later(tasks: Iterable[Task]) -> None:
    """Have a worker fill in the weather of those tasks that lack it, once they are committed."""
    for task in tasks if current_weather() else ():
        if task.city and task.weather_at is None:
            before_commit(_queue_jobs, (task.city, task.id))


def _queue_jobs(waiting: set[tuple[str, UUID]]) -> None:
    # A job fills in all tasks of its city: one is enough for those of an import.
    on_commit(_enqueue, [str(task_id) for task_id in dict(waiting).values()])


def _enqueue(task_ids: Iterable[str]) -> None:
    calls = [JobCall(name=FILL_WEATHER, args=[key], job_id=f"weather-{key}") for key in task_ids]
    enqueue(Queue.LATER, calls)


def fill_weather(*, task_id: UUID) -> None:
    """Fill in the weather of a task, and of all others of its city that have none."""
    city = session().scalar(sa.select(Task.city).where(Task.id == task_id, *_is_missing()))
    session().rollback()
    if city is not None:
        _fill_city(city)


def sweep_weather() -> None:
    """Fill in the weather of tasks whose job was lost, or found the provider down."""
    stop_at = time.monotonic() + ROUND_SECONDS
    for city in _cities() if current_weather() else ():
        if time.monotonic() > stop_at:
            break
        _fill_city(city)


def _cities() -> Sequence[str]:
    """The cities of tasks without weather, those that wait for longest."""
    waiting = sa.select(Task.city).where(*_is_missing()).group_by(Task.city)
    oldest = waiting.order_by(sa.func.min(Task.updated_at), Task.city).limit(ROUND_CITIES)
    cities = [city for city in session().scalars(oldest) if city]
    session().rollback()
    # In another order each time: one whose answer nobody can read must not always be the first to
    # make us leave the provider alone.
    random.shuffle(cities)
    return cities


def _fill_city(city: str) -> None:
    try:
        weather = weather_of(city, seconds=FILL_SECONDS)
    except WeatherUnavailable as failure:
        log.debug("weather.put_off", reason=str(failure))
        return
    while _fill_some(city, weather):
        pass


def _fill_some(city: str, weather: dict[str, Any] | None) -> int:
    """Fill in some tasks that have this city still, and are not filled by others meanwhile; how many."""
    missing = (Task.city == city, *_is_missing())
    # What somebody is changing is left to the sweep.
    some = sa.select(Task.id).where(*missing).limit(BATCH).with_for_update(skip_locked=True)
    fill = (
        sa.update(Task)
        .where(Task.id.in_(some), *missing)
        .values(weather=weather, weather_at=database_now())
        .returning(Task.id, Task.creator_id, Task.assignee_id)
        .execution_options(synchronize_session=False)
    )
    with transaction():
        filled = session().execute(fill).all()
        if filled:
            touch({person for _, *people in filled for person in people})
        for task_id, creator_id, _ in filled if weather else ():
            # Nobody did it: it is no part of the task's history.
            record_event("task.weather_filled", subject=("task", task_id), owner_id=creator_id)
    return len(filled)


def _is_missing() -> tuple[sa.ColumnElement[bool], ...]:
    recent = Task.updated_at >= database_now(-GIVE_UP_SECONDS)
    return Task.city.is_not(None), Task.weather_at.is_(None), Task.deleted_at.is_(None), recent
