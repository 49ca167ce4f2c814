"""What becomes of tasks when the account of one of their people is closed.

A task goes to whoever is named for all of them, or else to whoever is to do it; without anybody
else it goes for good. All in the transaction that closes the account, but only a batch is held in memory.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.files import service as files
from taskapi.tasks.changes import record_change
from taskapi.tasks.models import Comment, Tag, Task
from taskapi.tasks.purging import erase
from taskapi.tasks.search import index_all_again

BATCH = 200


def hand_over_tasks_of(user_id: UUID, heir_id: UUID, actor: Actor | None) -> None:
    """Let somebody else have made what a user made, and do what they were to do; deleted tasks, too."""
    for condition in (Task.deleted_at.is_(None), Task.deleted_at.is_not(None)):
        for tasks in _batches(Task.creator_id == user_id, condition):
            _give(tasks, user_id, heir_id, actor)
        for tasks in _batches(Task.assignee_id == user_id, condition):
            _give(tasks, user_id, heir_id, actor)
    tags = sa.update(Tag).where(Tag.creator_id == user_id).values(creator_id=heir_id)
    session().execute(tags.execution_options(synchronize_session=False))


def settle_tasks_of(user_id: UUID, actor: Actor | None) -> None:
    """Hand over or delete what a user made, unassign them, and take their name off their comments."""
    living, deleted = Task.deleted_at.is_(None), Task.deleted_at.is_not(None)
    for tasks in _batches(Task.creator_id == user_id, living):
        _settle(tasks, user_id, actor)
    for tasks in _batches(Task.creator_id == user_id, deleted):
        _delete(tasks, actor)
    for condition in (living, deleted):
        for tasks in _batches(Task.assignee_id == user_id, condition):
            _unassign(tasks, user_id, actor)
    # The version tells clients that what they have kept of the task is old.
    said = sa.update(Comment).where(Comment.author_id == user_id)
    said = said.values(author_id=None, version=Comment.version + 1)
    session().execute(said.execution_options(synchronize_session=False))


def _batches(*conditions: sa.ColumnElement[bool]) -> Iterator[Sequence[Task]]:
    """Batches of these tasks, locked, until there are none: each must be settled before the next."""
    some = sa.select(Task).where(*conditions).order_by(Task.created_at, Task.id).limit(BATCH)
    statement = some.with_for_update().execution_options(populate_existing=True)
    while tasks := session().scalars(statement).all():
        yield tasks


def _settle(tasks: Sequence[Task], user_id: UUID, actor: Actor | None) -> None:
    """Each task goes to its assignee, if that is somebody else who is there."""
    assignees = {task.assignee_id for task in tasks if task.assignee_id not in (None, user_id)}
    heirs = accounts.lock_active(user_ids=[person for person in assignees if person])
    _delete([task for task in tasks if task.assignee_id not in heirs], actor)
    _hand_over([task for task in tasks if task.assignee_id in heirs], user_id, actor)


def _hand_over(tasks: Sequence[Task], user_id: UUID, actor: Actor | None) -> None:
    for task in tasks:
        assert task.assignee_id is not None
        # Outside ids are unique for a creator, and mean nothing to another.
        task.creator_id, task.external_id = task.assignee_id, None
        before, after = {"creator_id": str(user_id)}, {"creator_id": str(task.creator_id)}
        _note(task, actor, before, after)
    _finish(tasks)


def _give(tasks: Sequence[Task], user_id: UUID, heir_id: UUID, actor: Actor | None) -> None:
    for task in tasks:
        roles = [role for role in ("creator_id", "assignee_id") if getattr(task, role) == user_id]
        for role in roles:
            setattr(task, role, heir_id)
        if "creator_id" in roles:
            # As above.
            task.external_id = None
        # Who gets a hundred tasks wants no hundred messages.
        after = {**dict.fromkeys(roles, str(heir_id)), "handed_over": True}
        _note(task, actor, dict.fromkeys(roles, str(user_id)), after)
    _finish(tasks)


def _unassign(tasks: Sequence[Task], user_id: UUID, actor: Actor | None) -> None:
    for task in tasks:
        task.assignee_id = None
        _note(task, actor, {"assignee_id": str(user_id)}, {"assignee_id": None})
    _finish(tasks)


def _note(task: Task, actor: Actor | None, before: dict[str, Any], after: dict[str, Any]) -> None:
    task.version += 1
    task.updated_at = clock.now()
    record_change(actor, task, "task.updated", before=before, after=after)


def _finish(tasks: Sequence[Task]) -> None:
    session().flush()
    # Who finds them has changed.
    index_all_again(tasks)


def _delete(tasks: Sequence[Task], actor: Actor | None) -> None:
    """Delete tasks for good; files that others attached stay theirs."""
    files.detach_files_of_tasks(task_ids=[task.id for task in tasks])
    erase(tasks, actor=actor)
