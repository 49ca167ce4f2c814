"""``repeatable``: what the database asks to try again is tried again, once."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from taskapi.core.db import db, session, transaction
from taskapi.core.errors import Conflict, OutcomeUnknown
from taskapi.core.repeating import (
    has_lost_transaction,
    has_taken_too_long,
    is_of_the_server,
    name_of,
    repeatable,
)
from tests.core.conftest import read_number, write_number

Work = Callable[[int], None]


def attempts_of(work: Work) -> Callable[[], int]:
    """A repeatable function that does ``work(attempt)`` in a transaction; it gives the attempts made."""
    made = [0]

    @repeatable
    def function() -> int:
        made[0] += 1
        with transaction():
            work(made[0])
        return made[0]

    return function


def elsewhere(statement: str, **values: int) -> None:
    """Do something on another connection, and commit it."""
    with db.engine.begin() as connection:
        connection.execute(sa.text(statement), values)


def lose_the_connection() -> None:
    pid = session().scalar(sa.text("SELECT pg_backend_pid()"))
    elsewhere("SELECT pg_terminate_backend(:pid)", pid=pid)


def collide_on_serialization(attempt: int) -> None:
    session().execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    session().execute(sa.text("SELECT * FROM probe"))
    if attempt == 1:
        elsewhere("UPDATE probe SET value = 20 WHERE key = 1")
    session().execute(sa.text("UPDATE probe SET value = value + 1 WHERE key = 1"))


def test_a_serialization_failure_is_repeated(on_postgresql: Flask) -> None:
    with transaction():
        write_number(1, 10)
    assert attempts_of(collide_on_serialization)() == 2
    assert read_number(1) == 21


def test_of_two_that_lock_each_other_out_both_succeed(on_postgresql: Flask) -> None:
    with transaction():
        write_number(1, 0)
        write_number(2, 0)
    both_hold_one = threading.Barrier(2, timeout=10)

    def add_to_both(first: int, second: int) -> int:
        def work(attempt: int) -> None:
            for key in (first, second):
                session().execute(
                    sa.text("UPDATE probe SET value = value + 1 WHERE key = :key"), {"key": key}
                )
                if attempt == 1 and key == first:
                    both_hold_one.wait()

        with on_postgresql.app_context():
            return attempts_of(work)()

    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(add_to_both, (1, 2), (2, 1)))
    assert sorted(made) == [1, 2]
    assert (read_number(1), read_number(2)) == (2, 2)


def test_a_dropped_connection_is_repeated(on_postgresql: Flask) -> None:
    def work(attempt: int) -> None:
        if attempt == 1:
            lose_the_connection()
        write_number(1, attempt)

    assert attempts_of(work)() == 2
    assert read_number(1) == 2


def test_a_read_outside_of_a_transaction_is_repeated_too(on_postgresql: Flask) -> None:
    made: list[int] = []

    @repeatable
    def read() -> int | None:
        made.append(1)
        if len(made) == 1:
            lose_the_connection()
        answer: int | None = session().scalar(sa.text("SELECT 1"))
        return answer

    assert read() == 1
    assert len(made) == 2


def test_a_commit_whose_outcome_is_unknown_is_never_repeated(on_postgresql: Flask) -> None:
    made: list[int] = []

    def work(attempt: int) -> None:
        made.append(attempt)
        write_number(1, attempt)
        lose_the_connection()

    with pytest.raises(OutcomeUnknown):
        attempts_of(work)()
    assert made == [1]


def test_what_fails_twice_is_given_up(on_postgresql: Flask) -> None:
    made: list[int] = []

    def work(attempt: int) -> None:
        made.append(attempt)
        lose_the_connection()
        write_number(1, attempt)

    with pytest.raises(OperationalError):
        attempts_of(work)()
    assert made == [1, 2]


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "INSERT INTO probe (key) VALUES (1), (1)"])
def test_an_error_that_would_come_again_is_not_repeated(probe: Flask, statement: str) -> None:
    made: list[int] = []

    def work(attempt: int) -> None:
        made.append(attempt)
        session().execute(sa.text(statement))

    with pytest.raises(sa.exc.DBAPIError):
        attempts_of(work)()
    assert made == [1]


def test_a_refusal_is_not_repeated(probe: Flask) -> None:
    made: list[int] = []

    def work(attempt: int) -> None:
        made.append(attempt)
        raise Conflict

    with pytest.raises(Conflict):
        attempts_of(work)()
    assert made == [1]


def test_inside_of_a_transaction_the_outermost_repeats(on_postgresql: Flask) -> None:
    with transaction():
        write_number(1, 10)
    inner: list[int] = []

    def work(attempt: int) -> None:
        @repeatable
        def joined() -> None:
            inner.append(attempt)
            collide_on_serialization(attempt)

        joined()

    assert attempts_of(work)() == 2
    assert inner == [1, 2]


def test_a_commit_that_the_database_refuses_is_not_unknown(on_postgresql: Flask) -> None:
    elsewhere("ALTER TABLE probe ADD CONSTRAINT later UNIQUE (value) DEFERRABLE INITIALLY DEFERRED")

    def work(attempt: int) -> None:
        write_number(1, 10)
        write_number(2, 10)

    with pytest.raises(IntegrityError):
        attempts_of(work)()
    assert (read_number(1), read_number(2)) == (None, None)


@pytest.mark.parametrize(
    ("statement", "is_lost"),
    [
        ("SAVEPOINT sa_savepoint_1", True),
        ("RELEASE SAVEPOINT sa_savepoint_1", True),
        ("ROLLBACK TO SAVEPOINT sa_savepoint_1", True),
        ("SELECT 'SAVEPOINT sa_savepoint_1'", False),
        (None, False),
    ],
)
def test_a_transaction_is_lost_with_its_savepoint_and_not_with_another_statement(
    statement: str | None, is_lost: bool
) -> None:
    error = DBAPIError(statement, {}, Exception("canceling statement due to statement timeout"))
    assert has_lost_transaction(error) is is_lost
    gone = DBAPIError(statement, {}, Exception("closed"), connection_invalidated=True)
    assert has_lost_transaction(gone)
    assert not has_lost_transaction(ValueError(statement))


def refused(code: str) -> DBAPIError:
    """What a statement of PostgreSQL's raises that ends with this SQLSTATE."""
    return DBAPIError("INSERT", {}, psycopg.errors.lookup(code)("refused"))


