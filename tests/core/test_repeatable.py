"""``repeatable``: what the database asks to try again is tried again, once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from taskapi.core.db import db, session, transaction
from taskapi.core.errors import Conflict, OutcomeUnknown
from taskapi.core.repeating import has_lost_transaction, repeatable
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
