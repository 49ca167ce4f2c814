"""Reads of schedules and runs, scoped to who asks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.schedules.models import Run, RunLogLine, Schedule

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


def attach_history(schedules: Sequence[Schedule]) -> None:
    """Look up ``last_run`` and ``stats`` of the schedules, in two statements."""
    ids = [schedule.id for schedule in schedules]
    newest, statistics = last_runs(ids), run_statistics(ids)
    for schedule in schedules:
        schedule.__dict__["_last_run"] = newest.get(schedule.id)
        schedule.__dict__["_stats"] = statistics.get(schedule.id, {})
