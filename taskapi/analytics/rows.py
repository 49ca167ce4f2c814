"""Tasks as rows of an export, a batch at a time: between two batches no connection is held."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import db, session
from taskapi.tasks.models import Task
from taskapi.tasks.queries import conditions, is_visible
from taskapi.tasks.shown import ShownTask, in_lists
from taskapi.tasks.tabular import COLUMNS, tags_cell

BATCH = 1_000
Value: TypeAlias = str | int | float | bool | datetime | None
# In the order of ``COLUMNS``.
Row: TypeAlias = list[Value]


@dataclass(frozen=True, slots=True)
class _Position:
    """Behind which task the next batch begins."""

    created_at: datetime
    id: UUID


def task_rows(*, actor: Actor, **filters: Any) -> Iterator[list[Row]]:
    """The tasks that the actor sees and that fit, oldest first, in batches; of none, one empty batch.

    Who takes the batches may take their time. A task that is changed meanwhile comes as it was or as it
    is, and none comes twice.

    Args:
        filters: see ``tasks.queries.conditions``.
    """
    position: _Position | None = None
    while True:
        rows, position = _read(actor, filters, position)
        yield rows
        if position is None:
            return


def _read(
    actor: Actor, filters: dict[str, Any], after: _Position | None
) -> tuple[list[Row], _Position | None]:
    statement = sa.select(Task).where(is_visible(actor), *conditions(actor, **filters))
    if after is not None:
        here = sa.tuple_(sa.literal(after.created_at, UtcDateTime), sa.literal(after.id, sa.Uuid()))
        statement = statement.where(sa.tuple_(Task.created_at, Task.id) > here)
    tasks = session().scalars(statement.order_by(Task.created_at, Task.id).limit(BATCH)).all()
    rows = _rows(in_lists(tasks))
    position = _Position(tasks[-1].created_at, tasks[-1].id) if len(tasks) == BATCH else None
    db.session.remove()
    return rows, position


def _rows(tasks: list[ShownTask]) -> list[Row]:
    people = {person for task in tasks for person in (task.creator_id, task.assignee_id) if person}
    names = accounts.usernames(user_ids=people)
    return [[_value(task, column, names) for column in COLUMNS] for task in tasks]


def _value(task: ShownTask, column: str, names: dict[UUID, str]) -> Value:
    if column == "tags":
        return tags_cell(tag.name for tag in task.tags)
    if column in ("assignee", "creator"):
        return names.get(getattr(task, f"{column}_id"))
    value: Value = getattr(task, column)
    return str(value) if isinstance(value, UUID) else value
