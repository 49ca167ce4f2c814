"""A statement on PostgreSQL by its driver alone: what SQLAlchemy does around it takes as long as it does."""

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import PoolProxiedConnection

from taskapi.core.compiled import Build, numbered
from taskapi.core.engine import RESTED_SECONDS, doubt_connections
from taskapi.core.prepared import as_of_engine, run


def read_at_once(
    engine: sa.Engine, build: Build, shape: tuple[Hashable, ...], values: Mapping[str, Any]
) -> Sequence[tuple[Any, ...]]:
    """The rows of ``build(*shape)`` on a connection of the engine's pool, without a transaction.

    Raises:
        sqlalchemy.exc.DBAPIError: as the engine raises it; a connection that broke is thrown away.
    """
    held = HeldConnection(engine)
    try:
        return held.rows(build, shape, values)
    finally:
        held.give_back()


class HeldConnection:
    """A connection for one statement after the other, each a transaction by itself; for one thread.

    It is taken out of the engine's pool when it is first needed, and again after it was given back.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._borrowed: PoolProxiedConnection | None = None
        self._used_at = 0.0

    def rows(
        self, build: Build, shape: tuple[Hashable, ...], values: Mapping[str, Any]
    ) -> Sequence[tuple[Any, ...]]:
        """The rows of ``build(*shape)``.

        Raises:
            sqlalchemy.exc.DBAPIError: as the engine raises it; the connection is thrown away.
        """
        statement = numbered(self.engine.dialect, build, shape)
        if self._borrowed is not None and time.monotonic() - self._used_at > RESTED_SECONDS:
            self._ask_whether_it_stands(self._borrowed)
        borrowed = self._borrowed or self._borrow(statement.text)
        try:
            return run(self.engine, borrowed, statement.text, statement.values(values))
        except BaseException as error:
            # An answer that was not read would be taken for that to the next statement.
            is_broken = self._throw_away(error, borrowed)
            if isinstance(error, psycopg.Error):
                raise as_of_engine(self.engine, statement.text, error, is_broken) from error
            raise
        finally:
            self._used_at = time.monotonic()

    def give_back(self) -> None:
        """Let others have the connection."""
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is not None:
            borrowed.close()

    def _borrow(self, text: str) -> PoolProxiedConnection:
        try:
            borrowed = self.engine.raw_connection()
        except psycopg.Error as error:
            raise as_of_engine(self.engine, text, error) from error
        self._borrowed = borrowed
        return borrowed

    def _ask_whether_it_stands(self, borrowed: PoolProxiedConnection) -> None:
        """As the pool asks those that rested; another takes the place of one that does not."""
        driver: Any = borrowed.driver_connection
        try:
            self.engine.dialect.do_ping(driver)
        except psycopg.Error as error:
            self._throw_away(error, borrowed)

    def _throw_away(self, error: Any, borrowed: PoolProxiedConnection) -> bool:
        """Whether it was broken."""
        is_broken = self.engine.dialect.is_disconnect(error, borrowed.driver_connection, None)
        self._borrowed = None
        borrowed.invalidate()
        borrowed.close()
        if is_broken:
            doubt_connections()
        return is_broken
