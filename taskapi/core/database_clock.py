"""SQL for the clock of the database, in the words of each; ``core/db`` asks it."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from taskapi.core.columns import UtcDateTime


class DatabaseNow(FunctionElement[datetime]):
    """SQL for the database's clock plus some seconds, if any are given; one expression per database."""

    inherit_cache = True
    type = UtcDateTime()


@compiles(DatabaseNow, "postgresql")
def _now_on_postgresql(element: DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    # now(), the start of the transaction, is stable: a volatile clock could not use an index.
    if not len(element.clauses):
        return "now()"
    return f"(now() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(DatabaseNow, "sqlite")
def _now_on_sqlite(element: DatabaseNow, compiler: SQLCompiler, **options: Any) -> str:
    # Milliseconds, cut and not rounded, so that nothing counts as due early.
    if not len(element.clauses):
        return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {seconds}))"


class DatabaseMoment(FunctionElement[datetime]):
    """SQL for the clock of the database at this moment, not at the start of the transaction."""

    inherit_cache = True
    type = UtcDateTime()


@compiles(DatabaseMoment, "postgresql")
def _moment_on_postgresql(_element: DatabaseMoment, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(DatabaseMoment, "sqlite")
def _moment_on_sqlite(_element: DatabaseMoment, compiler: SQLCompiler, **_options: Any) -> str:
    return compiler.process(DatabaseNow())
