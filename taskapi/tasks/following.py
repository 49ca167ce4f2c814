"""Who follows a task and what hangs on it, and what they are shown."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.following import EVERYBODY, TEAM, Readers
from taskapi.tasks import shown
from taskapi.tasks.models import Comment, Tag, Task
from taskapi.tasks.schemas import CommentSchema, TagSchema, TaskSchema


def readers_of_tasks(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Whose task an event is about, and whose it was until then; of a purged one, who made it."""
    topics = {event.topic_id for event in events if event.topic_id}
    statement = sa.select(Task.id, Task.creator_id, Task.assignee_id).where(Task.id.in_(topics))
    people = {task_id: {creator, assignee} for task_id, creator, assignee in session().execute(statement)}
    return {
        event.id: _readers(event, people.get(event.topic_id, {event.owner_id}) if event.topic_id else set())
        for event in events
    }


def _readers(event: Event, people: set[UUID | None]) -> Readers:
    now = frozenset({TEAM, *(person for person in people if person)})
    was_assigned = (event.before or {}).get("assignee_id") if event.subject_type == "task" else None
    return Readers(now, frozenset({UUID(was_assigned)} if was_assigned else ()) - now)


def readers_of_tags(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Everybody: one installation is one team."""
    return {event.id: Readers(frozenset({EVERYBODY})) for event in events}


def show_tasks(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Tasks as lists show them, without deleted ones."""
    living = sa.select(Task).where(Task.id.in_(ids), Task.deleted_at.is_(None))
    tasks = session().scalars(living).all()
    schema = TaskSchema()
    return {task.id: schema.dump(task) for task in shown.in_lists(tasks)}


def show_comments(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Comments of tasks that are there, with their authors."""
    living = sa.select(Comment).join(Task, Task.id == Comment.task_id)
    statement = living.where(Comment.id.in_(ids), Task.deleted_at.is_(None))
    comments = session().scalars(statement).all()
    schema = CommentSchema()
    return {comment.comment.id: schema.dump(comment) for comment in shown.with_authors(comments)}


def show_tags(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Tags."""
    schema = TagSchema()
    return {tag.id: schema.dump(tag) for tag in session().scalars(sa.select(Tag).where(Tag.id.in_(ids)))}
