"""A virtual clock, a Redis that is away, and a provider of weather, for tests of tasks."""

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
from tests.schedules.conftest import redis_away, time

__all__ = ("empty_store", "provider", "redis_away", "time", "weather_server")


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
