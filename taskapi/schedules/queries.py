"""Reads of schedules and runs, scoped to who asks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, count_up_to, fetch_page
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine import counts
from taskapi.schedules.models import Run, Schedule

# The reason of a due time that was skipped by hand, before it came.
LEFT_OUT_BY_HAND = "manual"
# Stands for "never" where a list is sorted by a time that may be missing.
NEVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def visible_schedules(actor: Actor | None) -> sa.Select[Schedule]:
    """Those of the actor; all for an administrator, and for the operator, who is nobody."""
    statement = sa.select(Schedule).where(Schedule.deleted_at.is_(None))
    if actor is None or actor.is_admin:
        return statement
    return statement.where(Schedule.owner_id == actor.user_id)


def not_ended(owner_id: UUID) -> sa.Select[Schedule]:
    """Schedules of a user that run, or may run again."""
    return sa.select(Schedule).where(
        Schedule.owner_id == owner_id, Schedule.status != "cancelled", Schedule.deleted_at.is_(None)
    )


def lock_not_ended(owner_id: UUID) -> Sequence[Schedule]:
    """The same, locked in the order of their ids, before any of their runs, as everybody locks them."""
    statement = not_ended(owner_id).order_by(Schedule.id).with_for_update()
    return session().scalars(statement.execution_options(populate_existing=True)).all()


def count_live(owner_id: UUID, *, limit: int) -> int:
    """How many schedules of a user are active or paused; it stops counting at ``limit``."""
    theirs = sa.select(Schedule.id).where(Schedule.owner_id == owner_id, Schedule.deleted_at.is_(None))
    return count_up_to(session(), theirs.where(Schedule.status.in_(("active", "paused"))), limit)


def due_next(owner_id: UUID, *, before: datetime, limit: int) -> Sequence[Schedule]:
    """A user's active schedules that are due before a moment, the next first."""
    theirs = sa.select(Schedule).where(Schedule.owner_id == owner_id, Schedule.deleted_at.is_(None))
    statement = theirs.where(Schedule.status == "active", Schedule.next_run_at < before)
    return session().scalars(statement.order_by(Schedule.next_run_at, Schedule.id).limit(limit)).all()


def find_schedule(actor: Actor | None, schedule_id: UUID, *, lock: bool) -> Schedule | None:
    """The schedule; locked, it waits for a dispatch of it and then sees what that did."""
    statement = visible_schedules(actor).where(Schedule.id == schedule_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def page_of_schedules(actor: Actor, page: PageRequest, **filters: Any) -> Page[Schedule]:
    """One page of the schedules that the actor sees; see ``filtered_schedules`` for the filters."""
    sorts = {
        "created_at": Schedule.created_at,
        "name": Schedule.name,
        "next_run_at": sa.func.coalesce(Schedule.next_run_at, sa.literal(NEVER, Schedule.next_run_at.type)),
    }
    return fetch_page(
        session(),
        filtered_schedules(visible_schedules(actor), **filters),
        request_=page,
        sorts=sorts,
        default_sort="-created_at",
        key=Schedule.id,
    )


def filtered_schedules(
    statement: sa.Select[Schedule],
    *,
    owner_id: Sequence[UUID] = (),
    status: Sequence[str] = (),
    action: Sequence[str] = (),
    last_run_status: Sequence[str] = (),
    q: str | None = None,
    next_before: datetime | None = None,
    next_after: datetime | None = None,
) -> sa.Select[Schedule]:
    """Those of the schedules that fit; a sequence means 'any of', ``q`` a part of the name."""
    if owner_id:
        statement = statement.where(Schedule.owner_id.in_(owner_id))
    if status:
        statement = statement.where(Schedule.status.in_(status))
    if action:
        statement = statement.where(Schedule.action.in_(action))
    if last_run_status:
        last = _newest(Run, Run.status)
        statement = statement.where(last.scalar_subquery().in_(last_run_status))
    if q:
        statement = statement.where(Schedule.name.icontains(q, autoescape=True))
    if next_before is not None:
        statement = statement.where(Schedule.next_run_at < next_before)
    if next_after is not None:
        statement = statement.where(Schedule.next_run_at >= next_after)
    return statement


def failed_runs(
    actor: Actor,
    *,
    limit: int,
    run_ids: Sequence[UUID] | None = None,
    schedule_id: UUID | None = None,
    action: Sequence[str] = (),
    scheduled_before: datetime | None = None,
    scheduled_after: datetime | None = None,
) -> Sequence[Run]:
    """The actor's own failed runs whose schedules live, oldest first."""
    statement = sa.select(Run).join(Schedule, Schedule.id == Run.schedule_id)
    statement = statement.where(Run.owner_id == actor.user_id, Run.status == "failed")
    statement = statement.where(Schedule.status != "cancelled", Schedule.deleted_at.is_(None))
    if run_ids is not None:
        statement = statement.where(Run.id.in_(run_ids))
    if schedule_id is not None:
        statement = statement.where(Run.schedule_id == schedule_id)
    if action:
        statement = statement.where(Run.action.in_(action))
    if scheduled_before is not None:
        statement = statement.where(Run.scheduled_for < scheduled_before)
    if scheduled_after is not None:
        statement = statement.where(Run.scheduled_for >= scheduled_after)
    return session().scalars(statement.order_by(Run.created_at, Run.id).limit(limit)).all()


def page_of_backfills(schedule_id: UUID, page: PageRequest) -> Page[Backfill]:
    statement = sa.select(Backfill).where(Backfill.schedule_id == schedule_id)
    sorts = {"created_at": Backfill.created_at}
    return fetch_page(
        session(), statement, request_=page, sorts=sorts, default_sort="-created_at", key=Backfill.id
    )


def find_backfill(schedule_id: UUID, backfill_id: UUID) -> Backfill | None:
    statement = sa.select(Backfill).where(Backfill.id == backfill_id, Backfill.schedule_id == schedule_id)
    return session().scalar(statement)


def _newest(run: Any, column: Any) -> sa.Select[Any]:
    """A column of the newest run of the schedule around; due times left out by hand may lie ahead."""
    left_out = sa.and_(run.status == "skipped", sa.func.coalesce(run.reason, "") == LEFT_OUT_BY_HAND)
    newest = sa.select(column).where(run.schedule_id == Schedule.id, sa.not_(left_out))
    return newest.order_by(run.created_at.desc(), run.id.desc()).limit(1)


def last_run_ids(schedule_ids: Collection[UUID]) -> set[UUID]:
    """The newest runs of those of the schedules that are in sight."""
    newest = _newest(Run, Run.id).correlate(Schedule).scalar_subquery()
    statement = sa.select(newest).where(Schedule.id.in_(schedule_ids), Schedule.deleted_at.is_(None))
    return set(session().scalars(statement))


def last_runs(schedule_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """The newest run of each schedule."""
    inner = aliased(Run)
    newest = _newest(inner, inner.id).correlate(Schedule).scalar_subquery()
    statement = sa.select(Run).join(Schedule, Schedule.id == Run.schedule_id)
    statement = statement.where(Schedule.id.in_(schedule_ids), Run.id == newest)
    return {run.schedule_id: run for run in session().scalars(statement)}


def attach_history(schedules: Sequence[Schedule]) -> None:
    """Look up ``last_run`` and ``stats`` of the schedules, at a cost that their history does not raise."""
    ids = [schedule.id for schedule in schedules]
    newest, statistics = last_runs(ids), counts.counted(ids)
    for schedule in schedules:
        schedule.__dict__["_last_run"] = newest.get(schedule.id)
        schedule.__dict__["_stats"] = statistics.get(schedule.id, {})
