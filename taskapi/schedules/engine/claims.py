"""Claims of dispatch, workers and rescue: rows locked or changed on a condition, so that one gets them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.db import database_now, session
from taskapi.schedules.engine import statements
from taskapi.schedules.models import SCHEDULE_CANCELLED, Run, Schedule, job_id_of, milliseconds

# Literals, so that the partial index of open runs is seen to fit.
IS_OPEN = sa.text("(runs.status = 'pending' OR runs.status = 'running')")
# Of a due time and in its turn: runs by hand and of a backfill stand beside the due times.
OF_A_DUE_TIME = sa.and_(Run.trigger.in_(("schedule", "catch_up")), Run.backfill_id.is_(None))
# What makes a run one whose attempt nobody works on any more.
Lost = tuple[sa.ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker knows of the run that it got: the columns of ``statements.claim``, in their order."""

    id: UUID
    schedule_id: UUID
    owner_id: UUID
    action: str
    params: dict[str, Any]
    trigger: str
    scheduled_for: datetime
    due_at: datetime
    first_started_at: datetime
    attempt: int
    timeout: float
    schedule_name: str
    timezone: str

    @property
    def lag_ms(self) -> int | None:
        """How late the action first started."""
        return milliseconds(self.due_at, self.first_started_at)


def stands_in_the_way(now: sa.ColumnElement[datetime] | None = None) -> sa.ColumnElement[bool]:
    """Of an open run: whether a due time that comes ``now``, else by the database's clock, has to regard it.

    One that was left out by hand and opened again waits for its own due time, behind all before it.
    """
    now = database_now() if now is None else now
    waits_for_its_time = sa.and_(Run.retry_at.is_not(None), Run.due_at > now)
    return sa.and_(OF_A_DUE_TIME, sa.not_(waits_for_its_time))


