"""Marking open tasks overdue once their due date is past, by the database's clock.

Each batch is a short transaction of its own: whoever is killed has only less done.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.db import database_now, session, transaction
from taskapi.core.json import format_time
from taskapi.tasks.changes import record_change
from taskapi.tasks.models import Status, Task

BATCH = 500
# Bounds one call, which occupies a worker: the rest comes with the next.
MAX_BATCHES = 200
# Written out, as an index of some rows serves no question whose values are not known beforehand.
MAY_FALL_DUE = sa.bindparam(
    "may_fall_due", ["todo", "in_progress"], Status, expanding=True, literal_execute=True
)


def mark_overdue() -> int:
    """Mark the tasks whose due date has passed; how many."""
    marked = 0
    for _ in range(MAX_BATCHES):
        with transaction():
            tasks = _lock_due()
            for task in tasks:
                _mark(task)
            session().flush()
            session().expunge_all()
        marked += len(tasks)
        if len(tasks) < BATCH:
            break
    return marked


def _lock_due() -> Sequence[Task]:
    due = sa.select(Task).where(
        Task.deleted_at.is_(None), Task.status.in_(MAY_FALL_DUE), Task.due_date < database_now()
    )
    # Whoever changes one has it locked: it gets its turn next time, if it is still due then.
    first = due.order_by(Task.due_date).limit(BATCH).with_for_update(skip_locked=True)
    return session().scalars(first.execution_options(populate_existing=True)).all()


def _mark(task: Task) -> None:
    assert task.due_date is not None
    # Once for a due date: who opens the task again knows that it is late.
    tell = task.notify_overdue and task.told_overdue != task.due_date
    task.earlier_status, task.status = task.status, "overdue"
    task.told_overdue = task.due_date if tell else task.told_overdue
    task.version += 1
    task.updated_at = clock.now()
    due = {"due_date": format_time(task.due_date)}
    before, after = {"status": task.earlier_status, **due}, {"status": "overdue", **due, "notify": tell}
    record_change(None, task, "task.overdue", before=before, after=after)
