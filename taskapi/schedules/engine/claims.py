"""Claims of dispatch, workers and rescue: rows locked or changed on a condition, so that one gets them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.schedules.models import SCHEDULE_CANCELLED, Run, Schedule


def claim_due_schedules(limit: int) -> list[Schedule]:
    """Due schedules in the order of their due times, locked; those that others hold are left out."""
    statement = (
        sa.select(Schedule)
        .where(
            Schedule.status == "active",
            Schedule.dispatch_at <= database_now(),
            sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now()),
        )
        .order_by(Schedule.dispatch_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def claim_unsettled_schedules(limit: int) -> list[Schedule]:
    """Cancelled schedules with due times before their end that have no run yet, locked."""
    statement = (
        sa.select(Schedule)
        .where(Schedule.unsettled_from.is_not(None))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def schedules_with_open_runs(schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the schedules have a run pending or running, started by hand or not."""
    return _with_open_runs(schedule_ids)


def schedules_that_overlap(schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Which have a run of a due time open; one started by hand stands beside the due times."""
    return _with_open_runs(schedule_ids, Run.trigger != "manual")


def _with_open_runs(schedule_ids: Sequence[UUID], *conditions: sa.ColumnElement[bool]) -> set[UUID]:
    # Literals, so that the partial index of open runs is seen to fit.
    is_open = sa.text("(runs.status = 'pending' OR runs.status = 'running')")
    statement = sa.select(Run.schedule_id).where(Run.schedule_id.in_(schedule_ids), is_open, *conditions)
    return set(session().scalars(statement.distinct()))


def has_open_run(schedule_id: UUID) -> bool:
    return schedule_id in schedules_with_open_runs([schedule_id])


def lock_exhausted(schedule_id: UUID) -> Schedule | None:
    """The schedule, locked, if it is active but has no due time left."""
    statement = (
        sa.select(Schedule)
        .where(Schedule.id == schedule_id, Schedule.status == "active", Schedule.next_run_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session().scalar(statement)


def seconds_until_due() -> float | None:
    """Seconds until the next due time or retry by the database's clock; None when there is none."""
    unsettled = sa.exists().where(Schedule.unsettled_from.is_not(None))
    if session().scalar(sa.select(unsettled)):
        return 0.0
    due = sa.select(sa.func.min(Schedule.dispatch_at)).where(
        Schedule.status == "active",
        sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now()),
    )
    retry = sa.select(sa.func.min(Run.retry_at)).where(Run.status == "pending", Run.queued_at.is_(None))
    row = session().execute(
        sa.select(
            due.scalar_subquery(), retry.scalar_subquery(), sa.type_coerce(database_now(), Run.retry_at.type)
        )
    )
    next_run_at, retry_at, now = row.one()
    moments = [moment for moment in (next_run_at, retry_at) if moment is not None]
    return max((min(moments) - now).total_seconds(), 0.0) if moments else None


def claim_due_retries(limit: int) -> list[Run]:
    """Pending runs that are to be queued now; those that others hold are left out."""
    statement = (
        sa.select(Run)
        .where(Run.status == "pending", Run.queued_at.is_(None))
        .where(Run.retry_at <= database_now())
        .order_by(Run.retry_at, Run.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def claim_run(run_id: UUID, *, worker: str, lease_seconds: float) -> Run | None:
    """Make a pending run ours: raises ``attempt`` and sets the lease; None if it is not pending."""
    statement: Any = (
        sa.update(Run)
        .where(Run.id == run_id, Run.status == "pending")
        .values(
            status="running",
            attempt=Run.attempt + 1,
            worker=worker,
            started_at=database_now(),
            first_started_at=sa.func.coalesce(Run.first_started_at, database_now()),
            finished_at=None,
            lease_until=database_now(lease_seconds),
            error=sa.null(),
        )
        .returning(Run)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    claimed: Run | None = session().scalars(statement).one_or_none()
    return claimed


def lease_extension(run_id: UUID, attempt: int, until: sa.ColumnElement[datetime]) -> sa.Update:
    """The statement that renews a lease; it changes no row once the run is no longer this attempt's."""
    mine = (Run.id == run_id, Run.attempt == attempt, Run.status == "running")
    return sa.update(Run).where(*mine).values(lease_until=until)


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


def claim_dead_leases(limit: int) -> list[Run]:
    """Running runs whose worker has not renewed the lease in time, locked."""
    statement = (
        sa.select(Run)
        .where(Run.status == "running", Run.lease_until < database_now())
        .order_by(Run.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def waiting_runs(*, queued_before: float, limit: int) -> list[Run]:
    """Pending runs that were given to Redis longer than ``queued_before`` seconds ago."""
    statement = (
        sa.select(Run)
        .where(Run.status == "pending", Run.queued_at < database_now(-queued_before))
        .order_by(Run.queued_at)
        .limit(limit)
    )
    return list(session().scalars(statement))


def lock_pending(run_ids: Sequence[UUID]) -> list[Run]:
    """Those of the runs that are pending, locked; those that others hold are left out."""
    if not run_ids:
        return []
    statement = (
        sa.select(Run)
        .where(Run.id.in_(run_ids), Run.status == "pending", Run.queued_at.is_not(None))
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


def lock_schedule(schedule_id: UUID) -> Schedule | None:
    """The schedule, locked: its end waits, or has happened."""
    statement = sa.select(Schedule).where(Schedule.id == schedule_id)
    return session().scalar(statement.with_for_update().execution_options(populate_existing=True))


def cancel_pending_runs(schedule_id: UUID) -> list[UUID]:
    """Cancel the runs of a schedule that have not started; their ids."""
    statement = (
        sa.update(Run)
        .where(Run.schedule_id == schedule_id, Run.status == "pending")
        .values(status="cancelled", reason=SCHEDULE_CANCELLED, finished_at=database_now())
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return list(session().scalars(statement))
