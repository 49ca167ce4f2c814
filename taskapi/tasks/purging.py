"""Deleting tasks for good: those that were deleted longer ago than ``TASK_PURGE_DAYS``.

Each batch is a transaction of its own: whoever is killed has only less done.
"""

from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from taskapi.core.access import Actor
from taskapi.core.db import database_now, session, transaction
from taskapi.core.events import Event, erase_contents, record_event
from taskapi.core.runtime import runtime_settings
from taskapi.files import service as files
from taskapi.tasks.models import Task

log = structlog.get_logger(__name__)

BATCH = 200
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 200
SECONDS_A_DAY = 86_400


def purge_tasks() -> int:
    """Delete tasks for good that were deleted long ago, with their files; how many."""
    days, gone = runtime_settings().task_purge_days, 0
    if not days:
        return 0
    for _ in range(MAX_BATCHES):
        with transaction():
            tasks = _lock_old(days)
            task_ids = [task.id for task in tasks]
            files.remove_files_of_tasks(task_ids=task_ids, actor=None, reason="task_purged")
            erase(tasks, actor=None)
        gone += len(tasks)
        if len(tasks) < BATCH:
            break
    if gone:
        log.info("tasks.purged", count=gone)
    return gone


def erase(tasks: Sequence[Task], *, actor: Actor | None) -> None:
    """Delete tasks for good whose rows are locked, with all that was written there.

    Their files are the caller's to care for. That there was a task stays in the event log, without
    its contents.
    """
    if not tasks:
        return
    ids = [task.id for task in tasks]
    erase_contents(Event.topic_id.in_(ids))
    for task in tasks:
        subject = ("task", task.id)
        record_event("task.purged", subject=subject, actor=actor, owner_id=task.creator_id, topic_id=task.id)
    # Comments, tags and words go with their task.
    statement = sa.delete(Task).where(Task.id.in_(ids))
    session().execute(statement.execution_options(synchronize_session=False))
    for task in tasks:
        session().expunge(task)


def _lock_old(days: int) -> Sequence[Task]:
    old = sa.select(Task).where(Task.deleted_at < database_now(-days * SECONDS_A_DAY))
    # Whoever restores one has it locked: it is left to them.
    first = old.order_by(Task.deleted_at, Task.id).limit(BATCH).with_for_update(skip_locked=True)
    return session().scalars(first.execution_options(populate_existing=True)).all()
