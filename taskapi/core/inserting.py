"""Writing new entities without the price of the session's unit of work."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from taskapi.core.compiled import Build, compiled
from taskapi.core.db import Base, session
from taskapi.core.together import insert_later


def insert_entities(entities: Sequence[Base], *, later: bool = False) -> None:
    """Insert new entities of one model by one statement; the session knows them, and has nothing to flush.

    What was not set is NULL: a column's default is not asked for.

    Args:
        later: see ``insert_rows``.
    """
    insert_unknown(entities, later=later)
    for entity in entities:
        make_transient_to_detached(entity)
    session().add_all(entities)


def insert_unknown(entities: Sequence[Base], *, later: bool = False) -> None:
    """The same without telling the session of them."""
    if not entities:
        return
    model = type(entities[0])
    keys = _keys(model)
    for entity in entities:
        for key in keys.values():
            if key not in entity.__dict__:
                set_committed_value(entity, key, None)
    insert_rows(_insert, model, rows=[_row(entity, keys) for entity in entities], later=later)


def insert_rows(build: Build, *shape: Any, rows: Sequence[Mapping[str, Any]], later: bool = False) -> None:
    """Run ``build(*shape)``, see ``core/compiled``, once with each row as its parameters, all in one go.

    Args:
        later: a single row may wait for others (``core/together``); what the database says against it
            is then raised by the next statement or by the commit.
    """
    if later and len(rows) == 1:
        insert_later(build, *shape, row=rows[0])
        return
    connection = session().connection()
    statement = compiled(connection.dialect, build, shape)
    parameters = [statement.parameters(row) for row in rows]
    # A list of one row would be sent as slowly as one of many.
    connection.exec_driver_sql(statement.text, parameters if len(parameters) > 1 else parameters[0])


def _row(entity: Base, keys: Mapping[str, str]) -> dict[str, Any]:
    kept = entity.__dict__
    return {name: kept[key] for name, key in keys.items()}


@lru_cache
def _keys(model: type[Base]) -> dict[str, str]:
    """Under which parameter of ``_insert`` which attribute is handed over."""
    mapper = sa.inspect(model)
    return {
        _parameter(column): attribute.key
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, sa.Column) and not _counts_itself(column)
    }


def _insert(model: type[Base]) -> sa.Insert:
    table = cast(sa.Table, model.__table__)
    values = {
        column.name: sa.bindparam(_parameter(column), type_=column.type)
        for column in table.columns
        if not _counts_itself(column)
    }
    return sa.insert(table).values(values).inline()


def _counts_itself(column: sa.Column[Any]) -> bool:
    """Whether the database gives it the next number."""
    return isinstance(column.default, sa.Sequence)


def _parameter(column: sa.Column[Any]) -> str:
    # SQLAlchemy keeps the names of the columns for itself, and of another table others are given.
    return f"new_{column.table.name}_{column.name}"
