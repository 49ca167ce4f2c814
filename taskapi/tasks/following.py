"""Who follows a task and what hangs on it, and what they are shown."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.following import ADMINISTRATORS, EVERYBODY, TEAM, Readers
from taskapi.files.following import tasks_of_files
from taskapi.tasks import shown
from taskapi.tasks.models import Comment, Tag, Task
from taskapi.tasks.schemas import CommentSchema, TagSchema, TaskSchema

People: TypeAlias = set[UUID | None]


def readers_of_tasks(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Whose task an event is about, and whose it was until then; of a purged one, who made it."""
    people = _people_of({task_id for event in events if (task_id := _task_of(event))})
    return {event.id: _readers(event, people.get(_task_of(event), {event.owner_id})) for event in events}


def _task_of(event: Event) -> UUID | None:
    # What is no part of a task's history names the task as its subject alone.
    return event.subject_id if event.subject_type == "task" else event.topic_id


def _people_of(task_ids: Collection[UUID], *conditions: sa.ColumnElement[bool]) -> dict[UUID | None, People]:
    statement = sa.select(Task.id, Task.creator_id, Task.assignee_id).where(Task.id.in_(task_ids))
    rows = session().execute(statement.where(*conditions))
    return {task_id: {creator, assignee} for task_id, creator, assignee in rows}


def _readers(event: Event, people: People) -> Readers:
    now = frozenset({TEAM, *(person for person in people if person)})
    was_assigned = (event.before or {}).get("assignee_id") if event.subject_type == "task" else None
    return Readers(now, frozenset({UUID(was_assigned)} if was_assigned else ()) - now)


def readers_of_files(events: Sequence[Event]) -> Mapping[UUID, Readers]:
    """Whose file it is, administrators, and who sees the task that it is attached to, or was when it went."""
    attached = tasks_of_files({event.subject_id for event in events})
    tasks = {event.id: attached.get(event.subject_id, event.topic_id) for event in events}
    people = _people_of({task_id for task_id in tasks.values() if task_id}, Task.deleted_at.is_(None))
    found: dict[UUID, Readers] = {}
    for event in events:
        # A task that is deleted lets nobody see its files.
        task_id = tasks[event.id]
        others = {TEAM, *people[task_id]} if task_id in people else set()
        readers = {ADMINISTRATORS, event.owner_id, *others}
        found[event.id] = Readers(frozenset(reader for reader in readers if reader))
    return found


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
