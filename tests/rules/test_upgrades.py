"""Migrations while the service goes on: the version before works with the new tables, and nobody waits."""

import itertools
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from structlog.testing import capture_logs

from taskapi.core import migrations as patience
from taskapi.core.db import db
from tests.ops.conftest import wait_until
from tests.rules.test_migrations import VERSIONS, empty, empty_postgresql

__all__ = ["empty", "empty_postgresql"]

# What came before was never released.
FIRST = "0007"
REVISIONS = [path.name.partition("_")[0] for path in VERSIONS]
STEPS = [pair for pair in itertools.pairwise(REVISIONS) if pair[1] >= FIRST]
STATEMENT = re.compile(r"\s*(ALTER|CREATE|DROP|UPDATE|DELETE|INSERT|TRUNCATE|LOCK)\b", re.IGNORECASE)
# Rules of squawk that are none of ours, each with the reason.
EXCLUDED = {
    "prefer-text-field": "the length is part of the model, which SQLite shares",
    "prefer-bigint-over-int": "numbers that stay small",
    "prefer-robust-stmts": "each migration is one transaction",
    "require-lock-timeout": "migrations/env.py sets it for each statement",
    "require-statement-timeout": "a migration that takes long is no runaway",
}


@pytest.fixture
def statements(empty: Flask) -> Iterator[list[str]]:
    """What is executed from now on."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if STATEMENT.match(statement) and "alembic_version" not in statement:
            found.append(statement.strip())

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(db.engine, "before_cursor_execute", note)


def squawk(folder: Path, sql: str) -> subprocess.CompletedProcess[str]:
    path = folder / "migration.sql"
    path.write_text(sql)
    command = [str(Path(sys.executable).with_name("squawk")), f"--exclude={','.join(EXCLUDED)}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def reflected() -> sa.MetaData:
    metadata = sa.MetaData()
    metadata.reflect(db.engine)
    return metadata


def constraints(table: sa.Table) -> set[str]:
    """What the rows of a table must fulfil, in words."""
    found = {f"{index.name} is unique" for index in table.indexes if index.unique}
    for constraint in table.constraints:
        columns = ", ".join(sorted(column.name for column in getattr(constraint, "columns", ())))
        found.add(f"{type(constraint).__name__} {columns} {getattr(constraint, 'sqltext', '')}")
    return found


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_the_version_before_writes_into_the_new_tables(empty: Flask, before: str, after: str) -> None:
    upgrade(revision=before)
    old = reflected()
    upgrade(revision=after)
    new = reflected()
    assert old.tables.keys() <= new.tables.keys()
    for name, table in old.tables.items():
        there = new.tables[name]
        assert table.c.keys() <= there.c.keys(), f"{name} lost a column"
        for column in there.c:
            known = table.c.get(column.name)
            if known is None:
                assert column.nullable or column.server_default, f"{name}.{column.name} must be filled"
            else:
                assert str(known.type) == str(column.type), f"{name}.{column.name} has another type"
                assert column.nullable or not known.nullable, f"{name}.{column.name} must be filled now"
        assert constraints(there) <= constraints(table), f"{name} takes less than before"


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("before", "after"), STEPS)
def test_a_migration_keeps_nobody_waiting(
    empty: Flask, statements: list[str], tmp_path: Path, before: str, after: str
) -> None:
    upgrade(revision=before)
    statements.clear()
    upgrade(revision=after)
    assert statements
    done = squawk(tmp_path, ";\n".join([*statements, ""]))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE tasks DROP COLUMN title;", "ban-drop-column"),
        ("ALTER TABLE tasks ADD COLUMN depth int8 NOT NULL;", "adding-required-field"),
        ("ALTER TABLE tasks RENAME COLUMN title TO name;", "renaming-column"),
        ("CREATE INDEX ix ON tasks (title);", "require-concurrent-index-creation"),
        ("ALTER TABLE tasks ALTER COLUMN version TYPE int8;", "changing-column-type"),
    ],
)
def test_what_would_hurt_is_found(tmp_path: Path, sql: str, rule: str) -> None:
    done = squawk(tmp_path, sql)
    assert done.returncode != 0
    assert rule in done.stdout


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
def test_a_migration_that_gets_no_lock_lets_the_others_go_first(
    empty: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", (0.1, 0.1))
    monkeypatch.setattr(patience, "ATTEMPTS", 300)
    upgrade(revision="0006")
    # Who would wait for the report to end fails instead.
    reader = sa.create_engine(db.engine.url, connect_args={"options": "-c lock_timeout=10s"})
    with ThreadPoolExecutor() as pool, reader.connect() as slow, capture_logs() as lines:
        # A report that takes its time, and somebody who writes while the migration wants its lock.
        slow.execute(sa.text("SELECT 1 FROM schedules"))
        migration = pool.submit(_upgrade, empty)
        wait_until(lambda: "migration.waits_for_lock" in {line["event"] for line in lines}, seconds=30)
        waits: list[float] = []
        measured_until = time.monotonic() + 1.5
        while time.monotonic() < measured_until:
            begun = time.monotonic()
            with reader.begin() as quick:
                quick.execute(sa.text("UPDATE schedules SET version = version"))
            waits.append(time.monotonic() - begun)
        assert not migration.done()
        slow.rollback()
        migration.result(timeout=30)
    reader.dispose()
    assert len(waits) > 1
    assert statistics.median(waits) < 1.0
    assert max(waits) < 5.0
    assert reflected().tables.keys() >= {"audit_heads"}


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
def test_a_migration_that_never_gets_its_lock_ends_with_one_line_and_changes_nothing(
    empty: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", (0.05, 0.05))
    monkeypatch.setattr(patience, "ATTEMPTS", 3)
    upgrade(revision="0006")
    with db.engine.connect() as stuck:
        stuck.execute(sa.text("SELECT 1 FROM schedules"))
        with pytest.raises(click.ClickException) as ended:
            _upgrade(empty)
    assert "\n" not in ended.value.format_message()
    assert "audit_heads" not in reflected().tables


def _upgrade(app: Flask) -> None:
    with app.app_context():
        upgrade(revision="0007")
