"""What becomes of schedules while their owner's account is switched off: nothing runs for them."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.schedules.control import hold, let_go_on
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.backfilling import end_backfills
from taskapi.schedules.engine.cancelling import stop
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.queries import lock_not_ended
from taskapi.schedules.timing.verdicts import Reason

# Why a run was cancelled whose owner was switched off.
OWNER_INACTIVE: Reason = "owner_inactive"


def follow_owner(user_id: UUID, is_active: bool, actor: Actor | None) -> None:
    """Hold the active schedules of a user who was switched off, or let those go on that were held."""
    schedules = lock_not_ended(user_id)
    if is_active:
        for schedule in schedules:
            let_go_if_held(schedule, actor)
        return
    for schedule in schedules:
        end_backfills(schedule.id, actor=actor)
        if schedule.status == "active":
            schedule.paused_with_owner = True
            hold(actor, schedule)
    _end_open_runs_of(user_id, actor)


def let_go_if_held(schedule: Schedule, actor: Actor | None) -> None:
    """Let a locked schedule go on if only its owner held it; a pause of somebody's own stays."""
    if schedule.paused_with_owner and schedule.status == "paused":
        let_go_on(actor, schedule)


def _end_open_runs_of(user_id: UUID, actor: Actor | None) -> None:
    theirs = sa.select(Run.id).where(Run.owner_id == user_id, claims.IS_OPEN)
    for run in claims.lock_runs(session().scalars(theirs).all()):
        # The end of another may have ended it.
        if run.status in ("pending", "running"):
            stop(run, reason=OWNER_INACTIVE, actor=actor)
