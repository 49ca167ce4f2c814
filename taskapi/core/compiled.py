"""Statements that are compiled once for each shape, and then only given their parameters.

SQLAlchemy keeps compiled statements, too, but to find one again takes it longer than most of them run.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.sql.compiler import SQLCompiler

Process: TypeAlias = Callable[[Any], Any]
# Takes its parameters by name (``sa.bindparam``).
Build: TypeAlias = Callable[..., sa.Select[Any] | sa.Insert]
# As many shapes of statements are kept compiled.
KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement in the words of a database, and how its parameters are handed over."""

    text: str
    processes: Mapping[str, Process | None]
    constants: dict[str, Any]

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {**self.constants, **values}
        return {
            name: process(given[name]) if process else given[name] for name, process in self.processes.items()
        }


@dataclass(frozen=True, slots=True)
class Numbered(Compiled):
    """The same in PostgreSQL's own words, with parameters by number, which its driver need not translate."""

    order: tuple[str, ...]

    def values(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in the order of their numbers."""
        named = self.parameters(values)
        return [named[name] for name in self.order]


@lru_cache(maxsize=KEPT)
def numbered(dialect: sa.Dialect, build: Build, shape: tuple[Hashable, ...]) -> Numbered:
    """As ``compiled``."""
    by_number = psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    found = build(*shape).compile(dialect=by_number)
    return Numbered(
        str(found), _processes(found, dialect), dict(found.params), tuple(found.positiontup or ())
    )


@lru_cache(maxsize=KEPT)
def compiled(dialect: sa.Dialect, build: Build, shape: tuple[Hashable, ...]) -> Compiled:
    """The statement ``build(*shape)``; ``build`` is a function of a module."""
    # By name on both databases.
    by_name = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
    found = build(*shape).compile(dialect=by_name)
    return Compiled(str(found), _processes(found, dialect), dict(found.params))


def _processes(found: SQLCompiler, dialect: sa.Dialect) -> dict[str, Process | None]:
    return {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for bind, name in found.bind_names.items()
    }
