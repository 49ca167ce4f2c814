"""Percentiles in SQL, with the same answers on both databases.

As ``percentile_cont`` of the SQL standard (SQL:2003, 10.9) has them, between two values by their
distance; SQLite has no such function, so the values are ranked first and weighed then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement, FunctionElement


class _SecondsBetween(FunctionElement[float]):
    inherit_cache = True
    type = sa.Double()


@compiles(_SecondsBetween, "postgresql")
def _on_postgresql(element: _SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(extract(epoch FROM {end} - {start}) AS DOUBLE PRECISION)"


@compiles(_SecondsBetween, "sqlite")
def _on_sqlite(element: _SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    # Whole seconds and the fraction apart: SQLite's own functions cut times to milliseconds.
    whole = f"(strftime('%s', {end}) - strftime('%s', {start}))"
    return f"({whole} + (substr({end}, 20) - substr({start}, 20)))"


def seconds_between(start: Any, end: Any) -> ColumnElement[float]:
    """Seconds from one column of times to another, exact to the microsecond."""
    return _SecondsBetween(start, end)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A value of each row, and its place among those of its group; put all into a subquery."""

    value: ColumnElement[float]
    place: ColumnElement[int]
    count: ColumnElement[int]

    @classmethod
    def within(cls, group: Any, value: ColumnElement[float]) -> "Ranked":
        """Rank the values of each group; rows without one come last and do not count."""
        place = sa.func.row_number().over(partition_by=group, order_by=(value.is_(None), value))
        return cls(value, place, sa.func.count(value).over(partition_by=group))

    def labelled(self, name: str) -> Sequence[ColumnElement[Any]]:
        """The columns of the subquery."""
        return (
            self.value.label(name),
            self.place.label(f"{name}_place"),
            self.count.label(f"{name}_count"),
        )

    @classmethod
    def read(cls, ranked: sa.Subquery | sa.CTE, name: str) -> "Ranked":
        """The same, seen from outside of the subquery."""
        return cls(ranked.c[name], ranked.c[f"{name}_place"], ranked.c[f"{name}_count"])

    def percentile(self, share: float) -> ColumnElement[float]:
        """The value below which this share lies, for a query that groups alike; NULL without values."""
        distance = sa.func.abs(self.place - 1 - share * (self.count - 1))
        weight = sa.case((distance < 1, 1 - distance), else_=0)
        return sa.func.sum(self.value * weight)
