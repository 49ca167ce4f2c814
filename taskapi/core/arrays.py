"""Many values as few parameters: arrays that PostgreSQL unfolds, one statement for a whole batch."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from taskapi.core.db import session


class _ArrayText(sa.types.TypeDecorator[Sequence[Any]]):
    """A list as the text of an array: written at once, where the driver would look at each element."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else "{" + ",".join(_texts(value)) + "}"


def uses_arrays() -> bool:
    """Whether the database knows arrays, which SQLite does not."""
    return session().get_bind().dialect.name == "postgresql"


def array(name: str, type_: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """A parameter that takes a list of UUIDs, as text too, times, numbers, truths or bytes; None is NULL."""
    return sa.cast(sa.bindparam(name, type_=_ArrayText()), postgresql.ARRAY(type_))


def unfolded(name: str, columns: dict[str, sa.types.TypeEngine[Any]]) -> sa.TableValuedAlias:
    """A table of parameters: each column is given as a list, by the column's name.

    A statement that sets columns must not have parameters that are named as they are.
    """
    lists = [array(column, type_) for column, type_ in columns.items()]
    named = [sa.column(column, type_) for column, type_ in columns.items()]
    return sa.func.unnest(*lists).table_valued(*named, name=name).render_derived()


def as_lists(rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> dict[str, list[Any]]:
    """The parameters for ``unfolded``: of each column its values, in the order of the rows."""
    kept = list(rows)
    return {column: [row[column] for row in kept] for column in columns}


def _texts(values: Iterable[Any]) -> Iterator[str]:
    last, text = None, "NULL"
    for value in values:
        # Whole columns are often one and the same.
        if value != last:
            last, text = value, _text(value)
        yield text


def _text(value: str | bytes | UUID | datetime | float | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        # The array's own way of writing takes one of the two away.
        return f'"\\\\x{value.hex()}"'
    return str(value)
