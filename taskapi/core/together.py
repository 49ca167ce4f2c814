"""A transaction that only inserts, as one statement: PostgreSQL does all of it in one round trip.

What may wait does so until something else is asked of the database, which must see it, or until the
commit. Then one statement looks whether what was required holds and inserts all rows, and commits
by itself. On SQLite, to whom there are no round trips, nothing waits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import psycopg
import sqlalchemy as sa
from psycopg import errors
from psycopg.pq import TransactionStatus

from taskapi.core.compiled import Build, compiled, numbered
from taskapi.core.db import current_transaction, session
from taskapi.core.engine import doubt_connections
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.prepared import as_of_engine, prepared, run

Rows: TypeAlias = Sequence[Sequence[Any]]
Shape: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A statement with its parameters, see ``core/compiled``; they differ in name from other parts'."""

    build: Build
    shape: Shape
    values: Mapping[str, Any]

    @property
    def form(self) -> tuple[Build, Shape]:
        return self.build, self.shape


@dataclass(frozen=True, slots=True)
class Required(Part):
    """A statement that must find so many rows; else ``judge``, which is given those found, raises."""

    number: int
    judge: Callable[[Rows], object]


def insert_later(build: Build, *shape: Any, row: Mapping[str, Any]) -> None:
    """Insert a row, by a statement that no other row of the transaction may break."""
    _wait_or_say(Part(build, shape, row))


def require(build: Build, *shape: Any, number: int, judge: Callable[[Rows], object], **values: Any) -> None:
    """Have the transaction fail unless the statement finds so many rows when the inserts are made.

    Args:
        judge: raises what is to be said of it, given the rows that were found.
    """
    _wait_or_say(Required(build, shape, values, number, judge))


def _wait_or_say(part: Part) -> None:
    state = current_transaction()
    if state.waiting is None:
        connection = session().connection()
        if connection.dialect.name != "postgresql":
            _say(connection, part)
            return
        state.waiting = Together(connection)
    cast(Together, state.waiting).parts.append(part)


def _say(connection: sa.Connection, part: Part) -> None:
    statement = compiled(connection.dialect, part.build, part.shape)
    result = connection.exec_driver_sql(statement.text, statement.parameters(part.values))
    if isinstance(part, Required) and len(rows := result.all()) != part.number:
        part.judge(cast(Rows, rows))


class Together:
    """What waits in a transaction, in its order."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.parts: list[Part] = []

    def say(self, *, at_end: bool) -> None:
        """
        Raises:
            sqlalchemy.exc.DBAPIError
            OutcomeUnknown: the connection broke, so nobody knows whether the rows are there.
        """
        if at_end and self._is_all() and self._say_at_once():
            return
        for part in self.parts:
            _say(self.connection, part)

    def _is_all(self) -> bool:
        """Whether nothing was said in the transaction, and no part would meet another's rows."""
        driver: Any = self.connection.connection.driver_connection
        forms = {part.form for part in self.parts}
        return driver.pgconn.transaction_status == TransactionStatus.IDLE and len(forms) == len(self.parts)

    def _say_at_once(self) -> bool:
        """False if something that was required does not hold, and nothing was written."""
        borrowed, engine = cast(Any, self.connection.connection), self.connection.engine
        required = tuple((*part.form, part.number) for part in self.parts if isinstance(part, Required))
        inserts = tuple(part.form for part in self.parts if not isinstance(part, Required))
        statement = numbered(engine.dialect, together, (required, inserts))
        given: dict[str, Any] = {}
        for part in self.parts:
            given |= part.values
        translated = partial(as_of_engine, engine, statement.text)
        if not prepared(borrowed).stands():
            # Nothing was said yet: it may be done again.
            self._forget_connection()
            raise translated(psycopg.OperationalError("the connection is closed"), is_broken=True)
        try:
            run(engine, borrowed, statement.text, statement.values(given))
        except errors.DivisionByZero:
            return False
        except psycopg.Error as error:
            if borrowed.driver_connection.closed:
                self._forget_connection()
                raise OutcomeUnknown from error
            raise translated(error) from error
        except BaseException:
            # An answer that was not read would be taken for that to the next statement.
            self._forget_connection()
            raise
        return True

    def _forget_connection(self) -> None:
        doubt_connections()
        self.connection.invalidate()


def together(
    required: tuple[tuple[Build, Shape, int], ...], inserts: tuple[tuple[Build, Shape], ...]
) -> sa.Select[Any]:
    """All inserts, unless something that is required does not hold: then a division by zero undoes all."""
    holds = [_holds(build(*shape), number) for build, shape, number in required]
    made = [cast(sa.Insert, build(*shape)) for build, shape in inserts]
    parts = [insert.cte(f"part_{place}") for place, insert in enumerate(made)]
    return sa.select(*(holds or [sa.literal_column("1")])).add_cte(*parts)


def _holds(wanted: Any, number: int) -> sa.ColumnElement[Any]:
    found = sa.select(sa.func.count()).select_from(wanted.subquery()).scalar_subquery()
    return sa.literal_column("1") / sa.cast(found == sa.literal_column(str(number)), sa.Integer)
