"""Tasks as JSON that the database writes: what ``TaskSchema`` and ``TaskDetailSchema`` declare."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.json_sql import JsonList, JsonObject, member, object_of, or_null, text_member
from taskapi.core.reading import Written, read
from taskapi.core.visibility import sees_everything
from taskapi.files import service as files
from taskapi.tasks.models import Comment, Tag, Task, TaskTag
from taskapi.tasks.queries import visible_to
from taskapi.tasks.schemas import CommentSchema, TagSchema, TaskDetailSchema, TaskSchema
from taskapi.tasks.shown import COMMENTS_SHOWN

TASKS = Task.__table__.c


def find_task(actor: Actor, task_id: UUID) -> Written | None:
    """A task that the actor sees, with its comments and files, by one statement."""
    rows = read(_one, not sees_everything(actor), id=task_id, me=actor.user_id)
    return _written(task_id, rows[0]) if rows else None


def task_in_full(task_id: UUID) -> Written:
    """The same for a task that is there."""
    return _written(task_id, read(_one, False, id=task_id)[0])


def row_of_list(columns: sa.ColumnCollection[str, Any]) -> sa.ColumnElement[str]:
    """A task as lists show it."""
    return sa.cast(object_of(TaskSchema, columns, **_made(columns)), sa.Text)


def _written(task_id: UUID, row: Any) -> Written:
    text, version, state = row
    return Written(id=task_id, text=text, version=version, state=state)


def _one(only_mine: bool) -> sa.Select[Any]:
    made = {"comments": _comments(), "files": files.list_of_task(task_id=TASKS.id)}
    text = sa.cast(object_of(TaskDetailSchema, TASKS, **_made(TASKS), **made), sa.Text)
    # Not all comments are shown, but an edit of any is news.
    edits = sa.select(sa.func.coalesce(sa.func.sum(Comment.version), 0)).where(Comment.task_id == Task.id)
    statement = sa.select(text, Task.version, edits.scalar_subquery())
    me = sa.bindparam("me", type_=sa.Uuid())
    seen = visible_to(me) if only_mine else Task.deleted_at.is_(None)
    return statement.where(Task.id == sa.bindparam("id", type_=sa.Uuid()), seen)


def _made(columns: sa.ColumnCollection[str, Any]) -> dict[str, sa.ColumnElement[Any]]:
    """What of a task is no column of its own."""
    tags = sa.select(object_of(TagSchema, Tag.__table__.c)).join(TaskTag, TaskTag.tag_id == Tag.id)
    kept = columns.weather
    weather = {"temperature": member(kept, "temperature"), "condition": text_member(kept, "condition")}
    comments = sa.select(sa.func.count()).where(Comment.task_id == columns.id)
    return {
        "tags": JsonList(tags.where(TaskTag.task_id == columns.id).order_by(Tag.name_key)),
        "weather": or_null(kept.is_not(None), JsonObject(weather)),
        "comment_count": comments.scalar_subquery(),
        "file_count": files.number_of_task(task_id=columns.id),
    }


def _comments() -> JsonList:
    """The newest comments, oldest of them first."""
    newest = sa.select(Comment).where(Comment.task_id == Task.id).correlate(Task)
    newest = newest.order_by(Comment.created_at.desc(), Comment.id.desc())
    shown = newest.limit(sa.literal_column(str(COMMENTS_SHOWN))).subquery()
    author = accounts.directory_entry(user_id=shown.c.author_id)
    item = object_of(CommentSchema, shown.c, author=author)
    return JsonList(sa.select(item).order_by(shown.c.created_at, shown.c.id))
