"""Work that is done once more when the database asks for it."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from taskapi.core.db import db, in_transaction

P = ParamSpec("P")
R = TypeVar("R")
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
REPEAT_PAUSE_SECONDS = (0.02, 0.06)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same work may succeed at once: serialization failure, deadlock, dropped connection."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or sqlstate in (SERIALIZATION_FAILURE, DEADLOCK)


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
