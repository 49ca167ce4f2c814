"""A task and a stranger to it, a virtual clock, a Redis that is away, and a provider of weather."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.clients.weather import make_weather
from taskapi.core.db import db
from tests.clients.weather.provider import Provider, provider, weather_server
from tests.files.conftest import empty_store
from tests.people import Person, make_person
from tests.schedules.conftest import time
from tests.tasks.making import make_task

__all__ = ("empty_store", "provider", "time", "weather_server")


@pytest.fixture
def weather(app: Flask, provider: Provider) -> Iterator[Provider]:
    """The provider, and an application that asks it."""
    settings = replace(app.extensions["taskapi_settings"], weather_base_url=provider.base)
    app.extensions["taskapi_weather"] = make_weather(settings)
    yield provider
    app.extensions["taskapi_weather"] = None


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL that is sent to the database, as it goes."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def task(owner: Person, teammate: Person) -> dict[str, Any]:
    """A task that the owner has given to the teammate."""
    return make_task(owner, assignee_id=str(teammate.id))


@pytest.fixture
def stranger(app: Flask) -> Person:
    """Somebody the task is none of."""
    return make_person(app, "sven@example.org")
