"""What the operator does with tasks from the shell: everything, and in nobody's name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.db import session
from taskapi.tasks import deletion, editing
from taskapi.tasks.errors import TaskNotFound
from taskapi.tasks.models import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """A task with the names of its people."""

    task: Task
    creator: str | None
    assignee: str | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


def list_tasks(
    *,
    user_id: UUID | None = None,
    statuses: Sequence[str] = (),
    deleted: bool = False,
    limit: int | None = None,
) -> list[ListedTask]:
    """Everybody's tasks, newest first.

    Args:
        user_id: only those that this user made or is to do.
    """
    statement = sa.select(Task).where(Task.deleted_at.is_not(None) if deleted else Task.deleted_at.is_(None))
    if user_id is not None:
        statement = statement.where(sa.or_(Task.creator_id == user_id, Task.assignee_id == user_id))
    if statuses:
        statement = statement.where(Task.status.in_(statuses))
    newest = statement.order_by(Task.created_at.desc(), Task.id.desc()).limit(limit)
    return _with_people(session().scalars(newest).all())


def show_task(*, task_id: UUID) -> ListedTask:
    """A task, deleted or not.

    Raises:
        TaskNotFound
    """
    return _with_people([_find(task_id, lock=False)])[0]


def cancel_task(*, task_id: UUID) -> ListedTask:
    """Cancel a task; cancelled already, it stays as it is.

    Raises:
        TaskNotFound: also when it is deleted.
    """
    task = _find_living(task_id)
    editing.change(None, task, {"status": "cancelled"})
    return _with_people([task])[0]


def delete_task(*, task_id: UUID) -> ListedTask:
    """Delete a task so that it can be restored.

    Raises:
        TaskNotFound: also when it is deleted already.
    """
    task = _find_living(task_id)
    deletion.delete(None, task)
    return _with_people([task])[0]


def restore_task(*, task_id: UUID) -> ListedTask:
    """Bring a deleted task back.

    Raises:
        TaskNotFound, TaskNotDeleted, ExternalIdTaken
    """
    task = _find(task_id, lock=True)
    deletion.restore(None, task)
    return _with_people([task])[0]


def _find_living(task_id: UUID) -> Task:
    task = _find(task_id, lock=True)
    if task.deleted_at is not None:
        raise TaskNotFound(f"Task {task_id} is deleted.")
    return task


def _find(task_id: UUID, *, lock: bool) -> Task:
    statement = sa.select(Task).where(Task.id == task_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    task = session().scalar(statement)
    if task is None:
        raise TaskNotFound(f"There is no task {task_id}.")
    return task


def _with_people(tasks: Sequence[Task]) -> list[ListedTask]:
    people = {task.creator_id for task in tasks} | {task.assignee_id for task in tasks if task.assignee_id}
    names = accounts.usernames(user_ids=people)
    return [
        ListedTask(
            task=task,
            creator=names.get(task.creator_id),
            assignee=names.get(task.assignee_id) if task.assignee_id else None,
        )
        for task in tasks
    ]
