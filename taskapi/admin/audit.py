"""The audit log as administrators and operators see it: with the names of those who acted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.accounts.errors import UserNotFound
from taskapi.core.access import Actor
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import Event, record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.events.audit import export, queries
from taskapi.events.audit.queries import AuditFilter

SYSTEM = "system"
# What concerns no account in particular is told of nobody's.
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event with the name of who caused it."""

    event: Event
    username: str | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.event, name)

    @property
    def actor(self) -> dict[str, Any] | None:
        event = self.event
        return {"id": event.actor_id, "username": self.username} if event.actor_id else None

    @property
    def subject(self) -> dict[str, Any]:
        return {"type": self.event.subject_type, "id": self.event.subject_id}

    @property
    def who(self) -> str | None:
        """In one word."""
        return self.username or (str(self.event.actor_id) if self.event.actor_id else None)

    @property
    def what(self) -> str:
        """In one word."""
        return f"{self.event.subject_type} {self.event.subject_id}"

    @property
    def via(self) -> str | None:
        return (self.event.context or {}).get("via")

    @property
    def hash(self) -> str | None:
        return self.event.hash.hex() if self.event.hash else None


def list_audit(*, page: PageRequest, **filters: Any) -> Page[AuditEntry]:
    """What happened, the newest first.

    Args:
        filters: see ``read_filter``.

    Raises:
        ValidationFailed: there is no such actor.
    """
    found = queries.page_of_events(read_filter(**filters), page)
    return found.with_items(_with_names(found.items))


def newest_audit(*, limit: int, **filters: Any) -> list[AuditEntry]:
    """The newest of what happened, for the shell.

    Raises:
        ValidationFailed: there is no such actor.
    """
    return _with_names(queries.newest_events(read_filter(**filters), limit))


def _with_names(events: Sequence[Event]) -> list[AuditEntry]:
    names = accounts.usernames(user_ids={event.actor_id for event in events if event.actor_id})
    return [AuditEntry(event, names.get(event.actor_id) if event.actor_id else None) for event in events]


def read_filter(*, type: Sequence[str] = (), actor: str | None = None, **others: Any) -> AuditFilter:  # noqa: A002
    """What is wanted, with the actor by name.

    Args:
        type: patterns such as ``task.*``.
        actor: id, e-mail address or username; ``system`` for what nobody in particular did.
        others: see ``AuditFilter``.

    Raises:
        ValidationFailed: there is no such actor.
    """
    by_system = actor == SYSTEM
    actor_id = _id_of(actor) if actor and not by_system else None
    return AuditFilter(types=type, actor_id=actor_id, by_system=by_system, **others)


def export_audit(*, by: Actor | None, **filters: Any) -> Iterator[bytes]:
    """The events that fit as JSON lines, in the order of the chain; that somebody took them is recorded.

    The lines are read when they are asked for, outside of this transaction.

    Args:
        by: who takes them; ``actor`` is a filter.

    Raises:
        ValidationFailed: there is no such actor.
    """
    wanted = read_filter(**filters)
    given = {name: str(value) for name, value in filters.items() if value}
    record_event("audit.exported", subject=("audit", NOBODY), actor=by, after={"filters": given})
    return export.export_lines(wanted)


def _id_of(login: str) -> UUID:
    try:
        # Of somebody who is gone, too.
        return UUID(login)
    except ValueError:
        pass
    try:
        return accounts.get_user_by_login(login=login).id
    except UserNotFound as error:
        raise ValidationFailed({"actor": [error.detail]}) from None
