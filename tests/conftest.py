"""Real servers for all tests: one PostgreSQL and one Valkey per test process, emptied between tests.

Tests that take ``app`` (or anything built on it) run twice: on SQLite and on PostgreSQL.
"""

import gc
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup
from flask.testing import FlaskClient
from flask_migrate import upgrade
from redis import Redis

from taskapi.app import create_app
from taskapi.background.embedded import EmbeddedRedis
from taskapi.config import Settings, embedded_redis_url, load_settings
from taskapi.core.db import Base, db
from taskapi.core.refusals import Refusals
from taskapi.core.runtime import runtime_settings
from tests.people import Person, make_person
from tests.postgresql import start_postgresql
from tests.unguarded import unguarded

DATABASES = ("sqlite", "postgresql")
FOLDERS = {
    "contract": ("tests/contract/",),
    "e2e": ("tests/e2e/", "tests/docs/test_readme.py"),
    "quiet": ("tests/e2e/", "tests/schedules/timing/"),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for by its marker, and what another database repeats."""
    if "soak" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]
    _check_places(items)
    items[:] = _slow_ones_first([item for item in items if not _repeats_on_another_database(item)])


def pytest_collection_finish() -> None:
    """Thousands of tests stay as they are: to search them for garbage again and again takes a second each."""
    gc.collect()
    gc.freeze()


def _check_places(items: list[pytest.Item]) -> None:
    """`make test` looks for each kind in these folders alone, as collecting all would take a while."""
    for item in items:
        for marker, folders in FOLDERS.items():
            if item.get_closest_marker(marker) and not item.nodeid.startswith(folders):
                raise pytest.UsageError(f"{item.nodeid} is marked {marker}: it belongs into {folders}")


def _slow_ones_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Each end-to-end test before a quick one: test processes, who take two at a time, share them out."""
    slow = [item for item in items if item.get_closest_marker("e2e") is not None]
    quick = [item for item in items if item.get_closest_marker("e2e") is None]
    pairs = [item for pair in zip(slow, quick, strict=False) for item in pair]
    return [*pairs, *slow[len(quick) :], *quick[len(slow) :]]


def _repeats_on_another_database(item: pytest.Item) -> bool:
    """Whether the marker says that one database will do, and this is the other one."""
    marker = item.get_closest_marker("one_database")
    parameters = getattr(item, "callspec", None)
    if marker is None or parameters is None:
        return False
    wanted = marker.args[0] if marker.args else "sqlite"
    return bool(parameters.params.get("migrated_app", wanted) != wanted)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("valkey")
    server = EmbeddedRedis(folder)
    server.start()
    yield embedded_redis_url(folder)
    server.stop()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of an S3 server, started for those who ask only."""
    from tests.s3 import s3_server

    with s3_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database of this test process: on TEST_DATABASE_URL's server if set, else on one of our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield from _own_database(given)
        return
    # Not below pytest's own folder: run by root, the server belongs to another user, and each
    # new pytest closes that folder to others again.
    folder = tempfile.mkdtemp(prefix="taskapi-pg-")
    server = start_postgresql(Path(folder))
    # Tests need no data that survives a power cut.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off;")
    server.psql("ALTER SYSTEM SET max_connections = 100;")
    server.psql("SELECT pg_reload_conf();")
    yield from _own_database(server.get_uri())
    # Now and not at the end of the process: a process of xdist ends without its exit handlers.
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _own_database(server_url: str) -> Iterator[str]:
    name = f"taskapi_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    url = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def settings_for(folder: Path, redis_url: str, **values: str) -> Settings:
    """Settings of a test installation whose files lie in ``folder``."""
    return load_settings(
        {
            "SECRET_KEY": "a secret for tests that is long enough",
            "DATA_DIR": str(folder),
            "REDIS_URL": redis_url,
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT_DEFAULT": "off",
            "RATE_LIMIT_AUTH": "off",
            "RATE_LIMIT_ACCOUNT": "off",
            "WEATHER": "off",
            **values,
        }
    )


@contextmanager
def migrated(settings: Settings) -> Iterator[Flask]:
    """An application on its database, which is migrated first."""
    app = create_app(settings)
    with app.app_context():
        if settings.uses_sqlite:
            sa.event.listen(db.engine, "connect", _do_not_sync)
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


def _do_not_sync(connection: sqlite3.Connection, _record: object) -> None:
    # As above: no data has to survive a power cut.
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session", params=DATABASES)
def migrated_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[Flask]:
    """An application on an empty, migrated database, kept for the whole session."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        url = f"sqlite:///{quote(str(folder / 'taskapi.db'))}"
    else:
        url = request.getfixturevalue("postgresql_url")
    with migrated(settings_for(folder, redis_url, DATABASE_URL=url)) as app:
        yield app


@pytest.fixture
def app(migrated_app: Flask) -> Iterator[Flask]:
    """The application, its database and Redis empty."""
    yield migrated_app
    empty(migrated_app)
    # Of one address few refusals are told at a time, and all tests have the same.
    migrated_app.extensions["taskapi_refusals"] = Refusals()


def empty(app: Flask) -> None:
    """Forget all that its database and its Redis hold."""
    with app.app_context():
        db.session.remove()
        with db.engine.execution_options(taskapi_writes=True).begin() as connection:
            _empty(connection)
        with Redis.from_url(runtime_settings().redis_url) as redis:
            redis.flushdb()


def _empty(connection: sa.Connection) -> None:
    """Delete the rows of those tables that have any: TRUNCATE makes new files for each."""
    names = [table.name for table in reversed(Base.metadata.sorted_tables)]
    # Names of tables, ours: nothing to escape.
    filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names)
    found = set(connection.execute(sa.text(filled)).scalars())
    with unguarded(connection) if found & {"events", "audit_heads"} else nullcontext():
        for name in names:
            if name in found:
                connection.execute(sa.text(f"DELETE FROM {name}"))


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """The application's context, for tests that call services directly."""
    with app.app_context():
        yield app
        db.session.remove()


@pytest.fixture
def redis_away(app: Flask) -> Iterator[None]:
    """Redis does not answer: nobody listens where the application looks for it."""
    there = app.extensions["taskapi_redis"]
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    yield
    app.extensions["taskapi_redis"] = there


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Those of this process, which a worker takes over in it, are given back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that is not signed in."""
    return app.test_client()


@pytest.fixture
def owner(app: Flask) -> Person:
    """Who makes the things a test is about."""
    return make_person(app, "olivia@example.org")


@pytest.fixture
def teammate(app: Flask) -> Person:
    """Another user of the installation."""
    return make_person(app, "tariq@example.org")


@pytest.fixture
def admin(app: Flask) -> Person:
    return make_person(app, "ada@example.org", role="admin")


@pytest.fixture
def flask(app: Flask) -> Callable[..., Result]:
    """Runs ``flask …``; what is typed by somebody, or piped, goes to standard input."""
    group = FlaskGroup(create_app=lambda: app)

    def run(line: str, *more: str, typed: str | None = None, piped: str | None = None) -> Result:
        with patch("taskapi.core.cli.is_terminal", return_value=typed is not None):
            return app.test_cli_runner().invoke(group, [*line.split(), *more], input=typed or piped)

    return run
