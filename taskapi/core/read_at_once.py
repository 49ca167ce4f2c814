"""A statement on PostgreSQL by its driver alone: what SQLAlchemy does around it takes as long as it does."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from taskapi.core.compiled import Build, numbered
from taskapi.core.engine import doubt_connections

# As the engine's own (``LOG_SQL``).
log = logging.getLogger("sqlalchemy.engine.Engine")


def read_at_once(
    engine: sa.Engine, build: Build, shape: tuple[Hashable, ...], values: Mapping[str, Any]
) -> Sequence[tuple[Any, ...]]:
    """The rows of ``build(*shape)`` on a connection of the engine's pool, without a transaction.

    Raises:
        sqlalchemy.exc.DBAPIError: as the engine raises it; a connection that broke is thrown away.
    """
    statement = numbered(engine.dialect, build, shape)
    try:
        borrowed = engine.raw_connection()
    except psycopg.Error as error:
        raise _translated(engine, statement.text, error) from error
    try:
        return _fetch(engine, borrowed.driver_connection, statement.text, statement.values(values))
    except BaseException as error:
        # What autocommits must not come to those who expect a transaction.
        is_broken = _is_broken(engine, error, borrowed.driver_connection)
        borrowed.invalidate()
        if is_broken:
            doubt_connections()
        if isinstance(error, psycopg.Error):
            raise _translated(engine, statement.text, error, is_broken) from error
        raise
    finally:
        borrowed.close()


def _is_broken(engine: sa.Engine, error: Any, driver: Any) -> bool:
    return engine.dialect.is_disconnect(error, driver, None)


def _fetch(engine: sa.Engine, driver: Any, text: str, values: list[Any]) -> list[tuple[Any, ...]]:
    log.info(text)
    driver.autocommit = True
    cursor = psycopg.RawCursor(driver)
    # Whoever watches what the engine sends sees this, too.
    for watch in engine.dispatch.before_cursor_execute:
        watch(None, cursor, text, values, None, False)
    # It is sent again and again: PostgreSQL parses it once on each connection.
    rows = cursor.execute(text, values, prepare=True).fetchall()
    driver.autocommit = False
    return rows


def _translated(engine: sa.Engine, text: str, error: psycopg.Error, is_broken: bool = False) -> BaseException:
    told: dict[str, Any] = {
        "hide_parameters": True,
        "connection_invalidated": is_broken,
        "dialect": engine.dialect,
    }
    translated: BaseException = DBAPIError.instance(text, None, error, psycopg.Error, **told)
    return translated
