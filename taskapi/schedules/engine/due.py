"""What is due: the dispatcher's claims of schedules and retries, locked so that one dispatcher gets them."""

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.schedules.models import Run, Schedule

# So many times a batch of due schedules is looked at, since others may hold a part.
CANDIDATES = 4


def claim_due_schedules(limit: int) -> list[Schedule]:
    """Due schedules, locked: the oldest of each owner first, then the second …; no backlog hides another's.

    Those that other schedulers hold are left out, and there are enough candidates for several.
    """
    is_due = (
        Schedule.status == "active",
        Schedule.dispatch_at <= database_now(),
        _is_not_set_aside(),
    )
    place = sa.func.row_number().over(partition_by=Schedule.owner_id, order_by=Schedule.dispatch_at)
    due = sa.select(Schedule.id, Schedule.dispatch_at, place.label("place")).where(*is_due).subquery()
    order = (due.c.place, due.c.dispatch_at)
    first = sa.select(due).order_by(*order).limit(limit * CANDIDATES).subquery("first")
    statement = (
        sa.select(Schedule)
        .join(first, first.c.id == Schedule.id)
        # Once more, for a row that changed before it was locked.
        .where(*is_due)
        .order_by(first.c.place, first.c.dispatch_at)
        .limit(limit)
        .with_for_update(of=Schedule, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def claim_unsettled_schedules(limit: int) -> list[Schedule]:
    """Cancelled schedules with due times before their end that have no run yet, locked."""
    statement = (
        sa.select(Schedule)
        .where(Schedule.unsettled_from.is_not(None), _is_not_set_aside())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def _is_not_set_aside() -> sa.ColumnElement[bool]:
    return sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now())


def seconds_until_due() -> float | None:
    """Seconds until the next due time or retry by the database's clock; None when there is none."""
    unsettled = sa.exists().where(Schedule.unsettled_from.is_not(None), _is_not_set_aside())
    if session().scalar(sa.select(unsettled)):
        return 0.0
    due = sa.select(sa.func.min(Schedule.dispatch_at)).where(
        Schedule.status == "active",
        _is_not_set_aside(),
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
