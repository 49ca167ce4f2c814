"""Control of schedules by hand: hold, resume, end, and run now."""

from typing import Any
from uuid import UUID

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.events import record_event
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.changes import (
    change_status,
    lock_live,
    lock_schedule,
    record_change,
    require_active_owner,
)
from taskapi.schedules.engine import claims, counts
from taskapi.schedules.engine.backfilling import end_backfills
from taskapi.schedules.engine.meters import meter_ends
from taskapi.schedules.engine.planning import new_run
from taskapi.schedules.engine.queueing import insert_runs
from taskapi.schedules.errors import ScheduleCancelled
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.permissions import reach_of_change
from taskapi.schedules.secrets import params_to_store


def pause_schedule(
    *, actor: Actor | None, schedule_id: UUID, condition: Precondition = ANY_VERSION
) -> Schedule:
    """Hold a schedule: what falls due meanwhile gets its verdict at resume; pausing twice is once.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted, PreconditionFailed
    """
    schedule = lock_live(actor, schedule_id, condition)
    if schedule.status == "active":
        hold(actor, schedule)
    queries.attach_history([schedule])
    return schedule


def resume_schedule(
    *, actor: Actor | None, schedule_id: UUID, condition: Precondition = ANY_VERSION
) -> Schedule:
    """Let a paused schedule go on; the due times of the pause fall under catch_up.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted, PreconditionFailed, OwnerInactive
    """
    schedule = lock_live(actor, schedule_id, condition)
    if schedule.status == "paused":
        require_active_owner(schedule)
        let_go_on(actor, schedule)
    queries.attach_history([schedule])
    return schedule


def hold(actor: Actor | None, schedule: Schedule) -> None:
    """Pause a schedule that is active, and locked."""
    schedule.begin_pause(read_database_clock())
    change_status(actor, schedule, "paused", event="schedule.paused")


def let_go_on(actor: Actor | None, schedule: Schedule) -> None:
    """Resume a schedule that is paused, and locked."""
    schedule.resumed_at = read_database_clock()
    schedule.failures_in_row, schedule.fault = 0, None
    schedule.paused_with_owner = False
    over = schedule.next_run_at is None and not claims.has_open_run(schedule.id)
    change_status(actor, schedule, "completed" if over else "active", event="schedule.resumed")
    on_commit(wake_scheduler, WAKE_DISPATCH)


def cancel_schedule(
    *, actor: Actor | None, schedule_id: UUID, condition: Precondition = ANY_VERSION
) -> Schedule:
    """End a schedule for good; runs that have not started are cancelled with it.

    Due times that have passed and were not handled yet become cancelled runs, too.

    Raises:
        ScheduleNotFound, PreconditionFailed
    """
    schedule = lock_schedule(actor, schedule_id, condition)
    if schedule.status != "cancelled":
        now = read_database_clock()
        cancelled = claims.cancel_pending_runs(schedule.id)
        for run_id in cancelled:
            record_event("run.cancelled", subject=("run", run_id), actor=actor, owner_id=schedule.owner_id)
        counts.count_ended((schedule.id, "cancelled") for _ in cancelled)
        meter_ends((schedule.action, "cancelled") for _ in cancelled)
        end_backfills(schedule.id, actor=actor)
        mark, schedule.next_run_at, schedule.dispatch_at = schedule.next_run_at, None, None
        schedule.cancelled_at = now
        schedule.unsettled_from = mark if mark is not None and mark < now else None
        change_status(actor, schedule, "cancelled", event="schedule.cancelled")
        on_commit(wake_scheduler, WAKE_DISPATCH)
    queries.attach_history([schedule])
    return schedule


def delete_schedule(*, actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> None:
    """Cancel a schedule and take it out of sight; its runs stay in the history.

    Raises:
        ScheduleNotFound, PreconditionFailed
    """
    schedule = cancel_schedule(actor=actor, schedule_id=schedule_id, condition=condition)
    schedule.deleted_at = read_database_clock()
    schedule.version += 1
    session().flush()
    record_change(actor, schedule, "schedule.deleted")


def run_now(*, actor: Actor | None, schedule_id: UUID, params: dict[str, Any] | None = None) -> Run:
    """Run once now, beside the due times.

    Args:
        params: replace the schedule's for this run.

    Raises:
        ScheduleNotFound, ScheduleCancelled, OwnerInactive
        UnknownAction, ValidationFailed, AdminOnly, MissingScope: as for a schedule's params.
    """
    schedule = lock_schedule(actor, schedule_id)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled; make a new one.")
    require_active_owner(schedule)
    now = read_database_clock()
    row = new_run(schedule, scheduled_for=now, trigger="manual", now=now)
    if params is not None:
        if actor is not None:
            # Somebody may have it done again, for which the schedule is asked.
            schedule.as_admin = reach_of_change(schedule, actor)
        action = registry.find(schedule.action)
        row["params"] = params_to_store(action, params, actor=actor, stored=schedule.params)
    insert_runs([row])
    run = session().get_one(Run, row["id"])
    record_event(
        "run.requested",
        subject=("run", run.id),
        actor=actor,
        owner_id=run.owner_id,
        after={"schedule_id": str(schedule.id)},
    )
    return run
