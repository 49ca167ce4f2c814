"""A team with tasks of all kinds, at a time that stands still."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from taskapi.core import clock
from tests.analytics.making import NOW, random_tasks, seen_by
from tests.people import Person


@dataclass(frozen=True)
class Team:
    """People, and the tasks that they have."""

    people: dict[str, Person]
    tasks: list[dict[str, Any]]

    def seen_by(self, name: str) -> list[dict[str, Any]]:
        return seen_by(self.people[name], self.tasks)


@pytest.fixture
def now(app: Flask) -> Iterator[None]:
    """The clock stands at ``NOW``."""
    with clock.use(lambda: NOW):
        yield


@pytest.fixture
def team(app: Flask, owner: Person, teammate: Person, admin: Person) -> Team:
    """An owner and a teammate who share some tasks, and an administrator who sees all."""
    people = {"owner": owner, "teammate": teammate, "admin": admin}
    return Team(people, random_tasks(app, [owner, teammate, admin]))
