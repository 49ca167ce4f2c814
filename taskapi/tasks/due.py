"""Somebody's tasks by when they are due: the matter of a calendar."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import load_only

from taskapi.core.batches import batches
from taskapi.core.db import session
from taskapi.tasks import queries
from taskapi.tasks.models import Task

# The rest takes as long to read again.
NEEDED = load_only(
    *(Task.title, Task.description, Task.status, Task.priority, Task.due_date, Task.assignee_id),
    *(Task.version, Task.created_at, Task.updated_at, Task.completed_at),
    raiseload=True,
)


@dataclass(frozen=True, slots=True)
class DueTask:
    """A task with a due date, and the names of its tags."""

    task: Task
    tags: Sequence[str]


def due_around(
    *, user_id: UUID, moment: datetime, back: timedelta, ahead: timedelta, limit: int
) -> list[DueTask]:
    """The tasks that a user made or was given and that are due around a moment, the nearest if too many.

    Cancelled and deleted ones are left out, done ones are not.
    """
    nearest = sorted(_due_dates(user_id, moment, back, ahead, limit), key=lambda row: abs(row[1] - moment))
    found: list[DueTask] = []
    for ids in batches([task_id for task_id, _ in nearest[:limit]]):
        tags = queries.tag_names_of(ids)
        # Asked again: it may have become somebody else's since its id was read.
        tasks = sa.select(Task).where(Task.id.in_(ids), sa.or_(*_theirs(user_id)), *_shown())
        found += [DueTask(task, tags[task.id]) for task in session().scalars(tasks.options(NEEDED))]
    return found


def _due_dates(
    user_id: UUID, moment: datetime, back: timedelta, ahead: timedelta, limit: int
) -> Sequence[sa.Row[UUID, datetime]]:
    """Ids and due dates: before and after the moment, made and given, each the nearest along an index."""
    due = Task.due_date
    sides = (
        (due >= moment, due < moment + ahead, due.asc()),
        (due < moment, due >= moment - back, due.desc()),
    )
    parts = [
        sa.select(Task.id, due).where(is_theirs, *_shown(), *bounds).order_by(order).limit(limit).subquery()
        for is_theirs in _theirs(user_id)
        for *bounds, order in sides
    ]
    return session().execute(sa.union(*(sa.select(part) for part in parts))).all()


def _theirs(user_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return Task.creator_id == user_id, Task.assignee_id == user_id


def _shown() -> tuple[sa.ColumnElement[bool], ...]:
    return Task.deleted_at.is_(None), Task.due_date.is_not(None), Task.status != "cancelled"