def schedules_with_open_runs(schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the schedules have a run pending or running, started by hand or not."""
    return _with_open_runs(schedule_ids)


def schedules_that_overlap(schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Which have a run of a due time open that stands in the way of the next."""
    return _with_open_runs(schedule_ids, stands_in_the_way())


def _with_open_runs(schedule_ids: Sequence[UUID], *conditions: sa.ColumnElement[bool]) -> set[UUID]:
    # One probe for each, since thousands may be open; PostgreSQL would make a join of an EXISTS.
    theirs = sa.select(Run.id).where(Run.schedule_id == Schedule.id, IS_OPEN, *conditions)
    any_run = theirs.limit(1).correlate(Schedule).scalar_subquery()
    statement = sa.select(Schedule.id).where(Schedule.id.in_(schedule_ids), any_run.is_not(None))
    return set(session().scalars(statement))


def has_open_run(schedule_id: UUID) -> bool:
    return schedule_id in schedules_with_open_runs([schedule_id])


def lock_exhausted(schedule_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Those of the schedules that are active but have no due time left, locked in one order: their owners."""
    statement = (
        sa.select(Schedule.id, Schedule.owner_id)
        .where(
            Schedule.id.in_(list(schedule_ids)), Schedule.status == "active", Schedule.next_run_at.is_(None)
        )
        .order_by(Schedule.id)
        .with_for_update()
    )
    return {row.id: row.owner_id for row in session().execute(statement)}


def complete_schedules(schedule_ids: Sequence[UUID]) -> None:
    """Close schedules; the caller has locked them."""
    session().execute(
        sa.update(Schedule)
        .where(Schedule.id.in_(schedule_ids))
        .values(status="completed", updated_at=clock.now())
    )


def exhausted_schedules(limit: int) -> list[UUID]:
    """Active schedules without a due time left, and without an open run that would close them as it ends."""
    open_run = sa.exists().where(Run.schedule_id == Schedule.id, IS_OPEN).correlate(Schedule)
    # Literally as the index of what is due says it, which has them, too.
    over = sa.text("schedules.status = 'active' AND schedules.dispatch_at IS NULL")
    return list(session().scalars(sa.select(Schedule.id).where(over, sa.not_(open_run)).limit(limit)))


def claim_run(
    run_id: UUID, *, worker: str, lease_seconds: float, connection: sa.Connection | None = None
) -> Claim | None:
    """Make a pending run ours: raises ``attempt`` and sets the lease.

    None if it is not pending, or if it should have started before now.

    Args:
        connection: another one than the session's.
    """
    asked = {"next_id": run_id, "new_worker": worker}
    row = (connection or session().connection()).execute(statements.claim(lease_seconds), asked).one_or_none()
    return None if row is None else Claim(*row)


def change_of_attempt(run_id: UUID, attempt: int, **values: Any) -> sa.Update:
    """The statement that changes a run at work; it finds no row once the run is not this attempt's."""
    mine = (Run.id == run_id, Run.attempt == attempt, Run.status == "running")
    return sa.update(Run).where(*mine).values(**values)


def settle_run(run_id: UUID, attempt: int, values: dict[str, Any]) -> Run | None:
    """Write the end of an attempt; None when the run is no longer this attempt's (fenced)."""
    statement: Any = (
        sa.update(Run)
        .where(Run.id == run_id, Run.attempt == attempt, Run.status == "running")
        .values(lease_until=None, **values)
        .returning(Run)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    settled: Run | None = session().scalars(statement).one_or_none()
    return settled


def lease_is_dead() -> Lost:
    """Running runs whose worker has not renewed the lease in time."""
    return Run.status == "running", Run.lease_until < database_now()


def was_lost_by(process: str) -> Lost:
    """Running runs of a process that is gone.

    What was lost before waits for the end of its lease: it may be what kills its processes.
    """
    return (
        Run.status == "running",
        Run.lease_until.is_not(None),
        Run.worker == process,
        Run.lost_attempts == 0,
    )


def find_lost(which: Lost, limit: int) -> dict[UUID, UUID]:
    """Such runs, those lost longest first, with their schedules."""
    found = sa.select(Run.id, Run.schedule_id).where(*which).order_by(Run.lease_until).limit(limit)
    return {run_id: schedule_id for run_id, schedule_id in session().execute(found)}  # noqa: C416


def lock_lost(which: Lost, found: Mapping[UUID, UUID]) -> list[Run]:
    """Those of the runs that are such still, locked after their schedules; what others hold is left out."""
    locked = [schedule.id for schedule in lock_schedules(set(found.values()), skip_locked=True)]
    statement = sa.select(Run).where(Run.id.in_(found), Run.schedule_id.in_(locked), *which)
    statement = statement.order_by(Run.lease_until).with_for_update(skip_locked=True)
    return list(session().scalars(statement.execution_options(populate_existing=True)))


def asked_to_cancel(run_id: UUID, attempt: int) -> sa.Exists:
    """Whether somebody asked to cancel the run that this attempt works on."""
    return sa.exists().where(
        Run.id == run_id,
        Run.attempt == attempt,
        Run.status == "running",
        Run.cancel_requested_at.is_not(None),
    )


def overdue_cancels(*, after: float, limit: int) -> list[tuple[UUID, int]]:
    """Id and attempt of running runs that were asked to stop more than ``after`` seconds ago."""
    statement = (
        sa.select(Run.id, Run.attempt)
        .where(Run.status == "running", Run.cancel_requested_at < database_now(-after))
        .order_by(Run.cancel_requested_at)
        .limit(limit)
    )
    return [(run_id, attempt) for run_id, attempt in session().execute(statement)]


def waiting_jobs(*, queued_before: float, queued_after: float | None = None, limit: int) -> dict[UUID, str]:
    """Of pending runs that were given to Redis longer than ``queued_before`` seconds ago, their jobs' ids.

    Args:
        queued_after: but not longer ago than so many seconds.
        limit: so many at most, the oldest.
    """
    waiting = (Run.status == "pending", Run.queued_at < database_now(-queued_before))
    statement = sa.select(Run.id, Run.attempt).where(*waiting).order_by(Run.queued_at).limit(limit)
    if queued_after is not None:
        statement = statement.where(Run.queued_at >= database_now(-queued_after))
    return {run_id: job_id_of(run_id, attempt) for run_id, attempt in session().execute(statement)}


def lock_runs(run_ids: Sequence[UUID], *, status: str | None = None) -> list[Run]:
    """The runs, those of this status if one is given, locked; their schedules are locked already."""
    statement = sa.select(Run).where(Run.id.in_(run_ids))
    if status is not None:
        statement = statement.where(Run.status == status)
    statement = statement.order_by(Run.id).with_for_update()
    return list(session().scalars(statement.execution_options(populate_existing=True)))


def lock_pending(run_ids: Sequence[UUID], *, queued_before: float) -> list[Run]:
    """Those of the runs that are pending and were not queued since, locked; what others hold is left out."""
    if not run_ids:
        return []
    statement = (
        sa.select(Run)
        .where(Run.id.in_(run_ids), Run.status == "pending", Run.queued_at < database_now(-queued_before))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def put_off(run_ids: Sequence[UUID], *, seconds: float) -> None:
    """Have pending runs queued again by the scheduler after a while."""
    session().execute(
        sa.update(Run)
        .where(Run.id.in_(run_ids), Run.status == "pending")
        .values(queued_at=None, retry_at=database_now(seconds))
        .execution_options(synchronize_session=False)
    )


def lock_schedule_of(run_id: UUID) -> Schedule | None:
    """The schedule of a run, locked: its end waits, or has happened. Locked before the run, always."""
    statement = _schedule_of(run_id).with_for_update(of=Schedule)
    return session().scalar(statement.execution_options(populate_existing=True))


def lock_schedule_of_ending(run_id: UUID) -> bool:
    """Lock the schedule of a run that ends, if the end may concern it: a turn, failures before, its last run.

    Most ends do not, and must not wait for a dispatch of the schedule. Returns whether it is locked.
    """
    waiting = sa.exists().where(Run.schedule_id == Schedule.id, IS_OPEN, Run.waits_for_turn)
    concerned = sa.or_(
        Schedule.next_run_at.is_(None),
        Schedule.failures_in_row > 0,
        Schedule.overlap.in_(("queue", "replace")),
        waiting.correlate(Schedule),
    )
    statement = _schedule_of(run_id).where(concerned).with_for_update(of=Schedule)
    return session().scalar(statement.execution_options(populate_existing=True)) is not None


def _schedule_of(run_id: UUID) -> sa.Select[Schedule]:
    theirs = sa.select(Run.schedule_id).where(Run.id == run_id).scalar_subquery()
    return sa.select(Schedule).where(Schedule.id == theirs)


def lock_schedules(schedule_ids: Iterable[UUID], *, skip_locked: bool = False) -> list[Schedule]:
    """Several schedules, locked in one order, so that two who do so never wait for each other."""
    statement = sa.select(Schedule).where(Schedule.id.in_(list(schedule_ids))).order_by(Schedule.id)
    statement = statement.with_for_update(skip_locked=skip_locked).execution_options(populate_existing=True)
    return list(session().scalars(statement))


def _not_before(made: sa.SQLColumnExpression[datetime]) -> sa.ColumnElement[datetime]:
    now = database_now()
    return sa.case((made > now, made), else_=now)


def cancel_pending_runs(schedule_id: UUID) -> list[UUID]:
    """Cancel the runs of a schedule that have not started, or wait for their signal; their ids."""
    statement = (
        sa.update(Run)
        .where(Run.schedule_id == schedule_id, IS_OPEN)
        .where(sa.or_(Run.status == "pending", Run.signal_by.is_not(None)))
        # Who waited while they were made has an old clock.
        .values(status="cancelled", reason=SCHEDULE_CANCELLED, finished_at=_not_before(Run.created_at))
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return list(session().scalars(statement))
