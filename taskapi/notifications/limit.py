"""How many e-mails one user may cause within an hour, counted among those that name them as sender."""

import random
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.db import session
from taskapi.core.runtime import runtime_settings
from taskapi.notifications.models import Email

WINDOW = timedelta(hours=1)


def has_room(sender_id: UUID) -> bool:
    """Whether they may cause another one; those who ask at the same time may exceed it by so many."""
    limit = runtime_settings().user_mails_per_hour
    return limit == 0 or _counted(sender_id, newest=limit) is None


def seconds_until_room(sender_id: UUID) -> float:
    """After how long to ask again; who wait together are sent to different moments at which there is room."""
    limit = runtime_settings().user_mails_per_hour
    # Each of so many makes room for one when it has left the window.
    leaving = _counted(sender_id, newest=random.randint(1, max(limit, 1)))  # noqa: S311 - no secret
    return max((leaving - _since()).total_seconds(), 0.0) if leaving else 0.0


def _counted(sender_id: UUID, *, newest: int) -> datetime | None:
    """When the n-th newest that counts was made."""
    made = sa.select(Email.created_at).where(Email.sender_id == sender_id, Email.created_at > _since())
    return session().scalar(made.order_by(Email.created_at.desc()).offset(newest - 1).limit(1))


def _since() -> datetime:
    return clock.now() - WINDOW
