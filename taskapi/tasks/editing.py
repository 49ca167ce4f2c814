"""Changing tasks: only the fields that were sent, and only what is not so already."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.errors import ValidationFailed
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.tasks import queries
from taskapi.tasks.changes import flush, record_change
from taskapi.tasks.drafts import NO_SUCH_TAG, NO_SUCH_USER, people_of
from taskapi.tasks.errors import TaskForbidden, TaskNotFound
from taskapi.tasks.models import Tag, Task
from taskapi.tasks.search import index_again
from taskapi.tasks.state import difference, state_of
from taskapi.tasks.tagging import TagBook, replace_tags
from taskapi.tasks.weather_filling import fill_later

# A change of one of these changes the words that the task is found by, or who finds it.
SEARCHED = {"title", "description", "assignee_id"}


def update_task(
    *,
    actor: Actor,
    task_id: UUID,
    changes: dict[str, Any],
    condition: Precondition = ANY_VERSION,
    weather: dict[str, Any] | None = None,
) -> Task:
    """Change the given fields of a task that the actor may change.

    Args:
        weather: of the new city, if the city changes and it is known already.

    Raises:
        TaskNotFound, TaskForbidden, PreconditionFailed, ValidationFailed, ExternalIdTaken
    """
    task = lock_to_change(actor, task_id, condition)
    _check_external_id(actor, task, changes)
    change(actor, task, changes, weather=weather)
    return task


def check_may_change(actor: Actor, task: Task) -> None:
    """
    Raises:
        TaskForbidden: the actor sees the task, no more.
    """
    if not actor.is_admin and actor.user_id not in people_of(task):
        raise TaskForbidden("Only its creator, its assignee or an administrator changes a task.")


def _check_external_id(actor: Actor, task: Task, changes: dict[str, Any]) -> None:
    """By that id programs of its creator find the task again, and write into it what they bring."""
    is_changed = changes.get("external_id", task.external_id) != task.external_id
    if is_changed and not actor.is_admin and actor.user_id != task.creator_id:
        raise TaskForbidden("Only its creator or an administrator changes the external_id of a task.")


def lock_to_change(actor: Actor, task_id: UUID, condition: Precondition = ANY_VERSION) -> Task:
    """A task that the actor may change, locked.

    Raises:
        TaskNotFound, TaskForbidden, PreconditionFailed
    """
    task = queries.find_task(actor, task_id, lock=True)
    if task is None:
        raise TaskNotFound
    check_may_change(actor, task)
    condition.check(task.version)
    return task


def change(
    actor: Actor | None,
    task: Task,
    changes: dict[str, Any],
    *,
    weather: dict[str, Any] | None = None,
    import_id: UUID | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change fields of a task whose row is locked; what differs, before and after.

    Args:
        import_id: the import on whose behalf, if it is for one.

    Raises:
        ValidationFailed, ExternalIdTaken
    """
    tags: Sequence[Tag] = queries.tags_of([task.id])[task.id]
    before = state_of(task, tags)
    if changes.get("assignee_id") not in (None, task.assignee_id):
        _check_assignee(changes["assignee_id"])
    if "tags" in changes:
        tags = _find_tags(actor, changes["tags"])
    now = clock.now()
    _set_fields(task, {name: value for name, value in changes.items() if name != "tags"}, weather, now)
    old, new = difference(before, state_of(task, tags))
    if not new:
        return old, new
    if "tags" in new:
        replace_tags(task.id, tags)
    task.version += 1
    task.updated_at = now
    flush()
    if SEARCHED & new.keys():
        index_again(task)
    if "city" in new:
        fill_later([task])
    origin = {"import_id": str(import_id)} if import_id else {}
    record_change(actor, task, "task.updated", before=old, after={**new, **origin})
    return old, new


def _check_assignee(user_id: UUID) -> None:
    if not accounts.lock_active(user_ids=[user_id]):
        raise ValidationFailed({"assignee_id": [NO_SUCH_USER]})


def _find_tags(actor: Actor | None, names: list[str]) -> list[Tag]:
    book = TagBook(actor, names)
    if book.unknown_ids(names):
        raise ValidationFailed({"tags": [NO_SUCH_TAG]})
    return book.tags(names)


def _set_fields(task: Task, fields: dict[str, Any], weather: dict[str, Any] | None, now: datetime) -> None:
    due_before, city_before = task.due_date, task.city
    for name, value in fields.items():
        setattr(task, name, value)
    if task.due_date != due_before and "status" not in fields:
        _take_back_overdue(task, now)
    if task.status != "overdue":
        task.earlier_status = None
    if task.status == "done":
        task.completed_at = task.completed_at or now
    else:
        task.completed_at = None
    if task.city != city_before:
        task.weather, task.weather_at = weather, now if weather else None


def _take_back_overdue(task: Task, now: datetime) -> None:
    """A due date that is still to come brings back what the status was before the old one passed."""
    if task.status == "overdue" and (task.due_date is None or task.due_date > now):
        task.status = task.earlier_status or "todo"
