"""Turns: with overlap ``queue`` and ``replace`` a due time waits until the runs before it have ended.

A waiting run is pending and not in Redis. Whoever ends a run hands on the turn in the same
transaction, under the lock of the schedule; what is lost all the same is found by the rescue.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.db import database_now, once_on_commit, read_database_clock, session, transaction
from taskapi.schedules.engine.claims import IS_OPEN, lock_schedules, stands_in_the_way
from taskapi.schedules.models import Run
from taskapi.schedules.timing.verdicts import Reason

# Why a run was ended for the next one.
OVERLAP: Reason = "overlap"


def hand_on(schedule_id: UUID) -> None:
    """Let the oldest waiting run go, unless another run of a due time is in progress.

    The caller has locked the schedule: a run that is just being added is seen.
    """
    waiting = _oldest_waiting(schedule_id)
    if waiting is None or _is_busy(schedule_id):
        return
    release([waiting])


def release(runs: Sequence[Run]) -> None:
    """Let runs go that waited for their turn: the dispatcher queues them at once."""
    now = read_database_clock()
    for run in runs:
        run.waits_for_turn, run.retry_at = False, now
    session().flush()
    once_on_commit(_wake)


def release_all(schedule_id: UUID) -> None:
    """Let all waiting runs go, now that they may overlap; the caller has locked the schedule."""
    release(session().scalars(_waiting(schedule_id).with_for_update()).all())


def wake_backfill(run: Run) -> None:
    """Have a backfill look at once whether the end of one of its runs makes room for the next."""
    if run.backfill_id is not None:
        once_on_commit(_wake)


def hand_on_lost_turns() -> int:
    """Hand on turns that nobody has; how many schedules there were."""
    lost = _schedules_that_only_wait()
    # Looking takes no write lock, which SQLite has only one of.
    session().rollback()
    if not lost:
        return 0
    with transaction():
        for schedule in lock_schedules(lost):
            hand_on(schedule.id)
    return len(lost)


def _schedules_that_only_wait() -> Sequence[UUID]:
    busy = aliased(Run)
    in_progress = sa.exists().where(
        busy.schedule_id == Run.schedule_id,
        busy.status.in_(("pending", "running")),
        ~busy.waits_for_turn,
        sa.or_(busy.retry_at.is_(None), busy.due_at <= database_now()),
    )
    # Literals, so that the partial index is seen to fit.
    waiting = sa.text("runs.status = 'pending' AND runs.waits_for_turn")
    return session().scalars(sa.select(Run.schedule_id).where(waiting, ~in_progress).distinct()).all()


def open_runs(schedule_id: UUID) -> list[Run]:
    """The open runs of due times that have come, oldest first, locked; the schedule is locked already."""
    statement = sa.select(Run).where(Run.schedule_id == schedule_id, IS_OPEN, stands_in_the_way())
    statement = statement.order_by(Run.due_at, Run.id).with_for_update()
    return list(session().scalars(statement.execution_options(populate_existing=True)))


def _oldest_waiting(schedule_id: UUID) -> Run | None:
    return session().scalar(_waiting(schedule_id).limit(1))


def _waiting(schedule_id: UUID) -> sa.Select[Run]:
    theirs: Any = sa.and_(Run.schedule_id == schedule_id, Run.status == "pending", Run.waits_for_turn)
    statement = sa.select(Run).where(theirs, IS_OPEN).order_by(Run.due_at, Run.id)
    return statement.execution_options(populate_existing=True)


def _is_busy(schedule_id: UUID) -> bool:
    theirs: Any = sa.and_(Run.schedule_id == schedule_id, stands_in_the_way(), ~Run.waits_for_turn)
    others = sa.exists().where(theirs, IS_OPEN)
    return session().scalar(sa.select(others)) is True


def _wake() -> None:
    wake_scheduler(WAKE_DISPATCH)
