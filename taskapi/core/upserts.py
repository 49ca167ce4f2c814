"""Inserts that do not mind rows that are there already."""

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from taskapi.core.db import Base, session
from taskapi.core.ids import new_id

INSERTS: dict[str, Callable[[Any], postgresql.Insert | sqlite.Insert]]
INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the words of the database that is used."""
    return INSERTS[session().get_bind().dialect.name](cast(sa.Table, model.__table__))


def insert_if_new(model: type[Base], **values: Any) -> UUID | None:
    """Insert a row unless a unique key of it exists already; its id, or None if it does.

    Unlike catching the error afterwards, this does not spoil the transaction.
    """
    insert = insert_into(model).values(id=new_id(), **values).on_conflict_do_nothing()
    inserted: UUID | None = session().execute(insert.returning(model.__table__.c.id)).scalar_one_or_none()
    return inserted


def insert_new(model: type[Base], rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """Insert those of the rows whose unique keys are free, all at once; the ids inserted."""
    if not rows:
        return set()
    statement = insert_into(model).on_conflict_do_nothing().returning(model.__table__.c.id)
    return set(session().connection().execute(statement, list(rows)).scalars())
