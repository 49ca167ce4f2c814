"""Reads of calendar feeds, and when they were used."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.calendar.models import CalendarFeed
from taskapi.core.db import db, session
from taskapi.core.paging import Page, PageRequest, fetch_page


def page_of_feeds(user_id: UUID, page: PageRequest) -> Page[CalendarFeed]:
    return fetch_page(
        session(),
        sa.select(CalendarFeed).where(CalendarFeed.user_id == user_id),
        request_=page,
        sorts={"created_at": CalendarFeed.created_at},
        default_sort="-created_at",
        key=CalendarFeed.id,
    )


def find_feed(user_id: UUID, feed_id: UUID) -> CalendarFeed | None:
    mine = (CalendarFeed.id == feed_id, CalendarFeed.user_id == user_id)
    return session().scalar(sa.select(CalendarFeed).where(*mine))


def count_feeds(user_id: UUID) -> int:
    statement = sa.select(sa.func.count()).select_from(CalendarFeed)
    return session().execute(statement.where(CalendarFeed.user_id == user_id)).scalar_one()


def feed_by_hash(token_hash: str) -> Any:
    """Whose feed it is, what it is called and when it was used, on a connection of its own."""
    facts = (CalendarFeed.id, CalendarFeed.user_id, CalendarFeed.name, CalendarFeed.last_used_at)
    with db.engine.connect() as connection:
        statement = sa.select(*facts).where(CalendarFeed.token_hash == token_hash)
        return connection.execute(statement).one_or_none()


def note_use(feed_id: UUID, *, now: datetime, unless_after: datetime) -> None:
    """Write when a feed was used, in a transaction of its own, unless somebody just did."""
    last = CalendarFeed.last_used_at
    statement = sa.update(CalendarFeed).where(
        CalendarFeed.id == feed_id, sa.or_(last.is_(None), last <= unless_after)
    )
    with db.engine.execution_options(taskapi_writes=True).begin() as connection:
        connection.execute(statement.values(last_used_at=now))
