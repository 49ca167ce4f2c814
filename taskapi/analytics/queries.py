"""Figures over the tasks that somebody sees, counted by the database. Deleted tasks count nowhere."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.analytics.periods import Period
from taskapi.core.access import Actor
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import session
from taskapi.core.percentiles import Ranked, seconds_between
from taskapi.core.visibility import sees_everything
from taskapi.tasks.models import OPEN_STATUSES, Task
from taskapi.tasks.queries import conditions, is_overdue, is_visible

# Bounds of a range of times: from the first on, before the second; None is no bound.
Range = tuple[datetime | None, datetime | None]


def count_by_status_and_creator(actor: Actor, created: Range) -> Sequence[sa.Row[str, UUID, int]]:
    counted = sa.select(Task.status, Task.creator_id, sa.func.count())
    seen = counted.where(is_visible(actor), *_within(Task.created_at, created))
    return session().execute(seen.group_by(Task.status, Task.creator_id)).all()


def count_by_status(actor: Actor, **filters: Any) -> dict[str, int]:
    """How many tasks fit, by those statuses that some have; see ``tasks.queries.conditions``."""
    counted = sa.select(Task.status, sa.func.count()).where(is_visible(actor), *conditions(actor, **filters))
    return dict(session().execute(counted.group_by(Task.status)).all())


def count_by_status_and_priority(actor: Actor, today: Range) -> Sequence[Any]:
    """Of each status and priority: how many, and how many of them are overdue, due today, nobody's."""
    is_due = sa.and_(Task.status.in_(OPEN_STATUSES), *_within(Task.due_date, today))
    counted = sa.select(
        Task.status,
        Task.priority,
        sa.func.count().label("total"),
        sa.func.count().filter(is_overdue()).label("overdue"),
        sa.func.count().filter(is_due).label("due_today"),
        sa.func.count().filter(Task.assignee_id.is_(None)).label("unassigned"),
    )
    return session().execute(counted.where(is_visible(actor)).group_by(Task.status, Task.priority)).all()


def count_by_assignee(actor: Actor, created: Range) -> dict[UUID, tuple[int, int]]:
    """How many tasks each was given, and how many of them are done."""
    counted = sa.select(Task.assignee_id, sa.func.count(), sa.func.count().filter(Task.status == "done"))
    given = counted.where(
        Task.assignee_id.is_not(None), is_visible(actor), *_within(Task.created_at, created)
    )
    rows = session().execute(given.group_by(Task.assignee_id))
    return {assignee_id: (assigned, done) for assignee_id, assigned, done in rows if assignee_id}


def median_seconds(actor: Actor, created: Range, assignee_ids: Collection[UUID]) -> dict[UUID, float]:
    """How long tasks took from being made to being done, for those of the assignees who have done some."""
    taken = Ranked.within(Task.assignee_id, seconds_between(Task.created_at, Task.completed_at))
    done = sa.select(Task.assignee_id, *taken.labelled("taken")).where(
        Task.assignee_id.in_(assignee_ids),
        Task.status == "done",
        is_visible(actor),
        *_within(Task.created_at, created),
    )
    ranked = done.subquery()
    median = Ranked.read(ranked, "taken").percentile(0.5)
    rows = session().execute(sa.select(ranked.c.assignee_id, median).group_by(ranked.c.assignee_id))
    return {assignee_id: seconds for assignee_id, seconds in rows if seconds is not None}


def count_in_periods(actor: Actor, found: Sequence[Period]) -> Sequence[sa.Row[int, int, int]]:
    """Of each period, by its number: how many tasks were created in it, and how many completed."""
    columns = (
        sa.column("number", sa.Integer),
        sa.column("since", UtcDateTime),
        sa.column("until", UtcDateTime),
    )
    rows = [(number, period.since, period.until) for number, period in enumerate(found)]
    asked = sa.values(*columns, name="asked").data(rows).cte("periods")
    created = _count_between(actor, Task.created_at, asked)
    completed = _count_between(actor, Task.completed_at, asked)
    return session().execute(sa.select(asked.c.number, created, completed).order_by(asked.c.number)).all()


def _count_between(actor: Actor, column: Any, asked: sa.CTE) -> sa.ColumnElement[int]:
    """How many tasks have their time between those of the row around.

    A task is the actor's for one of two reasons. Counted apart, either is one range of an index;
    joined by OR, a database may read all tasks of the period, or of the actor, for each period.
    """
    living = (Task.deleted_at.is_(None), column >= asked.c.since, column < asked.c.until)
    counted = sa.select(sa.func.count()).select_from(Task).where(*living)
    if sees_everything(actor):
        return counted.scalar_subquery()
    own = counted.where(Task.creator_id == actor.user_id)
    given = counted.where(Task.assignee_id == actor.user_id, Task.creator_id != actor.user_id)
    return own.scalar_subquery() + given.scalar_subquery()


def _within(column: Any, bounds: Range) -> list[sa.ColumnElement[bool]]:
    start, end = bounds
    return [*([column >= start] if start else []), *([column < end] if end else [])]
