"""Writing what became of tasks: to the database, and into their histories."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.inserting import insert_entities
from taskapi.tasks.errors import ExternalIdTaken
from taskapi.tasks.models import Task

TAKEN = "Another task of yours has this outside id."


def flush() -> None:
    """Write what has changed.

    Raises:
        ExternalIdTaken
    """
    try:
        session().flush()
    except IntegrityError as error:
        raise ExternalIdTaken(TAKEN) from error


def insert(tasks: Sequence[Task], *, later: bool = False) -> None:
    """Write new tasks, all of whose fields that are not empty have been set.

    Args:
        later: with whatever else the transaction inserts (``core/together``); nobody else may have
            their ids then.

    Raises:
        ExternalIdTaken
    """
    try:
        insert_entities(tasks, later=later)
    except IntegrityError as error:
        raise ExternalIdTaken(TAKEN) from error


def record_change(
    actor: Actor | None,
    task: Task,
    event: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write what happened to a task into its history."""
    subject, owner_id = ("task", task.id), task.creator_id
    record_event(
        event, subject=subject, actor=actor, owner_id=owner_id, topic_id=task.id, before=before, after=after
    )
