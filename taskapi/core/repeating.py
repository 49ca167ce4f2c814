"""Work that is done again when the database asks for it, or is away."""

import random
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError

from taskapi.core.db import db, in_transaction
from taskapi.core.errors import OutcomeUnknown

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
DISK_FULL, DISK_ERROR = "53100", "58030"
# Of a code of SQLite's the lowest byte is the kind of error.
KIND_OF_ERROR = 0xFF
REPEAT_PAUSE_SECONDS = (0.02, 0.06)
OF_A_SAVEPOINT = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same work may succeed at once: serialization failure, deadlock, dropped connection."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or sqlstate in (SERIALIZATION_FAILURE, DEADLOCK)


def has_lost_transaction(error: Exception) -> bool:
    """Whether nothing more can be done in the transaction: its connection is gone, or a savepoint failed.

    Then nothing goes back to it, and PostgreSQL takes no other statement.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or (error.statement or "").startswith(OF_A_SAVEPOINT)


def is_of_the_disk(error: DBAPIError) -> bool:
    """Whether the database's disk is full or broken: the same would happen to any other work."""
    if isinstance(error.orig, sqlite3.Error):
        kind = getattr(error.orig, "sqlite_errorcode", 0) & KIND_OF_ERROR
        return kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return getattr(error.orig, "sqlstate", None) in (DISK_FULL, DISK_ERROR)


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
            log.warning("database.waited_for", what=what, error=type(error).__name__, **told)
            db.session.remove()
            time.sleep(pause)
