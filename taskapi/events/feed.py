"""Reading the log: what happened for a reader after a position, in the order of the commits.

It costs what the reader is told, however much happens to others.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.following import followed_kinds, names_of
from taskapi.events.cursors import CursorGone, forgotten_until
from taskapi.events.messages import Message, tellings_that_succeed
from taskapi.events.models import EventReader


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some of what a reader is told.

    Attributes:
        messages: in order; may be fewer than asked for although there are more.
        position: where to read on.
        more: whether there is more already.
    """

    messages: list[Message]
    position: int
    more: bool


def head() -> int:
    """The position of the newest event; 0 if there is none."""
    return session().scalar(sa.select(sa.func.max(Event.position))) or 0


def read_feed(*, actor: Actor, after: int, limit: int, until: int | None = None) -> FeedPage:
    """What the actor is told of the events after a position, as their things are now.

    Args:
        limit: how many events to look at, at most.
        until: the last position to look at; else the head.

    Raises:
        CursorGone: some of these events were forgotten.
    """
    # Before the positions: what is relayed from now on comes with the next page.
    end = head() if until is None else min(until, head())
    positions = _positions(actor, after=after, until=end, limit=limit + 1)
    # Afterwards: what was forgotten while we looked is missing among them.
    if after < forgotten_until():
        raise CursorGone
    more = len(positions) > limit
    told = positions[:limit]
    names, farewells = names_of(actor), _farewells(actor, told)
    messages = [
        telling.to(names, is_farewell=telling.event.position in farewells)
        for telling in tellings_that_succeed(_events_at(told))
    ]
    return FeedPage(
        messages=[message for message in messages if message],
        position=told[-1] if more else max(end, after),
        more=more,
    )


def events_between(after: int, limit: int) -> list[Event]:
    """The next events after a position that are told to anybody, in order."""
    following = sa.select(Event).where(Event.position > after, Event.subject_type.in_(followed_kinds()))
    return list(session().scalars(following.order_by(Event.position).limit(limit)))


def _positions(actor: Actor, *, after: int, until: int, limit: int) -> Sequence[int]:
    """Of the events that were for the actor or their circles: the first of each, found by the index."""
    own = []
    for name in names_of(actor):
        theirs = sa.select(EventReader.position).where(
            EventReader.reader_id == name, EventReader.position > after, EventReader.position <= until
        )
        first = theirs.order_by(EventReader.position).limit(limit).subquery()
        own.append(sa.select(first.c.position))
    together = sa.union(*own)
    return session().scalars(together.order_by(sa.literal_column("position")).limit(limit)).all()


def _farewells(actor: Actor, positions: Sequence[int]) -> Collection[int]:
    """Those of the events that took their things out of the actor's sight."""
    own = (EventReader.reader_id == actor.user_id, EventReader.position.in_(positions))
    return set(session().scalars(sa.select(EventReader.position).where(*own, EventReader.formerly)))


def _events_at(positions: Sequence[int]) -> Sequence[Event]:
    statement = sa.select(Event).where(Event.position.in_(positions)).order_by(Event.position)
    return session().scalars(statement).all()
