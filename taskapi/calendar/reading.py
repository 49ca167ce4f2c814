"""What a calendar program gets at a secret address."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.accounts.tokens import hash_token
from taskapi.calendar import queries
from taskapi.calendar.entries import Entry, Kind, entries_for
from taskapi.calendar.writing import write_calendar
from taskapi.core import clock
from taskapi.core.db import read_database_clock
from taskapi.core.digests import digest
from taskapi.core.repeating import name_of
from taskapi.core.standing import actors_of
from taskapi.version import VERSION

log = structlog.get_logger(__name__)

USE_IS_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFeed:
    """A calendar as it is now; it is written out only for who has not got it yet."""

    name: str
    zone: str
    kind: Kind
    entries: tuple[Entry, ...]

    @property
    def entity_tag(self) -> str:
        """Made of all that is written, so that the same tag stands for the same bytes."""
        return digest(VERSION, self.name, self.zone, self.kind, self.entries)

    def write(self) -> bytes:
        return write_calendar(name=self.name, zone=self.zone, kind=self.kind, entries=self.entries)


def open_feed(*, token: str, kind: Kind) -> OpenFeed | None:
    """The calendar at a secret address; None when nobody has that address, or its owner is inactive."""
    feed = queries.feed_by_hash(hash_token(token))
    owner = actors_of([feed.user_id]).get(feed.user_id) if feed else None
    if owner is None:
        return None
    _note_use(feed.id, feed.last_used_at)
    entries = entries_for(owner, kind=kind, now=read_database_clock())
    return OpenFeed(name=feed.name, zone=owner.timezone, kind=kind, entries=entries)


def _note_use(feed_id: UUID, last_used_at: datetime | None) -> None:
    now = clock.now()
    if last_used_at is not None and now - last_used_at < USE_IS_NOTED_EVERY:
        return
    try:
        queries.note_use(feed_id, now=now, unless_after=now - USE_IS_NOTED_EVERY)
    except SQLAlchemyError as error:
        # When it was last used is worth knowing, but not worth refusing the request.
        log.warning("calendar_feed.use_not_noted", feed=str(feed_id), error=name_of(error))
