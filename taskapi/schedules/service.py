"""Rules of schedules: making them, and holding, resuming, ending and starting them by hand."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest, page_of_list
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.dispatch import queue_after_commit
from taskapi.schedules.engine.planning import new_run
from taskapi.schedules.errors import (
    InvalidCron,
    RunNotFound,
    ScheduleCancelled,
    ScheduleCompleted,
    ScheduleNotFound,
)
from taskapi.schedules.models import Run, RunLogLine, Schedule
from taskapi.schedules.timing.triggers import Trigger, UnreadableCron, check_cron, next_due

ONE_OFF_NOTIFY = ("created", "completed", "failed")
RECURRING_NOTIFY = ("created", "failed")


def list_actions(*, page: PageRequest) -> Page[Action]:
    """The actions installed."""
    return page_of_list(registry.installed(), request_=page)


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
    schedule.next_run_at = schedule.dispatch_at = first_due(schedule.trigger, now=now)
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
    due = next_due(trigger, after=now - timedelta(microseconds=1))
    if due is None:
        field = "run_at" if trigger.run_at is not None else "ends_at"
        raise ValidationFailed({field: ["There is no due time between starts_at and ends_at."]})
    return due


def check_trigger(trigger: Trigger) -> None:
    """Refuse a trigger that cannot be read.

    Raises:
        InvalidCron: with the reason in words.
    """
    if trigger.cron is not None:
        try:
            check_cron(trigger.cron)
        except UnreadableCron as error:
            raise InvalidCron({"cron": [str(error)]}) from error


def list_schedules(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[Schedule]:
    """The schedules that the actor may see; see ``queries.page_of_schedules`` for the filters."""
    found = queries.page_of_schedules(actor, page, **filters)
    queries.attach_history(found.items)
    return found


def get_schedule(*, actor: Actor, schedule_id: UUID) -> Schedule:
    """A schedule that the actor may see, with its last run and statistics.

    Raises:
        ScheduleNotFound
    """
    schedule = queries.find_schedule(actor, schedule_id, lock=False)
    if schedule is None:
        raise ScheduleNotFound
    queries.attach_history([schedule])
    return schedule


def pause_schedule(*, actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> Schedule:
    """Hold a schedule: what falls due meanwhile gets its verdict at resume; pausing twice is once.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted, PreconditionFailed
    """
    schedule = _lock_live(actor, schedule_id, condition)
    if schedule.status == "active":
        # A pause whose due times still wait for their verdict is taken as one with this.
        if not _waits_for_verdicts(schedule):
            schedule.paused_at = read_database_clock()
        schedule.resumed_at = None
        _change_status(actor, schedule, "paused", event="schedule.paused")
    queries.attach_history([schedule])
    return schedule


def _waits_for_verdicts(schedule: Schedule) -> bool:
    mark, pause = schedule.next_run_at, schedule.last_pause
    return mark is not None and pause is not None and mark < pause[1]


def resume_schedule(*, actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> Schedule:
    """Let a paused schedule go on; the due times of the pause fall under catch_up.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleCompleted, PreconditionFailed
    """
    schedule = _lock_live(actor, schedule_id, condition)
    if schedule.status == "paused":
        schedule.resumed_at = read_database_clock()
        over = schedule.next_run_at is None and not claims.has_open_run(schedule.id)
        _change_status(actor, schedule, "completed" if over else "active", event="schedule.resumed")
        on_commit(wake_scheduler, WAKE_DISPATCH)
    queries.attach_history([schedule])
    return schedule


def cancel_schedule(*, actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> Schedule:
    """End a schedule for good; runs that have not started are cancelled with it.

    Due times that have passed and were not handled yet become cancelled runs, too.

    Raises:
        ScheduleNotFound, PreconditionFailed
    """
    schedule = _lock(actor, schedule_id, condition)
    if schedule.status != "cancelled":
        now = read_database_clock()
        for run_id in claims.cancel_pending_runs(schedule.id):
            record_event("run.cancelled", subject=("run", run_id), actor=actor, owner_id=schedule.owner_id)
        mark, schedule.next_run_at, schedule.dispatch_at = schedule.next_run_at, None, None
        schedule.cancelled_at = now
        schedule.unsettled_from = mark if mark is not None and mark < now else None
        _change_status(actor, schedule, "cancelled", event="schedule.cancelled")
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
    _record(actor, schedule, "schedule.deleted")


def run_now(*, actor: Actor, schedule_id: UUID) -> Run:
    """Run once now, beside the due times.

    Raises:
        ScheduleNotFound, ScheduleCancelled
    """
    schedule = _lock(actor, schedule_id)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled; make a new one.")
    now = read_database_clock()
    run = Run(**new_run(schedule, scheduled_for=now, trigger="manual", now=now))
    session().add(run)
    session().flush()
    record_event(
        "run.requested",
        subject=("run", run.id),
        actor=actor,
        owner_id=run.owner_id,
        after={"schedule_id": str(schedule.id)},
    )
    queue_after_commit([(run.id, run.job_id, run.timeout)])
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
    """A run that the actor may see.

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


def _lock(actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION) -> Schedule:
    schedule = queries.find_schedule(actor, schedule_id, lock=True)
    if schedule is None:
        raise ScheduleNotFound
    condition.check(schedule.version)
    return schedule


def _lock_live(actor: Actor, schedule_id: UUID, condition: Precondition) -> Schedule:
    schedule = _lock(actor, schedule_id, condition)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled, which is final.")
    if schedule.status == "completed":
        raise ScheduleCompleted("The schedule has no due time left.")
    return schedule


def _change_status(actor: Actor, schedule: Schedule, status: str, *, event: str) -> None:
    before, schedule.status = schedule.status, status
    schedule.version += 1
    session().flush()
    _record(actor, schedule, event, before={"status": before}, after={"status": status})


def _record(actor: Actor, schedule: Schedule, event: str, **states: dict[str, Any]) -> None:
    subject = ("schedule", schedule.id)
    record_event(event, subject=subject, actor=actor, owner_id=schedule.owner_id, **states)


def schedule_state(schedule: Schedule) -> dict[str, Any]:
    """What an event says of a schedule, as JSON values."""
    times = {
        name: moment.isoformat() if (moment := getattr(schedule, name)) else None
        for name in ("run_at", "next_run_at")
    }
    words = ("name", "action", "cron", "every", "timezone", "status", "notify")
    return {**{name: getattr(schedule, name) for name in words}, **times}
