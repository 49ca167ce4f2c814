"""Work that is done again when the database asks for it, or is away."""

import random
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError

from taskapi.core.connections import NoAnswer
from taskapi.core.db import db, in_transaction
from taskapi.core.errors import OutcomeUnknown

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
QUERY_CANCELED, LOCK_NOT_AVAILABLE = "57014", "55P03"
# The classes of what is short, and of errors outside of PostgreSQL itself.
OF_THE_SERVER = ("53", "58")
OF_A_SHUTDOWN = ("57P01", "57P02", "57P03")
# Of a code of SQLite's the lowest byte is the kind of error.
KIND_OF_ERROR = 0xFF
REPEAT_PAUSE_SECONDS = (0.02, 0.06)
OF_A_SAVEPOINT = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same work may succeed at once: serialization failure, deadlock, dropped connection."""
    if isinstance(error.orig, NoAnswer):
        return False
    return error.connection_invalidated or _sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK)


def has_lost_transaction(error: Exception) -> bool:
    """Whether nothing more can be done in the transaction: its connection is gone, or a savepoint failed.

    Then nothing goes back to it, and PostgreSQL takes no other statement.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or (error.statement or "").startswith(OF_A_SAVEPOINT)


def is_of_the_server(error: DBAPIError) -> bool:
    """Whether its disk, its memory or somebody who stops it is at fault: so would any other work fail."""
    if isinstance(error.orig, sqlite3.Error):
        return _kind(error.orig) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    is_mute = isinstance(error.orig, NoAnswer)
    return is_mute or _sqlstate(error)[:2] in OF_THE_SERVER or _sqlstate(error) in OF_A_SHUTDOWN


def has_taken_too_long(error: DBAPIError) -> bool:
    """Whether a limit on time ended the statement, be it at its work or while it waited for a lock."""
    if isinstance(error.orig, sqlite3.Error):
        return _kind(error.orig) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return _sqlstate(error) in (QUERY_CANCELED, LOCK_NOT_AVAILABLE)


def name_of(error: BaseException) -> str:
    """What failed, as a line of the log names it; of the database's errors the driver's name says most."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__module__}.{type(cause).__qualname__}".removeprefix("builtins.")


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _kind(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & KIND_OF_ERROR


def repeatable(function: Callable[P, R]) -> Callable[P, R]:
    """Mark work whose only effects are in the database: a transient failure repeats it once.

    A commit whose outcome is unknown is never repeated.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DBAPIError as error:
            if in_transaction() or not is_transient(error):
                raise
        db.session.remove()
        # At once, the loser of a deadlock takes the same lock again before the winner wakes up.
        time.sleep(random.uniform(*REPEAT_PAUSE_SECONDS))  # noqa: S311
        return function(*args, **kwargs)

    return wrapper


def patiently(work: Callable[[], R], *, what: str, seconds: float, pause: float = 1.0, **told: str) -> R:
    """Do what may be done twice; while the database is away, again and again.

    Args:
        work: reads or writes the database, fenced: whether it was done already may be unknown.
        what: names the work in the log (`database.waited_for`); ``told`` are further fields of the line.
        seconds: of patience, from now on.
        pause: seconds between two attempts.

    Raises:
        OperationalError: it stayed away for too long; so may ``OutcomeUnknown``.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (OperationalError, OutcomeUnknown) as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("database.waited_for", what=what, error=name_of(error), **told)
            db.session.remove()
            time.sleep(pause)
