"""Rules of schedules: making them, and holding, resuming, ending and starting them by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest, whole_page
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action
from taskapi.schedules.dispatch import new_run, queue_after_commit
from taskapi.schedules.errors import RunNotFound, ScheduleCancelled, ScheduleCompleted, ScheduleNotFound
from taskapi.schedules.models import Run, RunLogLine, Schedule
from taskapi.schedules.triggers import InvalidCron, Trigger, check_cron, next_due

ONE_OFF_NOTIFY = ("created", "completed", "failed")
RECURRING_NOTIFY = ("created", "failed")


def list_actions() -> Page[Action]:
    """The actions installed."""
    return whole_page(registry.installed())


def create_schedule(
    *,
    actor: Actor,
    name: str | None,
    action: str,
    params: dict[str, Any],
    timezone: str | None = None,
    starts_at: datetime | None = None,
    **definition: Any,
) -> Schedule:
    """Plan an action for once or for many times; the other arguments are columns of ``Schedule``.

    Raises:
        UnknownAction, ValidationFailed
    """
    found = registry.find(action)
    registry.check_params(found, params)
    now = read_database_clock()
    definition.setdefault("notify", list(ONE_OFF_NOTIFY if "run_at" in definition else RECURRING_NOTIFY))
    schedule = Schedule(
        owner_id=actor.user_id,
        name=name or found.summary,
        action=found.name,
        params=params,
        timezone=timezone or actor.timezone,
        starts_at=starts_at or now,
        starts_at_given=starts_at is not None,
        status="active",
        **definition,
    )
    schedule.next_run_at = first_due(schedule.trigger, now=now)
    session().add(schedule)
    session().flush()
    _record(actor, schedule, "schedule.created", after=schedule_state(schedule))
    on_commit(wake_scheduler, WAKE_DISPATCH)
    return schedule


def first_due(trigger: Trigger, *, now: datetime) -> datetime:
    """The first due time of a new schedule.

    Raises:
        ValidationFailed: there is none, with the reason in words.
    """
    check_trigger(trigger)
    if trigger.run_at is not None and trigger.run_at < now:
        raise ValidationFailed({"run_at": ["This time is past."]})
    # A schedule begins now: with starts_at in the past only what is still to come is due.
    due = next_due(trigger, after=now) if trigger.run_at is None else trigger.run_at
    if due is None:
        raise ValidationFailed({"ends_at": ["There is no due time between starts_at and ends_at."]})
    return due


def check_trigger(trigger: Trigger) -> None:
    """Refuse a trigger that cannot be read.

    Raises:
        ValidationFailed: ``invalid_cron``, with the reason in words.
    """
    if trigger.cron is not None:
        try:
            check_cron(trigger.cron)
        except InvalidCron as error:
            raise ValidationFailed({"cron": [str(error)]}, code="invalid_cron") from error


def list_schedules(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[Schedule]:
    """The schedules that the actor may see; see ``queries.page_of_schedules`` for the filters."""
    found = queries.page_of_schedules(actor, page, **filters)
    queries.attach_history(found.items)
    return found


def get_schedule(*, actor: Actor, schedule_id: UUID, lock: bool = False) -> Schedule:
    """
    Raises:
        ScheduleNotFound
    """
    schedule = queries.find_schedule(actor, schedule_id, lock=lock)
    if schedule is None:
        raise ScheduleNotFound
    queries.attach_history([schedule])
    return schedule


def pause_schedule(*, actor: Actor, schedule_id: UUID) -> Schedule:
    """Hold a schedule: what falls due meanwhile gets its verdict at resume; pausing twice is once.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted
    """
    schedule = _get_live(actor, schedule_id)
    if schedule.status == "active":
        schedule.paused_at, schedule.resumed_at = read_database_clock(), None
        _change_status(actor, schedule, "paused", event="schedule.paused")
    return schedule


def resume_schedule(*, actor: Actor, schedule_id: UUID) -> Schedule:
    """Let a paused schedule go on; the due times of the pause fall under catch_up.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted
    """
    schedule = _get_live(actor, schedule_id)
    if schedule.status == "paused":
        schedule.resumed_at = read_database_clock()
        over = schedule.next_run_at is None and not queries.has_open_run(schedule.id)
        _change_status(actor, schedule, "completed" if over else "active", event="schedule.resumed")
        on_commit(wake_scheduler, WAKE_DISPATCH)
    return schedule


def cancel_schedule(*, actor: Actor, schedule_id: UUID) -> Schedule:
    """End a schedule for good; runs that have not started are cancelled with it.

    Raises:
        ScheduleNotFound
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id, lock=True)
    if schedule.status != "cancelled":
        _cancel_pending_runs(schedule.id)
        schedule.next_run_at = None
        _change_status(actor, schedule, "cancelled", event="schedule.cancelled")
        queries.attach_history([schedule])
    return schedule


