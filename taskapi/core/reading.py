"""Fast reads: statements that are compiled once, on connections without a transaction.

What they answer is JSON already, written by the database (``core/json_sql``): no entities are made
and nothing is dumped. A broken connection is noticed as everywhere, and the view repeated once.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.compiled import KEPT, compiled
from taskapi.core.db import db, in_transaction, session
from taskapi.core.digests import digest
from taskapi.core.read_at_once import read_at_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A resource as JSON text, and what the headers of an answer tell of it.

    Attributes:
        state: what else its entity tag changes with.
    """

    id: UUID
    text: str
    version: int
    state: object = None

    @property
    def entity_tag(self) -> str:
        return f"v{self.version}.{digest(self.text, self.state)}"


def read(build: Callable[..., sa.Select[Any]], *shape: Hashable, **values: Any) -> Sequence[tuple[Any, ...]]:
    """The rows of the statement ``build(*shape)``, which is made and compiled once for each shape.

    Rows are as the driver gives them: select texts and numbers, and unpack them by their order.

    Args:
        build: a function of a module; its statement takes parameters by name (``sa.bindparam``).
        values: these parameters; what they are must not depend on the shape.
    """
    if not in_transaction() and db.engine.dialect.name == "postgresql":
        return read_at_once(db.engine, build, shape, values)
    with connection() as active:
        statement = compiled(active.dialect, build, shape)
        return active.exec_driver_sql(statement.text, statement.parameters(values)).all()


@contextmanager
def connection() -> Iterator[sa.Connection]:
    """The connection of the open transaction; else one without, whose statements see what is committed."""
    if in_transaction():
        session().flush()
        yield session().connection()
        return
    with _without_transactions(db.engine).connect() as active:
        yield active


@lru_cache(maxsize=KEPT)
def _without_transactions(engine: sa.Engine) -> sa.Engine:
    # SQLite's driver begins none by itself (see ``core/engine``).
    option = {"taskapi_reads": True} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    return engine.execution_options(**option)
