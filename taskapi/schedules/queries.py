"""Reads of schedules and runs, scoped to who asks, and the claims of dispatch and workers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from taskapi.core.access import Actor
from taskapi.core.db import database_now, session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.schedules.models import OPEN_STATUSES, Run, RunLogLine, Schedule

# Stands for "never" where a list is sorted by a time that may be missing.
NEVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def visible_schedules(actor: Actor) -> sa.Select[Schedule]:
    statement = sa.select(Schedule).where(Schedule.deleted_at.is_(None))
    return statement if actor.is_admin else statement.where(Schedule.owner_id == actor.user_id)


def visible_runs(actor: Actor) -> sa.Select[Run]:
    statement = sa.select(Run)
    return statement if actor.is_admin else statement.where(Run.owner_id == actor.user_id)


def find_schedule(actor: Actor, schedule_id: UUID, *, lock: bool) -> Schedule | None:
    """The schedule; locked, it waits for a dispatch of it and then sees what that did."""
    statement = visible_schedules(actor).where(Schedule.id == schedule_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def find_run(actor: Actor, run_id: UUID) -> Run | None:
    return session().scalar(visible_runs(actor).where(Run.id == run_id))


def page_of_schedules(
    actor: Actor,
    page: PageRequest,
    *,
    status: Sequence[str] = (),
    action: Sequence[str] = (),
    last_run_status: Sequence[str] = (),
    q: str | None = None,
    next_before: datetime | None = None,
    next_after: datetime | None = None,
) -> Page[Schedule]:
    statement = visible_schedules(actor)
    if status:
        statement = statement.where(Schedule.status.in_(status))
    if action:
        statement = statement.where(Schedule.action.in_(action))
    if last_run_status:
        last = (
            sa.select(Run.status)
            .where(Run.schedule_id == Schedule.id)
            .order_by(Run.created_at.desc(), Run.id.desc())
            .limit(1)
        )
        statement = statement.where(last.scalar_subquery().in_(last_run_status))
    if q:
        statement = statement.where(Schedule.name.icontains(q, autoescape=True))
    if next_before is not None:
        statement = statement.where(Schedule.next_run_at < next_before)
    if next_after is not None:
        statement = statement.where(Schedule.next_run_at >= next_after)
    sorts = {
        "created_at": Schedule.created_at,
        "name": Schedule.name,
        "next_run_at": sa.func.coalesce(Schedule.next_run_at, sa.literal(NEVER, Schedule.next_run_at.type)),
    }
    return fetch_page(
        session(), statement, request_=page, sorts=sorts, default_sort="-created_at", key=Schedule.id
    )


def page_of_runs(
    actor: Actor,
    page: PageRequest,
    *,
    schedule_id: UUID | None = None,
    status: Sequence[str] = (),
    action: Sequence[str] = (),
    scheduled_before: datetime | None = None,
    scheduled_after: datetime | None = None,
) -> Page[Run]:
    statement = visible_runs(actor)
    if schedule_id is not None:
        statement = statement.where(Run.schedule_id == schedule_id)
    if status:
        statement = statement.where(Run.status.in_(status))
    if action:
        statement = statement.where(Run.action.in_(action))
    if scheduled_before is not None:
        statement = statement.where(Run.scheduled_for < scheduled_before)
    if scheduled_after is not None:
        statement = statement.where(Run.scheduled_for >= scheduled_after)
    sorts = {"created_at": Run.created_at, "scheduled_for": Run.scheduled_for}
    return fetch_page(
        session(), statement, request_=page, sorts=sorts, default_sort="-created_at", key=Run.id
    )


def last_runs(schedule_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """The newest run of each schedule."""
    inner = aliased(Run)
    newest = (
        sa.select(inner.id)
        .where(inner.schedule_id == Schedule.id)
        .order_by(inner.created_at.desc(), inner.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = sa.select(Run).join(Schedule, Schedule.id == Run.schedule_id)
    statement = statement.where(Schedule.id.in_(schedule_ids), Run.id == newest)
    return {run.schedule_id: run for run in session().scalars(statement)}


def run_statistics(schedule_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """How many runs of each status each schedule has."""
    rows = session().execute(
        sa.select(Run.schedule_id, Run.status, sa.func.count())
        .where(Run.schedule_id.in_(schedule_ids))
        .group_by(Run.schedule_id, Run.status)
    )
    statistics: dict[UUID, dict[str, int]] = {}
    for schedule_id, status, count in rows:
        statistics.setdefault(schedule_id, {})[status] = count
    return statistics


def page_of_log(run_id: UUID, page: PageRequest) -> Page[RunLogLine]:
    statement = sa.select(RunLogLine).where(RunLogLine.run_id == run_id)
    sorts = {"at": RunLogLine.at}
    return fetch_page(session(), statement, request_=page, sorts=sorts, default_sort="at", key=RunLogLine.id)


def claim_due_schedules(limit: int, *, except_ids: Iterable[UUID] = ()) -> list[Schedule]:
    """Due schedules in the order of their due times, locked; those that others hold are left out."""
    statement = (
        sa.select(Schedule)
        .where(
            Schedule.status == "active",
            Schedule.next_run_at <= database_now(),
            sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now()),
        )
        .order_by(Schedule.next_run_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if excluded := list(except_ids):
        statement = statement.where(Schedule.id.not_in(excluded))
    return list(session().scalars(statement))


def schedules_with_open_runs(schedule_ids: Sequence[UUID]) -> set[UUID]:
    statement = sa.select(Run.schedule_id).where(
        Run.schedule_id.in_(schedule_ids), Run.status.in_(OPEN_STATUSES)
    )
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
    due = sa.select(sa.func.min(Schedule.next_run_at)).where(
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


def attach_history(schedules: Sequence[Schedule]) -> None:
    """Look up ``last_run`` and ``stats`` of the schedules, in two statements."""
    ids = [schedule.id for schedule in schedules]
    newest, statistics = last_runs(ids), run_statistics(ids)
    for schedule in schedules:
        schedule.__dict__["_last_run"] = newest.get(schedule.id)
        schedule.__dict__["_stats"] = statistics.get(schedule.id, {})
