"""Reads of tasks, scoped to who asks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import database_now, session
from taskapi.core.paging import Page, PageRequest, count_up_to, fetch_page
from taskapi.core.reading import connection
from taskapi.core.visibility import sees_everything
from taskapi.tasks.models import OPEN_STATUSES, Comment, Tag, Task, TaskTag
from taskapi.tasks.search import matches

SORTS: dict[str, Any] = {
    "created_at": Task.created_at,
    "updated_at": Task.updated_at,
    "due_date": Task.due_key,
    "priority": Task.priority,
    "title": Task.title_key,
    "status": Task.status,
}
# The same order, by what no index has: the tasks must be found before they are sorted.
FOUND_FIRST = {name: sa.func.coalesce(column, column) for name, column in SORTS.items()}
DEFAULT_SORT = "-created_at"
# As many are sorted in a moment; of more, a page is found soon by walking along an index.
FEW = 10_000
# A day, or any other stretch of time: from the first moment, before the second.
Stretch = tuple[datetime, datetime]
T = TypeVar("T")


def is_visible(actor: Actor) -> sa.ColumnElement[bool]:
    """Whether a task that is not deleted is the actor's to see."""
    return Task.deleted_at.is_(None) if sees_everything(actor) else visible_to(actor.user_id)


def visible_to(user_id: UUID | sa.ColumnElement[UUID]) -> sa.ColumnElement[bool]:
    """Whether a task that is not deleted was made by or given to somebody."""
    living = Task.deleted_at.is_(None)
    # Said twice: SQLite uses two partial indexes for an OR only if each side has their condition.
    mine = (Task.creator_id == user_id, Task.assignee_id == user_id)
    return sa.or_(*(sa.and_(living, is_mine) for is_mine in mine))


def visible_ids(actor: Actor) -> sa.Select[UUID]:
    return sa.select(Task.id).where(is_visible(actor))


def made_by(actor: Actor) -> sa.Select[UUID]:
    return sa.select(Task.id).where(Task.creator_id == actor.user_id, Task.deleted_at.is_(None))


def in_use() -> sa.Select[UUID]:
    """Tasks that somebody still works on."""
    return sa.select(Task.id).where(Task.status.in_(OPEN_STATUSES), Task.deleted_at.is_(None))


def find_task(actor: Actor, task_id: UUID, *, lock: bool = False) -> Task | None:
    """A task that the actor sees; locked, it waits for who changes it and then sees what they did."""
    return _one(sa.select(Task).where(Task.id == task_id, is_visible(actor)), lock=lock)


def was_made(task_id: UUID) -> bool:
    return session().scalar(sa.select(sa.exists().where(Task.id == task_id))) is True


def lock_deleted_task(actor: Actor, task_id: UUID) -> Task | None:
    """A task, deleted or not, that the actor made, or any for an administrator."""
    statement = sa.select(Task).where(Task.id == task_id)
    if not actor.is_admin:
        statement = statement.where(Task.creator_id == actor.user_id)
    return _one(statement, lock=True)


def lock_by_external_id(creator_id: UUID, external_id: str) -> Task | None:
    known = (Task.creator_id == creator_id, Task.external_id == external_id, Task.deleted_at.is_(None))
    return _one(sa.select(Task).where(*known), lock=True)


def _one(statement: sa.Select[Task], *, lock: bool) -> Task | None:
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def known_external_ids(creator_id: UUID, external_ids: Collection[str]) -> set[str]:
    known = sa.select(Task.external_id).where(
        Task.creator_id == creator_id, Task.external_id.in_(external_ids), Task.deleted_at.is_(None)
    )
    return {found for found in session().scalars(known) if found}


def tags_of(task_ids: Collection[UUID]) -> dict[UUID, list[Tag]]:
    """The tags of each task, by name."""
    statement = (
        sa.select(TaskTag.task_id, Tag)
        .join(Tag, Tag.id == TaskTag.tag_id)
        .where(TaskTag.task_id.in_(task_ids))
        .order_by(Tag.name_key)
    )
    found: dict[UUID, list[Tag]] = {task_id: [] for task_id in task_ids}
    for task_id, tag in session().execute(statement):
        found[task_id].append(tag)
    return found


