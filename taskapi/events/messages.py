"""What an event says to those who follow it: one text for the changes feed, live events and webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from taskapi.core.errors import DomainError
from taskapi.core.events import Event
from taskapi.core.following import Readers, readers_of, shown_now

log = structlog.get_logger(__name__)

NOBODY = Readers(frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event as one reader is told of it.

    Attributes:
        type: the event's, or ``<kind>.removed`` to who does not see the thing any more.
        subject: kind and id of the thing.
        deleted: the thing is gone, at least for this reader.
        data: the thing as it is now, as the API answers it; of one that is gone, its id.
        at: when it happened.
    """

    id: UUID
    position: int
    type: str
    subject: tuple[str, UUID]
    deleted: bool
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Telling:
    """An event with what is known of its thing now, ready to be told to any number of readers."""

    event: Event
    readers: Readers
    thing: dict[str, Any] | None

    def to(self, names: frozenset[UUID], *, is_farewell: bool = False) -> Message | None:
        """What the reader of these names (see ``names_of``) is told; None if it is not theirs to know.

        Who saw the thing when the event happened, but does not now, learns that from the later
        event which took it away.

        Args:
            is_farewell: it was noted that this event took it away from them; what the event says of
                that is gone with the thing.
        """
        if self.readers.now & names:
            return self._message(self.event.type, deleted=self.thing is None, data=self.thing)
        if is_farewell or self.readers.formerly & names:
            return self._message(f"{self.event.subject_type}.removed", deleted=True, data={})
        return None

    def _message(self, event_type: str, *, deleted: bool, data: dict[str, Any] | None) -> Message:
        event = self.event
        assert event.position is not None, "only relayed events are told"
        return Message(
            id=event.id,
            position=event.position,
            type=event_type,
            subject=(event.subject_type, event.subject_id),
            deleted=deleted,
            # What the event itself says of a thing that is gone is nobody's to read any more.
            data={**(data or {}), "id": str(event.subject_id)},
            at=event.created_at,
        )


def tellings(events: Sequence[Event]) -> list[Telling]:
    """The events, in their order, with who sees their things now and what these look like."""
    # Asked before and after: from or to whose sight something goes meanwhile is not told what is read
    # in between, and learns of it from the event that is still to come.
    before, things, after = readers_of(events), shown_now(events), readers_of(events)
    return [
        Telling(event, _both(before.get(event.id, NOBODY), after.get(event.id, NOBODY)), things.get(event.id))
        for event in events
    ]


def tellings_that_succeed(events: Sequence[Event]) -> list[Telling]:
    """The same, without events that cannot be told for a fault of ours: those that follow must not wait."""
    try:
        return tellings(events)
    except (DBAPIError, DomainError):
        # The database is away: that is no fault of an event.
        raise
    except Exception:
        log.exception("events.telling_failed", event_ids=[str(event.id) for event in events])
    alone = [[event] for event in events] if len(events) > 1 else []
    return [telling for one in alone for telling in tellings_that_succeed(one)]


def _both(before: Readers, after: Readers) -> Readers:
    return Readers(before.now & after.now, after.formerly)
