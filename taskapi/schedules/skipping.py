"""Leaving out one due time to come: it has its skipped run from now on."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.json import format_time
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.changes import lock_live, record_change
from taskapi.schedules.engine import counts, turns
from taskapi.schedules.engine.meters import meter_ends
from taskapi.schedules.engine.planning import (
    complete_if_nothing_is_left,
    left_out_by_hand,
    set_mark,
)
from taskapi.schedules.engine.queueing import insert_runs
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger, next_due

MAX_SKIPS = 1_000
# On the wire a time has milliseconds.
PRECISION = timedelta(milliseconds=1)


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
        taken_back = _taken_back(schedule, due)
        # By now, a dispatch may have been faster.
        if taken_back is None and (schedule.next_run_at is None or due < schedule.next_run_at):
            raise ValidationFailed({"at": ["This due time has its run already."]})
        _leave_out(schedule, due, now, taken_back)
        record_change(actor, schedule, "schedule.due_time_skipped", after={"at": due.isoformat()})
        on_commit(wake_scheduler, WAKE_DISPATCH)
    queries.attach_history([schedule])
    return schedule


def _taken_back(schedule: Schedule, due: datetime) -> Run | None:
    """The run, locked, of a due time to come that was left out before, and opened again by a retry."""
    statement = sa.select(Run).where(
        Run.schedule_id == schedule.id,
        Run.scheduled_for == due,
        Run.status == "pending",
        # A literal, so that the partial unique index is seen to fit.
        sa.text("runs.trigger <> 'manual'"),
    )
    return session().scalar(statement.with_for_update().execution_options(populate_existing=True))


def _leave_out(schedule: Schedule, due: datetime, now: datetime, taken_back: Run | None) -> None:
    coming = [text for text in schedule.skips if datetime.fromisoformat(text) > now]
    if len(coming) >= MAX_SKIPS:
        raise ValidationFailed(
            {"at": [f"{MAX_SKIPS:,} due times are left out already: change the schedule."]}
        )
    if taken_back is None:
        insert_runs([left_out_by_hand(schedule, due, now=now)])
    else:
        _skip_again(taken_back, now)
    schedule.skips = sorted([*coming, due.isoformat()])
    if schedule.next_run_at == due:
        set_mark(schedule, due)
        # It was for the due time that does not come.
        schedule.early_ping = None
    complete_if_nothing_is_left(schedule)
    schedule.version += 1
    session().flush()


def _skip_again(run: Run, now: datetime) -> None:
    run.status, run.reason, run.finished_at = "skipped", "manual", now
    run.queued_at, run.retry_at, run.waits_for_turn = None, None, False
    session().flush()
    counts.count_ended([(run.schedule_id, run.status)])
    meter_ends([(run.action, run.status)])
    turns.hand_on(run.schedule_id)


def _explain(trigger: Trigger, at: datetime, now: datetime) -> str:
    """Why this is no due time to come, and which one is the next."""
    problem = "This time is past." if at <= now else "Nothing is due at this time."
    # Looking back would walk all due times before it: the schedule is locked meanwhile.
    following = next_due(trigger, after=max(at, now))
    if following is None:
        return f"{problem} Nothing is due after it."
    return f"{problem} The next due time is {format_time(following)}."
