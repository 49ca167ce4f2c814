"""Rules of calendar feeds: secret addresses that a person gives to calendar programs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.tokens import hash_token, new_opaque_token
from taskapi.calendar import queries
from taskapi.calendar.errors import FeedNotFound, TooManyFeeds
from taskapi.calendar.models import CalendarFeed
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.digests import tag_of_used
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.core.runtime import runtime_settings
from taskapi.core.standing import queue_up

MAX_PER_USER = 20
PREFIX = "tac_"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """A feed that was just made: its address is shown this once."""

    id: UUID
    name: str
    url: str
    created_at: datetime
    last_used_at: datetime | None

    @property
    def entity_tag(self) -> str:
        """As the feed has it when it is read."""
        return tag_of_used(self.id, self.last_used_at)


def create_feed(*, actor: Actor, name: str) -> NewFeed:
    """Make an address at which anybody who knows it reads the actor's calendar.

    Raises:
        TooManyFeeds: the user has 20.
    """
    # Of several at once each must count those before it; and who closes the account waits.
    queue_up(actor.user_id)
    if queries.count_feeds(actor.user_id) >= MAX_PER_USER:
        raise TooManyFeeds(f"You have {MAX_PER_USER} calendar feeds; delete one first.")
    secret = new_opaque_token(PREFIX)
    feed = CalendarFeed(user_id=actor.user_id, name=name, token_hash=hash_token(secret))
    session().add(feed)
    session().flush()
    subject = ("calendar_feed", feed.id)
    after = {"name": name}
    record_event("calendar_feed.created", subject=subject, actor=actor, owner_id=actor.user_id, after=after)
    return NewFeed(
        id=feed.id,
        name=name,
        url=f"{runtime_settings().public_url}/calendar/{secret}.ics",
        created_at=feed.created_at,
        last_used_at=None,
    )


def list_feeds(*, actor: Actor, page: PageRequest) -> Page[CalendarFeed]:
    """One's feeds, newest first."""
    return queries.page_of_feeds(actor.user_id, page)


def get_feed(*, actor: Actor, feed_id: UUID) -> CalendarFeed:
    """One of one's feeds.

    Raises:
        FeedNotFound
    """
    feed = queries.find_feed(actor.user_id, feed_id)
    if feed is None:
        raise FeedNotFound
    return feed


def delete_feed(*, actor: Actor, feed_id: UUID, condition: Precondition = ANY_VERSION) -> None:
    """Delete one of one's feeds; its address answers 404 at once.

    Raises:
        FeedNotFound, PreconditionFailed
    """
    mine = (CalendarFeed.id == feed_id, CalendarFeed.user_id == actor.user_id)
    name = session().scalar(sa.delete(CalendarFeed).where(*mine).returning(CalendarFeed.name))
    if name is None:
        raise FeedNotFound
    condition.check_tag(feed_id.hex)
    subject = ("calendar_feed", feed_id)
    before = {"name": name}
    record_event("calendar_feed.deleted", subject=subject, actor=actor, owner_id=actor.user_id, before=before)
