"""Reads of comments; who may see their task has been checked."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.tasks.models import Comment


def page_of_comments(task_id: UUID, page: PageRequest) -> Page[Comment]:
    statement = sa.select(Comment).where(Comment.task_id == task_id)
    sorts = {"created_at": Comment.created_at}
    return fetch_page(
        session(), statement, request_=page, sorts=sorts, default_sort="created_at", key=Comment.id
    )


def find_comment(task_id: UUID, comment_id: UUID, *, lock: bool = False) -> Comment | None:
    """A comment of this task; locked, it waits for who changes it and then sees what they did."""
    statement = sa.select(Comment).where(Comment.id == comment_id, Comment.task_id == task_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def authors_of(task_id: UUID) -> Sequence[UUID]:
    """Who has commented on a task, each once."""
    known = (Comment.task_id == task_id, Comment.author_id.is_not(None))
    return [
        author
        for author in session().scalars(sa.select(Comment.author_id).where(*known).distinct())
        if author
    ]
