"""A PostgreSQL that keeps its connections open and says nothing any more."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import connections
from taskapi.core.connections import Connection, waiting_for_ever
from taskapi.core.db import db, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.prepared import prepared
from taskapi.core.repeating import is_of_the_server, repeatable

pytestmark = pytest.mark.one_database("postgresql")
PATIENCE_SECONDS = 0.3
# Far more than that, and far less than for ever.
SOON_SECONDS = 5.0


def ask(connection: sa.Connection) -> object:
    return connection.execute(sa.text("SELECT 1"))


def ask_what_is_prepared(connection: sa.Connection) -> object:
    return prepared(cast(Any, connection.connection)).rows("SELECT 1", [])


def send_much(connection: sa.Connection) -> object:
    # More than a socket takes from us while nobody reads.
    return prepared(cast(Any, connection.connection)).rows("SELECT length($1)", ["x" * 20_000_000])


@contextmanager
def standing_still(connection: sa.Connection) -> Iterator[None]:
    """The server's process of a connection is stopped meanwhile, and the connection has little patience."""
    process = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    driver_of(connection).longest_wait = PATIENCE_SECONDS
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def driver_of(connection: sa.Connection) -> Connection:
    return cast(Connection, connection.connection.driver_connection)


@pytest.fixture
def connection(context: Flask) -> Iterator[sa.Connection]:
    with db.engine.connect() as opened:
        yield opened
        # Who speaks to the driver tells nobody what became of it.
        opened.invalidate()


@pytest.mark.parametrize(
    "say", [ask, ask_what_is_prepared, send_much, sa.Connection.commit, sa.Connection.rollback]
)
def test_it_is_given_up_after_a_while(
    connection: sa.Connection, say: Callable[[sa.Connection], object]
) -> None:
    with standing_still(connection):
        driver, began = driver_of(connection), time.monotonic()
        with pytest.raises(Exception, match=r"gave no answer within 0\.3 s"):
            say(connection)
    assert PATIENCE_SECONDS <= time.monotonic() - began < SOON_SECONDS
    assert driver.closed


def test_what_it_did_not_say_at_a_commit_is_unknown_and_others_go_on(context: Flask) -> None:
    with ExitStack() as stack, pytest.raises(OutcomeUnknown), transaction():
        stack.enter_context(standing_still(session().connection()))
    assert session().scalar(sa.text("SELECT 1")) == 1


def test_a_session_that_asked_in_vain_asks_another_server_next(context: Flask) -> None:
    with standing_still(session().connection()), pytest.raises(sa.exc.OperationalError):
        ask(session().connection())
    session().rollback()
    assert session().scalar(sa.text("SELECT 1")) == 1


def test_what_got_no_answer_is_not_asked_again(context: Flask) -> None:
    asked = list[int]()

    @repeatable
    def ask_in_vain() -> None:
        asked.append(1)
        with standing_still(session().connection()):
            ask(session().connection())

    with pytest.raises(sa.exc.OperationalError) as raised:
        ask_in_vain()
    session().rollback()
    assert (len(asked), is_of_the_server(raised.value)) == (1, True)


def test_an_answer_may_take_as_long_as_the_server_is_told_to_work(context: Flask) -> None:
    assert connections.LONGEST_WAIT_SECONDS * 1000 > connections.STATEMENT_TIMEOUT_MS
    with db.engine.connect() as connection:
        assert driver_of(connection).longest_wait == connections.LONGEST_WAIT_SECONDS
        with waiting_for_ever(connection):
            assert driver_of(connection).longest_wait is None
            ask(connection)
            ask_what_is_prepared(connection)
        assert driver_of(connection).longest_wait == connections.LONGEST_WAIT_SECONDS
