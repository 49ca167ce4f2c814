"""A small table of numbers, and applications on one certain database, for tests of the floor."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from taskapi.app import create_app
from taskapi.core.db import db, session, transaction
from taskapi.core.logging import configure_logging
from tests.conftest import settings_for
from tests.core.floor import install_probes


def write_number(key: int, value: int) -> None:
    """Put a number under a key; call it inside a transaction."""
    session().execute(
        sa.text(
            "INSERT INTO probe (key, value) VALUES (:key, :value)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"key": key, "value": value},
    )


def read_number(key: int) -> int | None:
    """What everybody can see under this key: asked on a connection of its own."""
    with db.engine.connect() as connection:
        value: int | None = connection.scalar(
            sa.text("SELECT value FROM probe WHERE key = :key"), {"key": key}
        )
        return value


def goes_on_sleeping() -> bool:
    """Whether a backend sleeps (``pg_sleep``) for three more seconds."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%%pg_sleep%%'"
    )
    deadline = time.monotonic() + 3
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.exec_driver_sql(query).scalar():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.05)
    return False


def _with_probe(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        with transaction():
            session().execute(sa.text("CREATE TABLE probe (key INTEGER PRIMARY KEY, value INTEGER)"))
        yield app
        db.session.remove()
        with transaction():
            session().execute(sa.text("DROP TABLE probe"))
        db.session.remove()


@pytest.fixture
def probe(context: Flask) -> Iterator[Flask]:
    """The application's context with the table of numbers, on each database."""
    yield from _with_probe(context)


@pytest.fixture
def on_sqlite(tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    """The context of an application on SQLite with the table of numbers."""
    app = create_app(settings_for(tmp_path, redis_url))
    yield from _with_probe(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def on_postgresql(tmp_path: Path, redis_url: str, postgresql_url: str) -> Iterator[Flask]:
    """The context of an application on PostgreSQL with the table of numbers."""
    app = create_app(settings_for(tmp_path, redis_url, DATABASE_URL=postgresql_url))
    yield from _with_probe(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def floor_app(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Flask]:
    app = create_app(settings_for(tmp_path_factory.mktemp("floor"), redis_url))
    install_probes(app)
    with app.app_context(), transaction():
        session().execute(sa.text("CREATE TABLE probe (key INTEGER PRIMARY KEY)"))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def apps_by_settings(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[Callable[..., Flask]]:
    """Applications with the endpoints of ``floor.py``: one for each choice of settings, as each costs."""
    folder, made = tmp_path_factory.mktemp("chosen"), dict[frozenset[tuple[str, str]], Flask]()

    def find(redis: str = redis_url, **values: str) -> Flask:
        chosen = frozenset({"REDIS_URL": redis, **values}.items())
        if chosen not in made:
            made[chosen] = create_app(settings_for(folder, redis, **values))
            install_probes(made[chosen])
        return made[chosen]

    yield find
    for app in made.values():
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app_with(apps_by_settings: Callable[..., Flask], redis_url: str) -> Iterator[Callable[..., Flask]]:
    """Gives applications with the endpoints of ``floor.py`` and settings of the test; none has counted."""
    yield apps_by_settings
    with Redis.from_url(redis_url) as connection:
        connection.flushdb()


@pytest.fixture
def floor(floor_app: Flask) -> FlaskClient:
    """A client of an application with the endpoints of ``floor.py``; nothing is in its database."""
    return floor_app.test_client()


class Log:
    """What was logged since the beginning of the test."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def line(self, event: str) -> dict[str, Any]:
        return next(line for line in self.lines if line["event"] == event)


@pytest.fixture
def log_to(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    """Configures logging for this test alone."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level

    def configure(**values: str) -> Log:
        stream = io.StringIO()
        settings = settings_for(
            tmp_path, "redis://localhost", **{"LOG_LEVEL": "INFO", "LOG_FORMAT": "json", **values}
        )
        configure_logging(settings, process="web", stream=stream)
        return Log(stream)

    yield configure
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("sqlalchemy.engine").setLevel("WARNING")
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
