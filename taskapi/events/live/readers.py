"""Who reads a connection, and from where: asked of the database, so never in the event loop."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor, authenticate
from taskapi.core.db import session
from taskapi.core.following import names_of
from taskapi.core.standing import Credential, credential_of, standing_of
from taskapi.events.cursors import CursorGone, position_of, token_of
from taskapi.events.feed import events_between, head, read_feed
from taskapi.events.live import outgoing
from taskapi.events.live.outgoing import Outgoing
from taskapi.events.messages import Telling, tellings_that_succeed
from taskapi.events.models import EventReader

# Events that are read and told at a time.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is told, as who they are now."""

    actor: Actor
    names: frozenset[UUID]

    @property
    def credential(self) -> Credential:
        return credential_of(self.actor)


@dataclass(frozen=True, slots=True)
class Start:
    """After which position a connection is told.

    Attributes:
        is_head: it was the head of the log when the connection was opened.
        notice: what the client must know first.
    """

    position: int
    is_head: bool = True
    notice: Outgoing | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened after one position, until another.

    Attributes:
        farewells: by position, from whose sight the event took its thing.
        is_full: there may be more already.
    """

    after: int
    until: int
    tellings: list[Telling]
    farewells: dict[int, set[UUID]]
    is_full: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what one reader has missed: messages with their positions, and where to read on."""

    messages: list[tuple[Outgoing, int]]
    position: int
    more: bool
    notice: Outgoing | None = None


def reader_of(actor: Actor) -> Reader:
    return Reader(actor, names_of(actor))


def start_of(actor: Actor, last_event_id: str, *, since: int | None = None) -> Start:
    """Where the actor begins: after what they had last, else after a position, else now."""
    if not last_event_id:
        return Start(head() if since is None else since)
    try:
        return Start(position_of(last_event_id, actor), is_head=False)
    except CursorGone as gone:
        return start_at_head(actor, gone.code)


def start_at_head(actor: Actor, reason: str) -> Start:
    """Where an actor begins who must fetch their things anew."""
    now = head()
    return Start(now, notice=outgoing.resync(token_of(now, actor), reason))


def sign_in(token: str, last_event_id: str, since: int) -> tuple[Reader, Start]:
    """Who shows a token in their first message, and where they begin.

    Args:
        since: the head of the log when the connection was opened.

    Raises:
        Unauthorized
    """
    actor = authenticate(token)
    return reader_of(actor), start_of(actor, last_event_id, since=since)


def now_of(readers: Collection[Reader]) -> dict[Credential, Reader]:
    """The readers as who they are now; those whose session or token has ended are left out.

    An access token ends by itself, so each keeps the end of the one that was shown.
    """
    ends = {reader.credential: reader.actor.expires_at for reader in readers}
    found = standing_of(ends.keys())
    return {
        credential: reader_of(replace(actor, expires_at=ends[credential]))
        for credential, actor in found.items()
    }


def read_batch(after: int) -> Batch:
    """What happened after a position, with who is told what."""
    # First: what is placed between the two reads must not be passed over.
    newest = head()
    events = events_between(after, BATCH)
    is_full = len(events) == BATCH
    last = events[-1].position or 0 if events else after
    until = last if is_full else max(last, newest)
    return Batch(after, until, tellings_that_succeed(events), _farewells(after, until), is_full)


def _farewells(after: int, until: int) -> dict[int, set[UUID]]:
    found: dict[int, set[UUID]] = {}
    between = (EventReader.position > after, EventReader.position <= until, EventReader.formerly)
    for position, reader_id in session().execute(
        sa.select(EventReader.position, EventReader.reader_id).where(*between)
    ):
        found.setdefault(position, set()).add(reader_id)
    return found


def read_page(reader: Reader, after: int) -> Page:
    """What a reader is told of what they have missed."""
    try:
        page = read_feed(actor=reader.actor, after=after, limit=BATCH)
    except CursorGone:
        again = start_at_head(reader.actor, CursorGone.code)
        return Page([], again.position, more=False, notice=again.notice)
    messages = [(outgoing.event(message), message.position) for message in page.messages]
    return Page(messages, page.position, page.more)