def delete_schedule(*, actor: Actor, schedule_id: UUID) -> None:
    """Cancel a schedule and take it out of sight; its runs stay in the history.

    Raises:
        ScheduleNotFound
    """
    schedule = cancel_schedule(actor=actor, schedule_id=schedule_id)
    schedule.deleted_at = read_database_clock()
    session().flush()
    _record(actor, schedule, "schedule.deleted")


def run_now(*, actor: Actor, schedule_id: UUID) -> Run:
    """Run once now, beside the due times.

    Raises:
        ScheduleNotFound, ScheduleCancelled
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id, lock=True)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled; make a new one.")
    now = read_database_clock()
    run = new_run(schedule, scheduled_for=now, trigger="manual", now=now)
    session().add(run)
    session().flush()
    record_event(
        "run.requested",
        subject=("run", run.id),
        actor=actor,
        owner_id=run.owner_id,
        after={"schedule_id": str(schedule.id)},
    )
    queue_after_commit([run])
    return run


def list_runs(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[Run]:
    """The runs that the actor may see; see ``queries.page_of_runs`` for the filters."""
    return queries.page_of_runs(actor, page, **filters)


def list_runs_of(*, actor: Actor, schedule_id: UUID, page: PageRequest, **filters: Any) -> Page[Run]:
    """The runs of one schedule.

    Raises:
        ScheduleNotFound
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id)
    return queries.page_of_runs(actor, page, schedule_id=schedule.id, **filters)


def get_run(*, actor: Actor, run_id: UUID) -> Run:
    """
    Raises:
        RunNotFound
    """
    run = queries.find_run(actor, run_id)
    if run is None:
        raise RunNotFound
    return run


def read_log(*, actor: Actor, run_id: UUID, page: PageRequest) -> Page[RunLogLine]:
    """What the action of a run logged.

    Raises:
        RunNotFound
    """
    return queries.page_of_log(get_run(actor=actor, run_id=run_id).id, page)


def _get_live(actor: Actor, schedule_id: UUID) -> Schedule:
    schedule = get_schedule(actor=actor, schedule_id=schedule_id, lock=True)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled, which is final.")
    if schedule.status == "completed":
        raise ScheduleCompleted("The schedule has no due time left.")
    return schedule


def _change_status(actor: Actor, schedule: Schedule, status: str, *, event: str) -> None:
    before, schedule.status = schedule.status, status
    session().flush()
    _record(actor, schedule, event, before={"status": before}, after={"status": status})


def _record(actor: Actor, schedule: Schedule, event: str, **states: dict[str, Any]) -> None:
    subject = ("schedule", schedule.id)
    record_event(event, subject=subject, actor=actor, owner_id=schedule.owner_id, **states)


def _cancel_pending_runs(schedule_id: UUID) -> None:
    now = read_database_clock()
    session().execute(
        sa.update(Run)
        .where(Run.schedule_id == schedule_id, Run.status == "pending")
        .values(status="cancelled", reason="schedule_cancelled", finished_at=now)
        .execution_options(synchronize_session=False)
    )


def schedule_state(schedule: Schedule) -> dict[str, Any]:
    """What an event says of a schedule, as JSON values."""
    times = {
        name: moment.isoformat() if (moment := getattr(schedule, name)) else None
        for name in ("run_at", "next_run_at")
    }
    words = ("name", "action", "cron", "every", "timezone", "status", "notify")
    return {**{name: getattr(schedule, name) for name in words}, **times}
