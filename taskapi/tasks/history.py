"""The history of a task: what the event log tells of it, of its comments and its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.tasks import service

if TYPE_CHECKING:
    from taskapi.accounts.models import User

# What an event says to those who tell people of it, and what is no field.
NO_FIELDS = {"notify", "mentions", "import_id", "in_bulk", "handed_over"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened with a task.

    Attributes:
        type: subject and past participle, such as ``task.updated``.
        actor: who did it; None for the system, and once their account is closed.
        changes: ``{field, from, to}`` of each field.
        at: when it was done.
    """

    id: UUID
    type: str
    actor: "User | None"
    request_id: str | None
    changes: list[dict[str, Any]]
    at: datetime


def list_history(*, actor: Actor, task_id: UUID, page: PageRequest) -> Page[HistoryEntry]:
    """What happened with a task that the actor sees, newest first.

    Raises:
        TaskNotFound
    """
    task = service.find_task(actor=actor, task_id=task_id)
    found = fetch_page(
        session(),
        sa.select(Event).where(Event.topic_id == task.id),
        request_=page,
        sorts={"at": Event.created_at},
        default_sort="-at",
        key=Event.id,
    )
    return found.with_items(_entries(found.items))


def _entries(events: Sequence[Event]) -> list[HistoryEntry]:
    people = accounts.find_users(user_ids={event.actor_id for event in events if event.actor_id})
    there = {user.id: user for user in people.values() if user.closed_at is None}
    return [
        HistoryEntry(
            id=event.id,
            type=event.type,
            actor=there.get(event.actor_id) if event.actor_id else None,
            request_id=event.request_id,
            changes=_changes(event.before or {}, event.after or {}),
            at=event.created_at,
        )
        for event in events
    ]


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields that differ, by name."""
    return [
        {"field": name, "from": before.get(name), "to": after.get(name)}
        for name in sorted({*before, *after} - NO_FIELDS)
        if before.get(name) != after.get(name)
    ]
