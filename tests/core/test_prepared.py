"""Statements that PostgreSQL keeps prepared."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from sqlalchemy.pool import PoolProxiedConnection

from taskapi.core import prepared as preparing
from taskapi.core.db import db
from taskapi.core.prepared import Prepared, prepared

pytestmark = pytest.mark.one_database("postgresql")
NAMES = "SELECT statement FROM pg_prepared_statements WHERE name LIKE 'taskapi%' ORDER BY prepare_time"


@pytest.fixture
def borrowed(app: Flask) -> Iterator[PoolProxiedConnection]:
    with app.app_context():
        connection = db.engine.raw_connection()
        yield connection
        connection.invalidate()
        connection.close()


@pytest.fixture
def line(borrowed: PoolProxiedConnection) -> Prepared:
    return prepared(borrowed)


def driver_of(borrowed: PoolProxiedConnection) -> "psycopg.Connection[Any]":
    driver = cast("psycopg.Connection[Any]", borrowed.driver_connection)
    driver.autocommit = True
    return driver


def prepared_texts(borrowed: PoolProxiedConnection) -> list[str]:
    return [text for (text,) in driver_of(borrowed).execute(NAMES).fetchall()]


def test_what_is_given_comes_back_as_the_driver_knows_it(line: Prepared) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
    values = [7, "täxt 'quoted' \\ and\nmore", moment, UUID(int=5), True, None, b"\x00\xff", [1, 2], 1.5]
    kinds = ["int", "text", "timestamptz", "uuid", "bool", "text", "bytea", "int[]", "float8"]
    columns = ", ".join(f"${number}::{kind}" for number, kind in enumerate(kinds, 1))
    assert line.rows(f"SELECT {columns}", values) == [tuple(values)]


def test_numbers_of_any_size_go_to_the_same_statement(line: Prepared) -> None:
    for number in (1, 40_000, 2**40, None):
        assert line.rows("SELECT $1::bigint", [number]) == [(number,)]


def test_a_statement_is_prepared_once(borrowed: PoolProxiedConnection, line: Prepared) -> None:
    for number in range(3):
        assert line.rows("SELECT $1::int", [number]) == [(number,)]
    assert prepared(borrowed) is line
    assert prepared_texts(borrowed) == ["SELECT $1::int"]


def test_those_used_last_are_kept(
    borrowed: PoolProxiedConnection, line: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "KEPT", 2)
    for text in ("SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3"):
        line.rows(text, [])
    assert prepared_texts(borrowed) == ["SELECT 1", "SELECT 3"]


def test_a_statement_that_gives_no_rows_has_none(line: Prepared) -> None:
    assert line.rows("SET LOCAL work_mem = '4MB'", []) == []


def test_what_somebody_else_forgot_is_prepared_again(borrowed: PoolProxiedConnection, line: Prepared) -> None:
    assert line.rows("SELECT $1::int", [1]) == [(1,)]
    driver_of(borrowed).execute("DEALLOCATE ALL")
    assert line.rows("SELECT $1::int", [2]) == [(2,)]


def test_a_table_that_changed_its_shape_is_read_anew(borrowed: PoolProxiedConnection, line: Prepared) -> None:
    driver = driver_of(borrowed)
    driver.execute("CREATE TEMPORARY TABLE shapes AS SELECT 1 AS a")
    assert line.rows("SELECT * FROM shapes", []) == [(1,)]
    driver.execute("ALTER TABLE shapes ADD COLUMN b integer DEFAULT 2")
    assert line.rows("SELECT * FROM shapes", []) == [(1, 2)]


def test_in_a_transaction_that_failed_nothing_is_said_again(
    borrowed: PoolProxiedConnection, line: Prepared
) -> None:
    driver = driver_of(borrowed)
    line.rows("SELECT 1", [])
    driver.execute("BEGIN")
    driver.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        line.rows("SELECT 1", [])
    driver.execute("ROLLBACK")


def test_a_refusal_says_why_and_spoils_nothing(line: Prepared) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        line.rows("SELECT 1 / $1::int", [0])
    with pytest.raises(psycopg.errors.UndefinedTable):
        line.rows("SELECT * FROM nowhere", [])
    assert line.rows("SELECT 1 / $1::int", [1]) == [(1,)]


LATE = """
    CREATE TEMPORARY TABLE late (id int);
    CREATE FUNCTION pg_temp.judge_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION pg_temp.judge_late();
"""
INSERT_LATE = "INSERT INTO late VALUES (1) RETURNING id"


def test_rows_whose_commit_was_refused_are_none(borrowed: PoolProxiedConnection, line: Prepared) -> None:
    driver = driver_of(borrowed)
    driver.execute(LATE.format("RAISE unique_violation;"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        line.rows(INSERT_LATE, [])
    assert line.rows("SELECT count(*) FROM late", []) == [(0,)]


def test_rows_whose_connection_broke_before_their_commit_are_none(
    borrowed: PoolProxiedConnection, line: Prepared
) -> None:
    driver = driver_of(borrowed)
    driver.execute(LATE.format("PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);"))
    with pytest.raises(psycopg.OperationalError):
        line.rows(INSERT_LATE, [])
    assert driver_is_closed(borrowed)


def test_more_than_a_socket_takes_at_once_goes_both_ways(line: Prepared) -> None:
    text = "x" * 20_000_000
    assert line.rows("SELECT length($1::text), $1::text", [text]) == [(len(text), text)]


def test_a_connection_that_broke_says_so(app: Flask, borrowed: PoolProxiedConnection, line: Prepared) -> None:
    ((process,),) = line.rows("SELECT pg_backend_pid()", [])
    with psycopg.connect(db.engine.url.render_as_string(False).replace("+psycopg", "")) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [process])
    with pytest.raises(psycopg.OperationalError):
        line.rows("SELECT 1", [])
    assert driver_is_closed(borrowed)


def driver_is_closed(borrowed: PoolProxiedConnection) -> bool:
    driver: Any = borrowed.driver_connection
    return bool(driver.closed)
