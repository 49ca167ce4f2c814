"""Takes back what an import did, batch by batch; what somebody changed since stays."""

import time
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.accounts.actors import actor_of
from taskapi.core.access import Actor
from taskapi.core.db import session, transaction
from taskapi.core.errors import ValidationFailed
from taskapi.core.repeating import repeatable
from taskapi.tasks import deletion, editing
from taskapi.tasks.importing import lease, outcomes, queries
from taskapi.tasks.importing.lease import Claim
from taskapi.tasks.importing.models import TaskImport, TaskImportChange
from taskapi.tasks.models import Task
from taskapi.tasks.queries import tags_of
from taskapi.tasks.state import as_field, state_of

BATCH = 200


def undo_some(claim: Claim, *, stop_at: float) -> bool:
    """Undo for a while; whether nothing is left to undo.

    Raises:
        LeaseLost
    """
    while _undo_batch(claim):
        if time.monotonic() > stop_at:
            return False
    return True


@repeatable
def _undo_batch(claim: Claim) -> bool:
    """Whether there was something to undo; else the import is undone now."""
    with transaction():
        row = lease.lock(claim)
        actor = _actor(row.undone_by or row.owner_id)
        if not _restore_some(row, actor) and not _delete_some(row, actor):
            outcomes.end(row, "undone")
            return False
        lease.move_on(row)
    session().expunge_all()
    return True


def _restore_some(row: TaskImport, actor: Actor) -> bool:
    changes = queries.lock_changes(row.id, BATCH)
    for change in changes:
        task = queries.lock_task(change.task_id)
        if task is not None:
            row.kept += not _restore(row, task, change, actor)
        session().delete(change)
    session().flush()
    return bool(changes)


def _restore(row: TaskImport, task: Task, change: TaskImportChange, actor: Actor) -> bool:
    """Give the fields their former values; whether all of them still had what the import wrote."""
    now = state_of(task, tags_of([task.id])[task.id])
    same = {name: value for name, value in change.before.items() if now[name] == change.after[name]}
    try:
        editing.change(actor, task, {name: _value(name, same[name]) for name in same}, import_id=row.id)
    except ValidationFailed:
        # Who had it to do, or a tag, is gone.
        return False
    return len(same) == len(change.before)


def _value(name: str, value: Any) -> Any:
    # The clock makes it overdue again.
    return "todo" if (name, value) == ("status", "overdue") else as_field(name, value)


def _delete_some(row: TaskImport, actor: Actor) -> bool:
    tasks = queries.lock_made_tasks(row.id, BATCH)
    for task in tasks:
        deletion.delete(actor, task)
    return bool(tasks)


def _actor(user_id: UUID) -> Actor:
    return actor_of(accounts.find_users(user_ids=[user_id])[user_id])