def refused_by_sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return DBAPIError("INSERT", {}, error)


@pytest.mark.parametrize("code", ["53100", "53200", "53300", "58030", "57P01", "57P02", "57P03"])
def test_what_the_server_lacks_says_nothing_of_the_work(code: str) -> None:
    assert is_of_the_server(refused(code))
    assert not has_taken_too_long(refused(code))


@pytest.mark.parametrize("code", ["57014", "55P03"])
def test_a_limit_on_time_is_told_from_a_fault(code: str) -> None:
    assert has_taken_too_long(refused(code))
    assert not is_of_the_server(refused(code))


@pytest.mark.parametrize("code", ["23505", "23514", "22003", "42P01", "40001"])
def test_what_is_wrong_with_the_work_is_neither(code: str) -> None:
    assert not is_of_the_server(refused(code))
    assert not has_taken_too_long(refused(code))


@pytest.mark.parametrize(
    ("code", "of_the_server", "too_long"),
    [
        (sqlite3.SQLITE_FULL, True, False),
        (sqlite3.SQLITE_IOERR_WRITE, True, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, False, True),
        (sqlite3.SQLITE_LOCKED, False, True),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, False, False),
    ],
)
def test_sqlite_tells_them_apart_by_its_codes(code: int, of_the_server: bool, too_long: bool) -> None:
    error = refused_by_sqlite(code)
    assert (is_of_the_server(error), has_taken_too_long(error)) == (of_the_server, too_long)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            sa.exc.InternalError("COMMIT", None, psycopg.errors.IdleInTransactionSessionTimeout()),
            "psycopg.errors.IdleInTransactionSessionTimeout",
        ),
        (sa.exc.TimeoutError("QueuePool limit"), "sqlalchemy.exc.TimeoutError"),
        (OutcomeUnknown(), "taskapi.core.errors.OutcomeUnknown"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_line_names_what_failed_like_nothing_else(error: Exception, name: str) -> None:
    assert name_of(error) == name
