"""Statements that PostgreSQL keeps prepared, sent by its own library: half of what a cursor costs.

Who uses a connection so is alone with it. Outside of a transaction each statement is one by itself.
"""

import itertools
import logging
import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg import errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from taskapi.core.connections import Connection

# As the engine's own (``LOG_SQL``).
log = logging.getLogger("sqlalchemy.engine.Engine")
KEY = "taskapi_prepared"
# As many a connection keeps, as its driver would: each takes PostgreSQL some ten kilobytes.
KEPT = 100
# So long an interrupted statement is asked to stop.
CANCEL_SECONDS = 2.0
FULFILLED = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
# Somebody said DEALLOCATE or changed a table: what was prepared is of no use any more.
OUTDATED = (errors.InvalidSqlStatementName, errors.FeatureNotSupported)


def run(
    engine: sa.Engine, borrowed: PoolProxiedConnection, text: str, values: list[Any]
) -> list[tuple[Any, ...]]:
    """The rows of a statement on a connection of the engine's pool, see ``Prepared.rows``."""
    log.info(text)
    # Whoever watches what the engine sends sees this, too.
    for watch in engine.dispatch.before_cursor_execute:
        watch(None, None, text, values, None, False)
    return prepared(borrowed).rows(text, values)


def as_of_engine(
    engine: sa.Engine, text: str, error: psycopg.Error, is_broken: bool = False
) -> BaseException:
    """The driver's error as the engine raises it."""
    told: dict[str, Any] = {
        "hide_parameters": True,
        "connection_invalidated": is_broken,
        "dialect": engine.dialect,
    }
    translated: BaseException = DBAPIError.instance(text, None, error, psycopg.Error, **told)
    return translated


def prepared(borrowed: PoolProxiedConnection) -> "Prepared":
    """What a connection of the engine's pool has prepared."""
    found: Prepared | None = borrowed.info.get(KEY)
    if found is None:
        driver = cast(Connection, borrowed.driver_connection)
        found = borrowed.info[KEY] = Prepared(driver)
    return found


class Prepared:
    """The statements that a connection has prepared, by their text; those used last are kept."""

    def __init__(self, driver: Connection) -> None:
        self._driver, self._pgconn = driver, driver.pgconn
        self._encoding = driver.info.encoding
        self._transformer = Transformer(driver)
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count()
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)

    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement whose parameters have numbers; none of one that gives none.

        Raises:
            psycopg.Error
        """
        try:
            return self._run_again_if_outdated(text, values)
        finally:
            if self._pgconn.transaction_status == TransactionStatus.ACTIVE:
                # Interrupted, but said whole: PostgreSQL would do it, whoever listens.
                with suppress(psycopg.Error):
                    self._driver.cancel_safe(timeout=CANCEL_SECONDS)

    def _run_again_if_outdated(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._run(text, values)
        except OUTDATED:
            if self._pgconn.transaction_status != TransactionStatus.IDLE or not self._names:
                raise
        self._names.clear()
        return self._run(text, values)

    def stands(self) -> bool:
        """Whether the connection is open as far as one can know without asking."""
        # Of one that the other side has closed there is always something to read.
        while self._poll.poll(0):
            try:
                self._pgconn.consume_input()
            except psycopg.OperationalError:
                return False
        return self._pgconn.status == ConnStatus.OK

    def _run(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        name = self._names.pop(text, None) or self._prepare(text)
        # The one used last stands last.
        self._names[text] = name
        given = self._transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
        self._pgconn.send_query_prepared(name, given)
        result = self._result()
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _prepare(self, text: str) -> bytes:
        while len(self._names) >= KEPT:
            oldest = self._names.pop(next(iter(self._names)))
            self._pgconn.send_query(b"DEALLOCATE " + oldest)
            self._result()
        name = b"taskapi_%d" % next(self._numbers)
        self._pgconn.send_prepare(name, text.encode(self._encoding))
        self._result()
        return name

    def _result(self) -> PGresult:
        """What PostgreSQL answers, all of it: outside of a transaction rows come before their commit does.

        Signals come through meanwhile.

        Raises:
            psycopg.Error
        """
        self._send()
        results = list(iter(self._next_result, None))
        if not results:
            raise psycopg.OperationalError("the database gave no answer")
        for result in results:
            if result.status not in FULFILLED:
                raise errors.error_from_result(result, self._encoding)
        return results[0]

    def _next_result(self) -> PGresult | None:
        while self._pgconn.is_busy():
            self._wait(self._poll)
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _wait(self, poll: select.poll) -> None:
        if not poll.poll(self._driver.longest_wait_ms):
            raise self._driver.given_up()

    def _send(self) -> None:
        """Send what the socket does not take at once."""
        if not self._pgconn.flush():
            return
        both = select.poll()
        both.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)
        while self._pgconn.flush():
            self._wait(both)
            self._pgconn.consume_input()
