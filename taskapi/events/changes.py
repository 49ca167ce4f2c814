"""The changes feed: what a client that was away has missed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.core.access import Actor
from taskapi.core.json import dump_json
from taskapi.events import cursors, feed
from taskapi.events.cursors import CursorGone
from taskapi.events.feed import FeedPage
from taskapi.events.messages import Message

# Of what a page tells of things, which may be long: it ends early, and the next goes on.
MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A message, as the feed tells it."""

    id: UUID
    type: str
    subject: dict[str, Any]
    deleted: bool
    data: dict[str, Any] | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A page of the feed; ``next`` and ``latest`` are tokens."""

    items: list[Change]
    next: str
    more: bool
    latest: str


def list_changes(*, actor: Actor, since: str | None, limit: int) -> Changes:
    """What has changed for the actor since a token, or since the oldest event that is kept.

    Raises:
        CursorGone: with the token of now as ``next``.
    """
    # Read first: who fetches lists after this answer sees at least what is up to here.
    latest = cursors.token_of(feed.head(), actor)
    try:
        after = cursors.forgotten_until() if since is None else cursors.position_of(since, actor)
        page = _shortened(feed.read_feed(actor=actor, after=after, limit=limit))
    except CursorGone as gone:
        gone.extensions = {"next": latest}
        raise
    return Changes(
        items=[_change(message) for message in page.messages],
        next=cursors.token_of(page.position, actor),
        more=page.more,
        latest=latest,
    )


def _shortened(page: FeedPage) -> FeedPage:
    """As much of a page as fits into an answer: a thing that changed often is told with each change."""
    room = MAX_BYTES
    for number, message in enumerate(page.messages):
        room -= len(dump_json(message.data))
        if room < 0 and number:
            kept = page.messages[:number]
            return FeedPage(messages=kept, position=kept[-1].position, more=True)
    return page


def _change(message: Message) -> Change:
    return Change(
        id=message.id,
        type=message.type,
        subject={"type": message.subject[0], "id": message.subject[1]},
        deleted=message.deleted,
        data=None if message.deleted else message.data,
        at=message.at,
    )
