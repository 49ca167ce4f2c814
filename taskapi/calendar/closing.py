"""What becomes of calendar feeds when their user's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.calendar.models import CalendarFeed
from taskapi.core.access import Actor
from taskapi.core.closing import all_deleted
from taskapi.core.db import session

foresee_feeds_of = all_deleted("calendar_feeds", CalendarFeed.user_id)


def delete_feeds_of(user_id: UUID, _actor: Actor | None) -> None:
    """Delete the user's addresses: they answer 404 at once."""
    theirs = sa.delete(CalendarFeed).where(CalendarFeed.user_id == user_id)
    session().execute(theirs.execution_options(synchronize_session=False))
