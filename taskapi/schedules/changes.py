"""What every change of a schedule by hand shares: the lock, the version, the event."""

from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.errors import OwnerInactive, ScheduleCancelled, ScheduleCompleted, ScheduleNotFound
from taskapi.schedules.models import Schedule


def lock_schedule(actor: Actor | None, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> Schedule:
    schedule = queries.find_schedule(actor, schedule_id, lock=True)
    if schedule is None:
        raise ScheduleNotFound
    condition.check(schedule.version)
    return schedule


def lock_live(actor: Actor | None, schedule_id: UUID, condition: Precondition) -> Schedule:
    schedule = lock_schedule(actor, schedule_id, condition)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled, which is final.")
    if schedule.status == "completed":
        raise ScheduleCompleted("The schedule has no due time left.")
    return schedule


def require_active_owner(schedule: Schedule) -> None:
    """Refuse to have anything run for somebody who is switched off.

    The schedule is locked: who is switched off at this moment has it held after that.

    Raises:
        OwnerInactive
    """
    if not accounts.is_active(user_id=schedule.owner_id):
        raise OwnerInactive("The owner of this schedule is not active.")


def change_status(actor: Actor | None, schedule: Schedule, status: str, *, event: str) -> None:
    before, schedule.status = schedule.status, status
    schedule.version += 1
    session().flush()
    record_change(actor, schedule, event, before={"status": before}, after={"status": status})


def record_change(
    actor: Actor | None,
    schedule: Schedule,
    event: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    subject, owner_id = ("schedule", schedule.id), schedule.owner_id
    record_event(event, subject=subject, actor=actor, owner_id=owner_id, before=before, after=after)


def schedule_state(schedule: Schedule) -> dict[str, Any]:
    """What an event says of a schedule, as JSON values."""
    times = {
        name: moment.isoformat() if (moment := getattr(schedule, name)) else None
        for name in ("run_at", "next_run_at")
    }
    words = ("name", "action", "cron", "every", "rrule", "timezone", "status", "notify")
    return {**{name: getattr(schedule, name) for name in words}, **times}