def tag_names_of(task_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """The names of the tags of each task, in order."""
    statement = sa.select(TaskTag.task_id, Tag.name).join(Tag, Tag.id == TaskTag.tag_id)
    rows = session().execute(statement.where(TaskTag.task_id.in_(task_ids)).order_by(Tag.name_key))
    found: dict[UUID, list[str]] = {task_id: [] for task_id in task_ids}
    for task_id, name in rows:
        found[task_id].append(name)
    return found


def comment_counts(task_ids: Collection[UUID]) -> dict[UUID, int]:
    statement = sa.select(Comment.task_id, sa.func.count()).where(Comment.task_id.in_(task_ids))
    rows = session().execute(statement.group_by(Comment.task_id))
    return {task_id: count for task_id, count in rows}  # noqa: C416 - rows are no pairs for the type checker


def page_of_tasks(
    actor: Actor,
    page: PageRequest,
    *,
    shown: sa.ColumnElement[T],
    deleted: bool = False,
    **filters: Any,
) -> Page[T]:
    """One page of the tasks that the actor sees; or of deleted ones, which is for administrators.

    Args:
        shown: what is wanted of each.
    """
    seen = Task.deleted_at.is_not(None) if deleted else is_visible(actor)
    statement = sa.select(shown).select_from(Task).where(seen, *conditions(actor, **filters))
    with connection() as active:
        # A planner that expects more than there are walks along the order of all tasks, for seconds.
        number = count_up_to(active, statement, limit=FEW + 1)
        few = number <= FEW
        return fetch_page(
            active,
            statement,
            request_=page,
            sorts=FOUND_FIRST if few else SORTS,
            default_sort=DEFAULT_SORT,
            key=Task.id,
            count=(lambda: number) if few else None,
        )


def conditions(
    actor: Actor,
    *,
    status: Sequence[str] = (),
    priority: Sequence[str] = (),
    assignee_id: Sequence[UUID] = (),
    creator_id: Sequence[UUID] = (),
    user_id: Sequence[UUID] = (),
    tag: Sequence[str] = (),
    external_id: Sequence[str] = (),
    q: str | None = None,
    due_before: datetime | None = None,
    due_after: datetime | None = None,
    created_before: datetime | None = None,
    created_after: datetime | None = None,
    date: Stretch | None = None,
    overdue: bool | None = None,
) -> list[sa.ColumnElement[bool]]:
    """The filters of lists, exports and reports; several values of one mean 'any of'."""
    lists: tuple[tuple[Any, Sequence[Any]], ...] = (
        (Task.status, status),
        (Task.priority, priority),
        (Task.assignee_id, assignee_id),
        (Task.creator_id, creator_id),
        (Task.external_id, external_id),
    )
    found: list[sa.ColumnElement[bool]] = [column.in_(values) for column, values in lists if values]
    if user_id:
        found.append(sa.or_(Task.creator_id.in_(user_id), Task.assignee_id.in_(user_id)))
    if tag:
        found.append(_has_a_tag(actor, tag))
    if q:
        found.append(matches(actor, q))
    if overdue is not None:
        found.append(is_overdue() if overdue else sa.not_(is_overdue()))
    since, until = date or (None, None)
    for column, start, end in (
        (Task.due_date, due_after, due_before),
        (Task.created_at, created_after, created_before),
        (Task.created_at, since, until),
    ):
        found += [column >= start] if start else []
        found += [column < end] if end else []
    return found


def is_overdue() -> sa.ColumnElement[bool]:
    """Whether the task is open and its due date is past, marked or not yet."""
    past = sa.func.coalesce(Task.due_date < database_now(), sa.false())
    return sa.and_(Task.status.in_(OPEN_STATUSES), past)


def _has_a_tag(actor: Actor, tags: Sequence[str]) -> sa.ColumnElement[bool]:
    """Tags by name in any case, or by id."""
    ids = [UUID(tag) for tag in tags if is_id(tag)]
    named = sa.or_(Tag.name_key.in_([tag.casefold() for tag in tags]), Tag.id.in_(ids))
    wanted = sa.select(TaskTag.task_id).where(TaskTag.tag_id.in_(sa.select(Tag.id).where(named)))
    if sees_everything(actor):
        return Task.id.in_(wanted)
    # One's own tasks are fewer than all that have the tag: SQLite would begin with those.
    return sa.exists(wanted.where(TaskTag.task_id == Task.id).correlate(Task))


def is_id(text: str) -> bool:
    """Whether a text that names a tag is an id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
