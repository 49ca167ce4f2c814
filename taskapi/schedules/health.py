"""Whether schedules do what they should, in figures for those who operate the system."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from taskapi.core import clock
from taskapi.core.db import database_now, session
from taskapi.schedules.models import Run, Schedule

# What was due so long ago should have been dispatched.
OVERDUE_SECONDS = 10.0
# A lease that ran out so long ago should have been given back by the rescue.
DEAD_LEASE_SECONDS = 30.0
# A run that is in Redis for so long finds too few workers, or none.
QUEUED_LONG_SECONDS = 60.0
RECENT = timedelta(minutes=5)
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

# Literals, so that the partial indexes are seen to fit.
ACTIVE = sa.text("schedules.status = 'active'")
PENDING, RUNNING = sa.text("runs.status = 'pending'"), sa.text("runs.status = 'running'")
OPEN = sa.text("(runs.status = 'pending' OR runs.status = 'running')")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values are at most each of ``BUCKETS``, how many there are, and their sum in seconds."""

    at_most: tuple[int, ...]
    count: int
    sum: float


def find_faults() -> dict[str, int]:
    """How much there is of each thing that ought not to be; each is looked up in a small index.

    ``overdue`` schedules and ``dead_leases`` mean that the scheduler or the rescue does not work.
    """
    aside = Schedule.set_aside_until > database_now()
    open_run = sa.exists().where(Run.schedule_id == Schedule.id, OPEN)
    counted = {
        "overdue": _count(
            Schedule, ACTIVE, Schedule.dispatch_at < database_now(-OVERDUE_SECONDS), aside.is_not(True)
        ),
        # It was due when it was set aside.
        "set_aside": _count(Schedule, ACTIVE, Schedule.dispatch_at <= database_now(), aside),
        "without_next_time": _count(Schedule, ACTIVE, Schedule.dispatch_at.is_(None), ~open_run),
        "dead_leases": _count(Run, RUNNING, Run.lease_until < database_now(-DEAD_LEASE_SECONDS)),
        "queued_long": _count(Run, PENDING, Run.queued_at < database_now(-QUEUED_LONG_SECONDS)),
    }
    row = session().execute(sa.select(*(count.label(name) for name, count in counted.items()))).one()
    return dict(row._mapping)


def count_open_runs() -> dict[str, int]:
    """How many runs are pending and running."""
    rows = session().execute(sa.select(Run.status, sa.func.count()).where(OPEN).group_by(Run.status)).all()
    return {"pending": 0, "running": 0, **{status: count for status, count in rows}}  # noqa: C416


def recent_times() -> dict[str, Histogram]:
    """``lag`` and ``duration`` of the runs that were made in the last five minutes."""
    # Their ids begin with the time they were made (RFC 9562, 5.7): the key finds them.
    since = UUID(int=int((clock.now() - RECENT).timestamp() * 1000) << 80)
    # A run that waits for a ping starts by definition when it is due.
    recent = (Run.id >= since, Run.signal_by.is_(None))
    times = {
        "lag": Seconds(Run.first_started_at, Run.due_at),
        "duration": Seconds(Run.finished_at, Run.started_at),
    }
    return {name: _histogram(seconds, recent) for name, seconds in times.items()}


def _count(model: type[Run | Schedule], *conditions: Any) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(model).where(*conditions).scalar_subquery()


def _histogram(seconds: sa.ColumnElement[float], conditions: Sequence[Any]) -> Histogram:
    at_most = [sa.func.count().filter(seconds <= bound) for bound in BUCKETS]
    total = sa.func.coalesce(sa.func.sum(seconds), 0.0)
    row = session().execute(sa.select(*at_most, sa.func.count(seconds), total).where(*conditions)).one()
    *counts, count, sum_ = row
    return Histogram(tuple(counts), count, float(sum_))


class Seconds(FunctionElement[float]):
    """SQL for the seconds from the second time to the first, one expression per database."""

    inherit_cache = True
    type = sa.Double()


@compiles(Seconds, "postgresql")
def _seconds_on_postgresql(element: Seconds, compiler: SQLCompiler, **options: Any) -> str:
    end, start = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM {end} - {start}) AS DOUBLE PRECISION)"


@compiles(Seconds, "sqlite")
def _seconds_on_sqlite(element: Seconds, compiler: SQLCompiler, **options: Any) -> str:
    end, start = (compiler.process(clause, **options) for clause in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"
