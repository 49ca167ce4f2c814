"""Rules of tasks: finding, making and removing them; ``editing`` changes them."""

from typing import Any
from uuid import UUID

from taskapi.core.access import Actor, AdminOnly
from taskapi.core.db import savepoint
from taskapi.core.errors import ValidationFailed
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.core.reading import Written
from taskapi.tasks import deletion, editing, pages, queries, written
from taskapi.tasks.changes import TAKEN
from taskapi.tasks.drafts import Drafts
from taskapi.tasks.errors import ExternalIdTaken, TaskForbidden, TaskNotFound
from taskapi.tasks.models import Tag, Task
from taskapi.tasks.shown import new_in_full

NEEDED = "Missing data for required field."


def list_tasks(*, actor: Actor, page: PageRequest, deleted: bool = False, **filters: Any) -> Page[str]:
    """The tasks that the actor sees, as JSON; see ``queries.conditions`` for the filters.

    Raises:
        AdminOnly: somebody else asks for deleted ones.
    """
    if deleted and not actor.is_admin:
        raise AdminOnly("Only an administrator lists deleted tasks.")
    return pages.page_of_tasks(actor, page, deleted=deleted, **filters)


def get_task(*, actor: Actor, task_id: UUID) -> Written:
    """A task that the actor sees, with its comments and files.

    Raises:
        TaskNotFound
    """
    task = written.find_task(actor, task_id)
    if task is None:
        raise TaskNotFound
    return task


def find_task(*, actor: Actor, task_id: UUID) -> Task:
    """A task that the actor sees.

    Raises:
        TaskNotFound
    """
    task = queries.find_task(actor, task_id)
    if task is None:
        raise TaskNotFound
    return task


def create_task(*, actor: Actor, **draft: Any) -> Written:
    """
    Raises:
        ValidationFailed, ExternalIdTaken
        TokenRevoked: the actor's account was closed this moment.

    What speaks against the people may be raised by the end of the transaction.
    """
    return new_in_full(*_create(actor, draft))


def was_made(*, task_id: UUID) -> bool:
    """Whether there is a task with this id, deleted or not."""
    return queries.was_made(task_id)


def update_task(
    *,
    actor: Actor,
    task_id: UUID,
    changes: dict[str, Any],
    condition: Precondition = ANY_VERSION,
    weather: dict[str, Any] | None = None,
) -> Written:
    """See ``editing.update_task``."""
    editing.update_task(actor=actor, task_id=task_id, changes=changes, condition=condition, weather=weather)
    return written.task_in_full(task_id)


def put_by_external_id(
    *,
    actor: Actor,
    external_id: str,
    changes: dict[str, Any],
    condition: Precondition = ANY_VERSION,
    weather: dict[str, Any] | None = None,
) -> tuple[Written, bool]:
    """Change the actor's task of this outside id, or make it; and whether it is new.

    Raises:
        ValidationFailed, PreconditionFailed, ExternalIdTaken
    """
    if changes.get("external_id", external_id) != external_id:
        raise ValidationFailed({"external_id": ["It differs from the one in the path."]})
    task = queries.lock_by_external_id(actor.user_id, external_id)
    if task is None:
        condition.check_absent()
        try:
            with savepoint():
                return new_in_full(*_put_new(actor, external_id, changes, weather)), True
        except ExternalIdTaken:
            # Somebody made it this very moment: then it is there to be changed.
            task = queries.lock_by_external_id(actor.user_id, external_id)
            if task is None:
                raise
    condition.check(task.version)
    editing.change(actor, task, changes, weather=weather)
    return written.task_in_full(task.id), False


def delete_task(*, actor: Actor, task_id: UUID, condition: Precondition = ANY_VERSION) -> None:
    """Delete a task so that it can be restored; its comments and files stay with it.

    Raises:
        TaskNotFound, PreconditionFailed
        TaskForbidden: somebody else made it.
    """
    task = queries.find_task(actor, task_id, lock=True)
    if task is None:
        raise TaskNotFound
    if not actor.is_admin and task.creator_id != actor.user_id:
        raise TaskForbidden("Only its creator or an administrator deletes a task.")
    condition.check(task.version)
    deletion.delete(actor, task)


def restore_task(*, actor: Actor, task_id: UUID, condition: Precondition = ANY_VERSION) -> Written:
    """Bring a deleted task back, which its creator or an administrator may.

    Raises:
        TaskNotFound, TaskNotDeleted, PreconditionFailed
        TaskForbidden: somebody else made it.
        ExternalIdTaken: a newer task has its outside id.
    """
    task = queries.lock_deleted_task(actor, task_id)
    if task is None:
        if queries.find_task(actor, task_id) is not None:
            raise TaskForbidden("Only its creator or an administrator restores a task.")
        raise TaskNotFound
    condition.check(task.version)
    deletion.restore(actor, task)
    return written.task_in_full(task_id)


def _create(actor: Actor, draft: dict[str, Any]) -> tuple[Task, list[Tag]]:
    # Where somebody else may have the same id, it is said at once.
    batch = Drafts(actor, [draft], together=not draft.get("external_id") and "id" not in draft)
    errors = batch.errors.get(0, {})
    if errors.keys() == {"external_id"}:
        raise ExternalIdTaken(TAKEN)
    if errors:
        raise ValidationFailed(errors)
    return batch.write()[0]


def _put_new(
    actor: Actor, external_id: str, changes: dict[str, Any], weather: dict[str, Any] | None
) -> tuple[Task, list[Tag]]:
    if "title" not in changes:
        raise ValidationFailed({"title": [NEEDED]})
    return _create(actor, {**changes, "external_id": external_id, "weather": weather})
