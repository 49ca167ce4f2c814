"""The event log's floor: a change and its event are written in one transaction.

Whoever wants to know of events subscribes; the relay of the events room calls the
subscribers after the commit, in one order.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.columns import HasId, Json, UtcDateTime, partial_index
from taskapi.core.db import Base, before_commit, in_transaction, on_commit, once_on_commit, session
from taskapi.core.ids import new_id
from taskapi.core.inserting import insert_unknown
from taskapi.core.logging import log_often
from taskapi.core.origin import current_address, describe_origin

log = logging.getLogger(__name__)


class Event(HasId, Base):
    """Something that happened. ``position`` is given by the relay and orders all events."""

    __tablename__ = "events"

    position: Mapped[int | None] = mapped_column(sa.BigInteger, unique=True)
    # In which order they were written: who changes a thing that another has just changed waits for
    # its row, so that their events come one after the other whatever the clocks of their machines say.
    # None on SQLite, which one machine uses, whose ids are in order.
    number: Mapped[int | None] = mapped_column(sa.BigInteger, sa.Sequence("event_numbers"))
    type: Mapped[str] = mapped_column(sa.String(80))
    actor_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    owner_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    subject_type: Mapped[str] = mapped_column(sa.String(40))
    subject_id: Mapped[UUID] = mapped_column(sa.Uuid)
    # The thing in whose history the event stands, such as the task of a comment.
    topic_id: Mapped[UUID | None] = mapped_column(sa.Uuid)
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # Where it came from; erased with what is told of a person.
    address: Mapped[str | None] = mapped_column(sa.String(45))
    context: Mapped[dict[str, Any] | None] = mapped_column(Json)
    request_id: Mapped[str | None] = mapped_column(sa.String(128))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    # The audit's chain, by the relay. Without its salt, a digest tells nothing of what was erased.
    salt: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    content_digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary)

    __table_args__ = (
        partial_index("ix_events_unplaced", "number", "id", where="position IS NULL"),
        sa.Index("ix_events_subject", "subject_type", "subject_id", "position"),
        partial_index("ix_events_topic", "topic_id", "id", where="topic_id IS NOT NULL"),
        sa.Index("ix_events_type", "type", "id"),
        partial_index("ix_events_actor", "actor_id", "id", where="actor_id IS NOT NULL"),
        partial_index("ix_events_address", "address", "id", where="address IS NOT NULL"),
        partial_index("ix_events_request", "request_id", "id", where="request_id IS NOT NULL"),
    )
    # Nobody reads its number but the relay.
    __mapper_args__ = {"eager_defaults": False}


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A function that is called once for each event whose type matches ``pattern``.

    Attributes:
        concerns: whether it has anything to do for an event of these; it only looks at it.
    """

    name: str
    pattern: str
    handle: Callable[[Event], None]
    concerns: Callable[[Event], bool] = lambda _event: True

    def wants(self, event_type: str) -> bool:
        return _fits(event_type, self.pattern)


# Types are few, and asked for again with each event.
@lru_cache(maxsize=4096)
def _fits(event_type: str, pattern: str) -> bool:
    return fnmatchcase(event_type, pattern)


_subscribers: dict[str, Subscriber] = {}
_watchers: dict[str, Subscriber] = {}
_wake_relay: Callable[[], object] = lambda: None  # noqa: E731 - replaced by set_relay_waker


def subscribe(
    name: str,
    pattern: str,
    handle: Callable[[Event], None],
    *,
    concerns: Callable[[Event], bool] | None = None,
) -> None:
    """Call ``handle(event)`` for events like ``run.*``, in the relay's transaction.

    Args:
        name: unique; a failed delivery is kept under it and tried again.
        concerns: whether it has anything to do for an event; for those of which there are many.
    """
    options = {"concerns": concerns} if concerns else {}
    _subscribers[name] = Subscriber(name, pattern, handle, **options)


def watch(name: str, pattern: str, handle: Callable[[Event], None]) -> None:
    """Call ``handle(event)`` at once, in the transaction that records an event like ``task.*``.

    For what must be true together with the change; what it raises undoes the change.
    """
    _watchers[name] = Subscriber(name, pattern, handle)


def subscribers() -> list[Subscriber]:
    return list(_subscribers.values())


def is_watched(event_type: str) -> bool:
    """Whether somebody has to be called in the transaction that records such an event."""
    return any(watcher.wants(event_type) for watcher in _watchers.values())


def wake_relay() -> None:
    """Tell the relay that events were committed, which it would see by itself within a second."""
    _wake_relay()


def set_relay_waker(wake: Callable[[], object]) -> None:
    """Say how the relay learns, after a commit, that there are new events."""
    global _wake_relay
    _wake_relay = wake


def record_event(
    event_type: str,
    *,
    subject: tuple[str, UUID],
    actor: Actor | UUID | None = None,
    owner_id: UUID | None = None,
    topic_id: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Event:
    """Write an event beside the change it tells of.

    Args:
        event_type: subject and past participle, such as ``schedule.created``.
        subject: kind and id of what changed.
        actor: who did it; None for the system.
        owner_id: whose it is, for deciding who may see the event.
        topic_id: in whose history it stands, such as the task of a comment.
        before, after: the state on both sides, as JSON values.
    """
    if not in_transaction():
        raise RuntimeError("an event belongs into the transaction of its change")
    context = structlog.contextvars.get_contextvars()
    event = Event(
        id=new_id(),
        created_at=clock.now(),
        type=event_type,
        subject_type=subject[0],
        subject_id=subject[1],
        actor_id=actor.user_id if isinstance(actor, Actor) else actor,
        owner_id=owner_id,
        topic_id=topic_id,
        before=before,
        after=after,
        address=current_address(),
        context=describe_origin(),
        request_id=context.get("request_id") or context.get("run_id"),
    )
    # Who reads events in the transaction sees it; else those of the transaction are written at its end.
    session().add(event)
    before_commit(_insert, event)
    for watcher in _watchers.values():
        if watcher.wants(event_type):
            watcher.handle(event)
    user = event.actor_id or owner_id
    on_commit(_announce, event_type, str(subject[1]), str(user) if user else None)
    once_on_commit(wake_relay)
    return event


def _insert(events: set[Event]) -> None:
    """Write the events of the transaction that nobody has made the session write before."""
    active = session()
    unwritten = sorted((event for event in events if sa.inspect(event).pending), key=attrgetter("id"))
    for event in unwritten:
        active.expunge(event)
    insert_unknown(unwritten, later=True)


def erase_contents(which: sa.ColumnElement[bool]) -> None:
    """Forget what events tell: that they happened stays, and so does the audit's chain.

    Whoever erases records in the same transaction why: ``user.closed``, ``user.deleted`` or ``task.purged``.
    """
    nothing = dict.fromkeys(("before", "after", "address", "context", "salt"))
    statement = sa.update(Event).where(which).values(nothing)
    session().execute(statement.execution_options(synchronize_session=False))


def _announce(event_type: str, subject_id: str, user: str | None) -> None:
    log_often(log, "event", {"type": event_type, "subject": subject_id, "user": user})
