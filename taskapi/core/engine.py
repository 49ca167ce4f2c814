"""How the engine is built for each database, and how a process waits until it answers."""

import random
import sqlite3
import time
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from taskapi.config import Settings
from taskapi.core.connections import STATEMENT_TIMEOUT_MS, Connection

log = structlog.get_logger(__name__)

SQLITE_BUSY_SECONDS = 15
# A process that was stopped, or whose machine vanished, must not hold its locks for long: whoever waits for
# one to renew a lease, which is done each few seconds, must get it before the lease has run out.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
KEEPALIVES = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
}
# A connection that rested for longer is asked whether it still stands before it is used; one that
# broke sooner is noticed by what it is used for, and that is repeated (``core/db``).
RESTED_SECONDS = 1.0
RETURNED = "taskapi_returned"
# When this process last found one broken, by the monotonic clock.
_broke_at = 0.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0


def engine_options(settings: Settings) -> dict[str, Any]:
    """Arguments of ``create_engine`` for the database that the settings name."""
    # What people entrust to us must not stand in logs and error texts.
    common = {"hide_parameters": True}
    if settings.uses_sqlite:
        return {**common, "connect_args": {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}}
    return {
        **common,
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_max_overflow,
        # The last one used has its statements planned, and its memory warm.
        "pool_use_lifo": True,
        "connect_args": {"connect_timeout": 5, "application_name": settings.app_name, **KEEPALIVES},
    }


def prepare_engine(engine: sa.Engine) -> None:
    """Make every new connection of the engine behave as the application expects."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine.dialect.do_rollback = _roll_back  # type: ignore[method-assign, assignment]
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "checkin", _note_return)
        event.listen(engine, "checkout", partial(_ask_the_rested, engine.dialect))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not begin transactions by itself: it would take the write lock too
    # late, and a reader that turns into a writer fails at once instead of waiting.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("taskapi_reads", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("taskapi_writes", False) else "BEGIN")


def _connect(_dialect: sa.Dialect, _record: object, args: Any, params: Any) -> Connection:
    return Connection.connect(*args, **params)


def _prepare_postgresql(connection: Any, _record: object) -> None:
    before = connection.autocommit
    connection.autocommit = True
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_TIMEOUT_MS}")
    connection.autocommit = before
    # People ask for very much and very little by the same words: each plan fits what is asked. What is
    # prepared all the same says so (``core/prepared``).
    connection.prepare_threshold = None


def prepare_repeated(engine: sa.Engine) -> None:
    """Have the driver prepare what it is asked again and again, for a process that does the same all day.

    Call it before the first connection.
    """
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_the_second)


def _prepare_the_second(connection: Any, _record: object) -> None:
    connection.prepare_threshold = 1


def _roll_back(connection: Any) -> None:
    """Roll back, and go on with what was prepared.

    The driver forgets all of it then, as it may name a table that is gone again. Here no transaction
    makes tables; and who looks often and mostly finds nothing would plan every statement anew.
    """
    # The pool hands over its own wrapper.
    driver = getattr(connection, "driver_connection", connection)
    status = driver.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        return
    # After an error the driver does as usual: it may be a statement whose plan fits no more.
    if status == TransactionStatus.INTRANS:
        driver.pgconn.send_query(b"ROLLBACK")
        results = driver.wait(generators.execute(driver.pgconn))
        if [result.status for result in results] == [ExecStatus.COMMAND_OK]:
            return
    driver.rollback()


def _note_return(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[RETURNED] = time.monotonic()


def doubt_connections() -> None:
    """A connection was found broken: ask all that rest whether they still stand before they are used."""
    global _broke_at
    _broke_at = time.monotonic()


def _ask_the_rested(
    dialect: sa.Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    returned = record.info.get(RETURNED)
    if returned is None or returned > max(_broke_at, time.monotonic() - RESTED_SECONDS):
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        # The others are as old: the pool opens new ones.
        raise InvalidatePoolError from error


def wait_for_database(engine: sa.Engine, *, timeout: float) -> None:
    """Return once the database answers; tried with growing pauses for ``timeout`` seconds.

    Raises:
        sqlalchemy.exc.OperationalError: it did not answer in time.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
            return
        except sa.exc.OperationalError as error:
            if time.monotonic() + pause > deadline:
                raise
            log.warning(
                "database.waiting", error=str(error.orig).strip().splitlines()[0], pause=round(pause, 2)
            )
        # Jitter keeps the processes of one start from knocking at the same instant.
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
