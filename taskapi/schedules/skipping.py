"""Leaving out one due time to come: it has its skipped run from now on."""

from collections import deque
from datetime import datetime, timedelta
from uuid import UUID

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.json import format_time
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.changes import lock_live, record_change
from taskapi.schedules.engine.planning import (
    complete_if_nothing_is_left,
    left_out_by_hand,
    set_mark,
)
from taskapi.schedules.engine.queueing import insert_runs
from taskapi.schedules.models import Schedule
from taskapi.schedules.timing.past import due_between
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, next_due

MAX_SKIPS = 1_000
# On the wire a time has milliseconds.
PRECISION = timedelta(milliseconds=1)
# How far before a time the due time before it is looked for, the nearest first.
LOOK_BACK = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=366))


def skip_due_time(
    *, actor: Actor, schedule_id: UUID, at: datetime, condition: Precondition = ANY_VERSION
) -> Schedule:
    """Leave out one due time to come; leaving it out twice is once.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted, ValidationFailed, PreconditionFailed
    """
    schedule = lock_live(actor, schedule_id, condition)
    now, trigger = read_database_clock(), schedule.trigger
    due = next_due(trigger, after=at - MICROSECOND)
    if due is None or due - at >= PRECISION or due <= now:
        raise ValidationFailed({"at": [_explain(trigger, at, now)]})
    if not trigger.is_skipped(due):
        # By now, a dispatch may have been faster.
        if schedule.next_run_at is None or due < schedule.next_run_at:
            raise ValidationFailed({"at": ["This due time has its run already."]})
        _leave_out(schedule, due, now)
        record_change(actor, schedule, "schedule.due_time_skipped", after={"at": due.isoformat()})
        on_commit(wake_scheduler, WAKE_DISPATCH)
    queries.attach_history([schedule])
    return schedule


def _leave_out(schedule: Schedule, due: datetime, now: datetime) -> None:
    coming = [text for text in schedule.skips if datetime.fromisoformat(text) > now]
    if len(coming) >= MAX_SKIPS:
        raise ValidationFailed(
            {"at": [f"{MAX_SKIPS:,} due times are left out already: change the schedule."]}
        )
    insert_runs([left_out_by_hand(schedule, due, now=now)])
    schedule.skips = sorted([*coming, due.isoformat()])
    if schedule.next_run_at == due:
        set_mark(schedule, due)
        complete_if_nothing_is_left(schedule)
    schedule.version += 1
    session().flush()


def _explain(trigger: Trigger, at: datetime, now: datetime) -> str:
    """Why this is no due time to come, and which one is nearest to it."""
    problem = "This time is past." if at <= now else "Nothing is due at this time."
    after = next_due(trigger, after=max(at, now))
    around = [due for due in (_last_before(trigger, at, now), after) if due is not None]
    if not around:
        return f"{problem} Nothing is due any more."
    return f"{problem} The nearest due time is {format_time(min(around, key=lambda due: abs(due - at)))}."


def _last_before(trigger: Trigger, at: datetime, now: datetime) -> datetime | None:
    """The last due time after now and before ``at``."""
    for reach in LOOK_BACK:
        found = deque(due_between(trigger, max(at - reach, now + MICROSECOND), at), maxlen=1)
        if found:
            return found[0]
    return None
