"""What becomes of schedules when their owner's account is closed."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import database_now, session
from taskapi.core.events import record_event
from taskapi.notifications.closing import delete_emails
from taskapi.notifications.recipients import mail_key
from taskapi.schedules.actions.reminder import REMINDER
from taskapi.schedules.bookkeeping import RunLogLine
from taskapi.schedules.control import cancel_schedule
from taskapi.schedules.engine import counts
from taskapi.schedules.engine.meters import meter_ends
from taskapi.schedules.models import SCHEDULE_CANCELLED, Run, Schedule


def forget_schedules_of(user_id: UUID, actor: Actor | None) -> None:
    """Cancel all schedules of a user and erase what they tell; that they ran stays in the history."""
    _cancel_schedules_of(user_id, actor)
    session().flush()
    _erase_schedules_of(user_id)
    _end_running_runs_of(user_id, actor)
    _delete_reminders_to_others(user_id)
    _erase_runs_of(user_id)


def _cancel_schedules_of(user_id: UUID, actor: Actor | None) -> None:
    """Each as its owner would: no due time is lost sight of."""
    theirs = sa.select(Schedule.id).where(
        Schedule.owner_id == user_id, Schedule.status != "cancelled", Schedule.deleted_at.is_(None)
    )
    for schedule_id in session().scalars(theirs.order_by(Schedule.id)).all():
        cancel_schedule(actor=actor, schedule_id=schedule_id)


def _erase_schedules_of(user_id: UUID) -> None:
    blank: dict[str, Any] = {"name": "deleted", "params": {}, "fault": None}
    blank |= {"ping_token": None, "early_ping": None}
    statement = sa.update(Schedule).where(Schedule.owner_id == user_id).values(blank)
    session().execute(statement.execution_options(synchronize_session=False))


def _end_running_runs_of(user_id: UUID, actor: Actor | None) -> None:
    """End the attempts that are being made: what they would write afterwards is fenced off."""
    ended = sa.update(Run).where(Run.owner_id == user_id, Run.status == "running")
    ended = ended.values(
        status="cancelled", reason=SCHEDULE_CANCELLED, finished_at=database_now(), lease_until=None
    )
    options: dict[str, Any] = {"synchronize_session": False}
    returned = ended.returning(Run.id, Run.schedule_id, Run.action).execution_options(**options)
    runs = session().execute(returned).all()
    for run_id, *_ in runs:
        record_event("run.cancelled", subject=("run", run_id), actor=actor, owner_id=user_id)
    counts.count_ended((schedule_id, "cancelled") for _, schedule_id, _ in runs)
    meter_ends((action, "cancelled") for *_, action in runs)


def _delete_reminders_to_others(user_id: UUID) -> None:
    theirs = (Run.owner_id == user_id, Run.action == REMINDER.name)
    runs = session().execute(sa.select(Run.id, Run.params).where(*theirs)).all()
    mailed = [(f"run:{run_id}", params["to"]) for run_id, params in runs if params.get("to")]
    delete_emails([mail_key(key=key, kind="reminder", address=address) for key, address in mailed])


def _erase_runs_of(user_id: UUID) -> None:
    theirs = Run.owner_id == user_id
    log_lines = RunLogLine.run_id.in_(sa.select(Run.id).where(theirs))
    for statement in (
        sa.update(Run).where(theirs).values(params={}, result=None, error=None),
        sa.delete(RunLogLine).where(log_lines),
    ):
        session().execute(statement.execution_options(synchronize_session=False))
