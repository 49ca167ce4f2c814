"""What there is to do for somebody, and what happened to it: the matter of a digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.tasks.models import OPEN_STATUSES, Task

# So many of each section are named; the others are counted.
NAMED = 10
DAYS_AHEAD = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Tasks of one kind: how many, and the first of them by due date, or the last that were completed."""

    name: str
    count: int
    tasks: Sequence[Task]


def summarize(
    *, user_id: UUID, now: datetime, timezone: str, since: datetime, assigned: sa.Select[UUID | None]
) -> list[Section]:
    """What a user is to do, and what was done; sections with nothing in them are left out.

    Args:
        timezone: decides what is due today, and within a week.
        since: from when on completed tasks count.
        assigned: finds the ids of tasks that the user was given lately, of which there may be very many.
    """
    today = now.astimezone(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Added on the wall: a day of 23 or 25 hours is one day.
    tomorrow, in_a_week = today + timedelta(days=1), today + timedelta(days=DAYS_AHEAD)
    is_open = Task.status.in_(OPEN_STATUSES)
    to_do = sa.and_(is_open, _is_to_do_for(user_id))
    sections = (
        ("overdue", sa.and_(to_do, Task.due_date < now)),
        ("due_today", sa.and_(to_do, Task.due_date >= now, Task.due_date < tomorrow)),
        ("due_this_week", sa.and_(to_do, Task.due_date >= max(now, tomorrow), Task.due_date < in_a_week)),
        ("assigned", sa.and_(is_open, Task.assignee_id == user_id, Task.id.in_(assigned))),
        ("completed", sa.and_(Task.completed_at >= since, _belongs_to(user_id))),
    )
    found = (_section(name, condition) for name, condition in sections)
    return [section for section in found if section.count]


def _section(name: str, condition: sa.ColumnElement[bool]) -> Section:
    wanted = (Task.deleted_at.is_(None), condition)
    count = session().scalar(sa.select(sa.func.count()).select_from(Task).where(*wanted)) or 0
    # What is done is news, the latest first; what is to do comes as it is due.
    order = Task.completed_at.desc() if name == "completed" else Task.due_key
    first = sa.select(Task).where(*wanted).order_by(order, Task.id).limit(NAMED)
    return Section(name=name, count=count, tasks=session().scalars(first).all() if count else ())


def _is_to_do_for(user_id: UUID) -> sa.ColumnElement[bool]:
    """Whether a task is the user's to do: given to them, or their own and given to nobody."""
    own = sa.and_(Task.creator_id == user_id, Task.assignee_id.is_(None))
    return sa.or_(Task.assignee_id == user_id, own)


def _belongs_to(user_id: UUID) -> sa.ColumnElement[bool]:
    return sa.or_(Task.assignee_id == user_id, Task.creator_id == user_id)
