"""What becomes of schedules when their owner's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.schedules.models import Schedule
from taskapi.schedules.service import cancel_schedule


def cancel_schedules_of(user_id: UUID, actor: Actor) -> None:
    """Cancel all schedules of a user, each as its owner would: no due time is lost sight of."""
    theirs = sa.select(Schedule.id).where(
        Schedule.owner_id == user_id, Schedule.status != "cancelled", Schedule.deleted_at.is_(None)
    )
    for schedule_id in session().scalars(theirs.order_by(Schedule.id)).all():
        cancel_schedule(actor=actor, schedule_id=schedule_id)
