"""Deleting tasks so that they can be restored, and restoring them."""

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.tasks.changes import flush, record_change
from taskapi.tasks.errors import ExternalIdTaken, TaskNotDeleted
from taskapi.tasks.models import Task


def delete(actor: Actor | None, task: Task) -> None:
    """Delete a task whose row is locked; its comments and files stay with it.

    Args:
        actor: who does it; None for the operator.
    """
    task.deleted_at = task.updated_at = clock.now()
    task.version += 1
    flush()
    record_change(actor, task, "task.deleted")


def restore(actor: Actor | None, task: Task) -> None:
    """Bring a task back whose row is locked.

    Args:
        actor: who does it; None for the operator.

    Raises:
        TaskNotDeleted
        ExternalIdTaken: a newer task has its outside id.
    """
    if task.deleted_at is None:
        raise TaskNotDeleted("The task is not deleted.")
    task.deleted_at, task.updated_at = None, clock.now()
    task.version += 1
    try:
        flush()
    except ExternalIdTaken as error:
        raise ExternalIdTaken("A newer task has its outside id.") from error
    record_change(actor, task, "task.restored")
