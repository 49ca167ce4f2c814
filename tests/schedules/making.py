"""Short ways to make schedules in tests, and to let time pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from taskapi.core import clock
from tests.people import Person

REMINDER = {"action": "reminder", "params": {"message": "Time for tea"}}


def at(text: str) -> datetime:
    """A time in UTC, such as ``at("2026-11-20 09:00")``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make(person: Person, **fields: Any) -> dict[str, Any]:
    """Create a schedule through the API."""
    answer = person.post("/api/schedules", {**REMINDER, **fields})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json
    return created


def runs_of(person: Person, schedule: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The runs of a schedule, oldest due time first."""
    path = f"/api/schedules/{schedule['id']}/runs"
    answer = person.get(path, query_string={"sort": "scheduled_for", "per_page": 100, **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


class Time:
    """A clock that a test moves."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def pass_(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    @contextmanager
    def running(self) -> Iterator["Time"]:
        with clock.use(lambda: self.now):
            yield self
