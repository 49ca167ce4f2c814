"""What becomes of calendar feeds when their user's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.calendar.models import CalendarFeed
from taskapi.core.access import Actor
from taskapi.core.db import session


def delete_feeds_of(user_id: UUID, _actor: Actor) -> None:
    """Delete the user's addresses: they answer 404 at once."""
    theirs = sa.delete(CalendarFeed).where(CalendarFeed.user_id == user_id)
    session().execute(theirs.execution_options(synchronize_session=False))
