"""Migrations: one line of them, they go up and down, and they make what the models say."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade

from taskapi.app import create_app
from taskapi.core import clock
from taskapi.core.db import Base, db
from taskapi.core.ids import new_id
from taskapi.core.migrations import MIGRATIONS_DIR, head_revision, is_modelled
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
    names = set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if is_modelled(name, "table", {})}


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
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": is_modelled}
        )
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


def test_the_rebuilding_of_a_table_keeps_the_rows_that_refer_to_it(empty: Flask) -> None:
    upgrade(revision="0002")
    _insert_a_run()
    upgrade()
    with db.engine.connect() as connection:
        found = connection.execute(
            sa.text(
                "SELECT schedules.next_run_at = schedules.dispatch_at, runs.due_at = runs.scheduled_for,"
                " run_counts.completed FROM runs JOIN schedules ON schedules.id = runs.schedule_id"
                " JOIN run_counts ON run_counts.schedule_id = schedules.id"
            )
        ).all()
    assert found == [(True, True, 1)]


@pytest.mark.parametrize(("role", "sees_everything"), [("admin", True), ("user", False)])
def test_what_an_administrator_had_made_before_0009_sees_what_it_saw(
    empty: Flask, role: str, sees_everything: bool
) -> None:
    upgrade(revision="0008")
    owner, webhook, schedule = _ids(3)
    _insert(
        ("users", {"id": owner, "role": role}),
        ("webhooks", {"id": webhook, "owner_id": owner}),
        ("schedules", {"id": schedule, "owner_id": owner, "every": 60.0, "status": "active"}),
    )
    upgrade()
    found = sa.text("SELECT as_admin FROM webhooks UNION ALL SELECT as_admin FROM schedules")
    with db.engine.connect() as connection:
        assert [bool(value) for value in connection.scalars(found)] == [sees_everything] * 2


def _insert_a_run() -> None:
    """A user with a schedule that has run once, in the tables as they were at 0002."""
    user, schedule, run = _ids(3)
    due = {"every": 60.0, "next_run_at": _now(), "status": "active"}
    _insert(
        ("users", {"id": user, "role": "user"}),
        ("schedules", {"id": schedule, "owner_id": user, **due}),
        ("runs", {"id": run, "schedule_id": schedule, "owner_id": user, "status": "completed"}),
    )


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def _ids(count: int) -> list[Any]:
    return [new_id().hex if _is_sqlite() else new_id() for _ in range(count)]


def _now() -> datetime:
    return clock.now().replace(tzinfo=None) if _is_sqlite() else clock.now()


def _insert(*rows: tuple[str, dict[str, Any]]) -> None:
    """A row of each of the tables as they are; what must be filled and is not given gets a sample."""
    samples: dict[type, Any] = {
        datetime: _now(),
        bool: False,
        int: 0,
        float: 0.0,
        str: "text",
        dict: {},
        object: {},
    }
    metadata = sa.MetaData()
    with db.engine.execution_options(taskapi_writes=True).begin() as connection:
        metadata.reflect(connection)
        for name, values in rows:
            must_be_filled = [column for column in metadata.tables[name].c if not column.nullable]
            sample = {column.name: samples.get(column.type.python_type) for column in must_be_filled}
            connection.execute(metadata.tables[name].insert().values({**sample, **values}))
