"""How many tasks there are, and of whom, and what would become of them if an account were closed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.closing import Fate
from taskapi.core.db import session
from taskapi.tasks.models import STATUSES, Comment, Tag, Task


def count_tasks_of(user_ids: Collection[UUID]) -> Mapping[str, Mapping[UUID, int]]:
    """``tasks`` that each of the users made."""
    statement = sa.select(Task.creator_id, sa.func.count()).where(
        Task.creator_id.in_(user_ids), Task.deleted_at.is_(None)
    )
    rows = session().execute(statement.group_by(Task.creator_id))
    return {"tasks": {user_id: count for user_id, count in rows}}  # noqa: C416 - rows are no pairs


def count_by_status() -> dict[str, int]:
    """How many tasks there are of each status, everybody's together."""
    statement = sa.select(Task.status, sa.func.count()).where(Task.deleted_at.is_(None))
    rows = session().execute(statement.group_by(Task.status))
    return {**dict.fromkeys(STATUSES, 0), **{status: count for status, count in rows}}  # noqa: C416


def foresee_tasks_of(user_id: UUID, heir_id: UUID | None) -> Sequence[Fate]:
    """What the room of tasks would do with what a user made, was given and said."""
    goes = _goes(user_id) if heir_id is None else sa.false()
    made, given = Task.creator_id == user_id, Task.assignee_id == user_id
    others = sa.and_(given, Task.creator_id != user_id)
    said = sa.select(sa.func.count()).select_from(Comment).join(Task, Task.id == Comment.task_id)
    said = said.where(Comment.author_id == user_id, sa.not_(goes))
    tags = sa.select(sa.func.count()).where(Tag.creator_id == user_id)
    return [
        Fate(thing="tasks", outcome="deleted", count=_count(made, goes)),
        Fate(thing="tasks", outcome="handed_over", count=_count(made, sa.not_(goes))),
        Fate(thing="assignments", outcome="handed_over" if heir_id else "unassigned", count=_count(others)),
        Fate(thing="comments", outcome="anonymised", count=session().scalar(said) or 0),
        Fate(thing="tags", outcome="handed_over" if heir_id else "kept", count=session().scalar(tags) or 0),
    ]


def _goes(user_id: UUID) -> sa.ColumnElement[bool]:
    """Whether a task has nobody else to go to: see ``closing``."""
    has_another = sa.and_(
        Task.deleted_at.is_(None),
        Task.assignee_id.is_not(None),
        Task.assignee_id != user_id,
        Task.assignee_id.in_(accounts.active_ids()),
    )
    return sa.and_(Task.creator_id == user_id, sa.not_(has_another))


def _count(*conditions: Any) -> int:
    return session().scalar(sa.select(sa.func.count()).select_from(Task).where(*conditions)) or 0
