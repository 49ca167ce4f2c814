"""Forgetting old runs: by age, and by how many a schedule keeps.

Never an open run, and never the last run of a schedule that people can see. Each transaction is
short and stands for itself, so whoever is killed has only less done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.runtime import runtime_settings
from taskapi.schedules import queries
from taskapi.schedules.bookkeeping import Backfill, RunCounts
from taskapi.schedules.engine import counts
from taskapi.schedules.models import Run

log = structlog.get_logger(__name__)

BATCH = 1_000
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 200

# Where a walk over runs stands: the time and id of the last one looked at.
Position = tuple[datetime, UUID]
BEGINNING: Position = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))
# A run may be large, by its params and its result: only this much of it is read.
RunsLookedAt = sa.Select[UUID, UUID, str, datetime, datetime, datetime | None]
LOOKED_AT = (Run.id, Run.schedule_id, Run.status, Run.scheduled_for, Run.created_at, Run.finished_at)


@dataclass(frozen=True, slots=True)
class OldRun:
    """What is looked at, in its order."""

    id: UUID
    schedule_id: UUID
    status: str
    scheduled_for: datetime
    created_at: datetime
    finished_at: datetime | None


def forget_old_runs() -> int:
    """Delete the runs that need not be kept, as the settings say; how many."""
    settings = runtime_settings()
    gone = 0
    if settings.run_retention_days:
        with transaction():
            before = read_database_clock() - timedelta(days=settings.run_retention_days)
            _forget_backfills(before)
        gone += _walk(lambda after: _ended_before(before, after), before)
    if settings.run_retention_count:
        for schedule_id in _schedules_with_more_than(settings.run_retention_count):
            gone += _forget_beyond(schedule_id, settings.run_retention_count)
    if gone:
        log.info("runs.forgotten", count=gone)
    return gone


def _ended_before(before: datetime, after: Position) -> RunsLookedAt:
    statement = sa.select(*LOOKED_AT).where(
        Run.created_at < before, _position() > sa.tuple_(*_literals(after))
    )
    return statement.order_by(Run.created_at, Run.id)


def _forget_beyond(schedule_id: UUID, kept: int) -> int:
    """Delete the ended runs of a schedule but for the newest ``kept``."""
    theirs = sa.select(Run.created_at, Run.id).where(Run.schedule_id == schedule_id)
    with transaction():
        newest_first = theirs.order_by(Run.created_at.desc(), Run.id.desc())
        found = session().execute(newest_first.offset(kept).limit(1)).one_or_none()
        now = read_database_clock()
    if found is None:
        return 0
    last: Position = (found[0], found[1])

    def beyond(after: Position) -> RunsLookedAt:
        statement = sa.select(*LOOKED_AT).where(Run.schedule_id == schedule_id)
        statement = statement.where(_position() > sa.tuple_(*_literals(after)))
        return statement.where(_position() <= sa.tuple_(*_literals(last))).order_by(Run.created_at, Run.id)

    return _walk(beyond, now)


def _walk(runs_after: Callable[[Position], RunsLookedAt], ended_before: datetime) -> int:
    """Delete what may go of the runs that a query gives, batch by batch; how many."""
    gone, position = 0, BEGINNING
    for _ in range(MAX_BATCHES):
        with transaction():
            # Whoever opens a run again has it locked: it is left to them.
            statement = runs_after(position).limit(BATCH).with_for_update(skip_locked=True)
            runs = [OldRun(*row) for row in session().execute(statement)]
            gone += _delete([run for run in runs if _is_over(run, ended_before)])
            if len(runs) < BATCH:
                break
            position = (runs[-1].created_at, runs[-1].id)
    return gone


def _is_over(run: OldRun, before: datetime) -> bool:
    # A due time that was left out by hand may lie ahead still.
    ended = run.status in counts.ENDS and run.scheduled_for < before
    return ended and (run.finished_at or run.created_at) < before


def _delete(runs: Sequence[OldRun]) -> int:
    last = queries.last_run_ids({run.schedule_id for run in runs})
    old = [run for run in runs if run.id not in last]
    if old:
        ids = [run.id for run in old]
        statement = sa.delete(Run).where(Run.id.in_(ids))
        session().execute(statement.execution_options(synchronize_session=False))
        counts.uncount((run.schedule_id, run.status) for run in old)
    return len(old)


def _schedules_with_more_than(number: int) -> Sequence[UUID]:
    total = RunCounts.completed + RunCounts.failed + RunCounts.cancelled + RunCounts.skipped
    with transaction():
        return session().scalars(sa.select(RunCounts.schedule_id).where(total > number)).all()


def _forget_backfills(before: datetime) -> None:
    statement = sa.delete(Backfill).where(Backfill.status != "running", Backfill.finished_at < before)
    session().execute(statement.execution_options(synchronize_session=False))


def _position() -> sa.Tuple:
    return sa.tuple_(Run.created_at, Run.id)


def _literals(position: Position) -> tuple[sa.ColumnElement[datetime], sa.ColumnElement[UUID]]:
    return sa.literal(position[0], Run.created_at.type), sa.literal(position[1], Run.id.type)
