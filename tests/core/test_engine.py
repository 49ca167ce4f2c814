"""What every connection is told."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import engine
from taskapi.core.db import db, session

on_postgresql = pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)


@on_postgresql
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TimeZone", "UTC"),
        ("statement_timeout", "30s"),
        # A stopped process must not keep its locks: others wait for them.
        ("idle_in_transaction_session_timeout", "10s"),
    ],
)
def test_postgresql_is_told_its_limits(context: Flask, setting: str, value: str) -> None:
    assert session().scalar(sa.text(f"SHOW {setting}")) == value


@on_postgresql
@pytest.mark.parametrize(("rested", "is_asked"), [(0.5, False), (1.5, True)])
def test_only_a_connection_that_rested_is_asked_whether_it_still_stands(
    context: Flask, monkeypatch: pytest.MonkeyPatch, rested: float, is_asked: bool
) -> None:
    asked: list[object] = []

    def note(connection: object) -> bool:
        asked.append(connection)
        return True

    monkeypatch.setattr(db.engine.dialect, "do_ping", note)
    monkeypatch.setattr(engine, "_broke_at", 0.0)
    db.engine.dispose()
    with db.engine.connect() as connection:
        record = connection.connection._connection_record
    record.info[engine.RETURNED] -= rested
    with db.engine.connect():
        assert len(asked) == is_asked


@on_postgresql
def test_once_one_broke_the_others_are_asked_however_shortly_they_rested(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def note(connection: object) -> bool:
        asked.append(connection)
        return True

    monkeypatch.setattr(engine, "_broke_at", 0.0)
    db.engine.dispose()
    monkeypatch.setattr(db.engine.dialect, "do_ping", note)
    with db.engine.connect():
        pass
    engine.doubt_connections()
    for _ in range(2):
        with db.engine.connect():
            pass
    assert len(asked) == 1


def test_an_error_of_the_database_does_not_show_what_was_written(context: Flask) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        session().execute(sa.text("INSERT INTO nowhere VALUES (:password)"), {"password": "hunter two"})
    assert "hunter two" not in str(caught.value)


PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%looked for%'"


@pytest.fixture
def own_engine(context: Flask) -> Iterator[sa.Engine]:
    """An engine of its own, as a web process has it."""
    made = sa.create_engine(db.engine.url)
    engine.prepare_engine(made)
    yield made
    made.dispose()


def look_and_roll_back(connection: sa.Connection) -> None:
    # After so many times the driver has a statement prepared.
    for _ in range(7):
        connection.execute(sa.text("SELECT 'looked for'"))
        connection.rollback()


@on_postgresql
def test_what_a_worker_repeats_is_prepared_and_outlasts_a_rollback(own_engine: sa.Engine) -> None:
    engine.prepare_repeated(own_engine)
    with own_engine.connect() as connection:
        look_and_roll_back(connection)
        assert connection.scalar(sa.text(PREPARED)) == 1


@on_postgresql
def test_what_people_ask_again_is_planned_for_what_they_ask(own_engine: sa.Engine) -> None:
    with own_engine.connect() as connection:
        look_and_roll_back(connection)
        assert connection.scalar(sa.text(PREPARED)) == 0


@on_postgresql
def test_a_rollback_that_keeps_statements_undoes_what_failed(own_engine: sa.Engine) -> None:
    with own_engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE things (number integer)")
        connection.commit()
        connection.exec_driver_sql("INSERT INTO things VALUES (1)")
        with pytest.raises(sa.exc.DataError):
            connection.exec_driver_sql("INSERT INTO things VALUES (1 / 0)")
        connection.rollback()
        assert connection.scalar(sa.text("SELECT count(*) FROM things")) == 0


@on_postgresql
def test_a_connection_that_broke_before_its_rollback_is_not_used_again(own_engine: sa.Engine) -> None:
    with own_engine.connect() as connection:
        process = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with db.engine.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:process)"), {"process": process})
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT 1"))
        connection.rollback()
        assert connection.scalar(sa.text("SELECT pg_backend_pid()")) != process
