"""Migrations: one line of them, they go up and down, and they make what the models say."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade

from taskapi.app import create_app
from taskapi.core.db import Base, db
from taskapi.core.migrations import MIGRATIONS_DIR, head_revision
from tests.conftest import DATABASES, settings_for

VERSIONS = sorted((MIGRATIONS_DIR / "versions").glob("*.py"))


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    """The context of an application whose database is empty."""
    if request.param == "sqlite":
        url = f"sqlite:///{quote(str(tmp_path / 'empty.db'))}"
    else:
        url = request.getfixturevalue("empty_postgresql")
    app = create_app(settings_for(tmp_path, redis_url, DATABASE_URL=url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> Iterator[str]:
    server = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    name = f"{server.url.database}_empty"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield server.url.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def tables() -> set[str]:
    return set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_down_and_up_again(empty: Flask) -> None:
    upgrade()
    assert tables() == set(Base.metadata.tables)
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    assert tables() == set(Base.metadata.tables)


def test_migrations_make_what_the_models_say(empty: Flask) -> None:
    upgrade()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_there_is_one_head_and_the_file_names_it() -> None:
    script = ScriptDirectory(str(MIGRATIONS_DIR))
    assert script.get_heads() == [head_revision()]


def test_migrations_are_numbered_and_follow_each_other() -> None:
    numbers = [path.name.partition("_")[0] for path in VERSIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(VERSIONS) + 1)]
    for path, before in zip(VERSIONS, [None, *numbers], strict=False):
        found = re.search(r"^down_revision\b.*= (.+)$", path.read_text(), flags=re.MULTILINE)
        assert found is not None
        assert found[1].strip("\"'") == str(before)
