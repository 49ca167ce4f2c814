"""Rules of schedules: making and finding them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.ids import new_id
from taskapi.core.paging import Page, PageRequest, page_of_list
from taskapi.core.runtime import runtime_settings
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action
from taskapi.schedules.bookkeeping import RunCounts
from taskapi.schedules.changes import record_change, schedule_state
from taskapi.schedules.engine.counts import ENDS
from taskapi.schedules.engine.planning import set_mark
from taskapi.schedules.errors import InvalidCron, InvalidRrule, ScheduleNotFound, TooManySchedules
from taskapi.schedules.models import Schedule
from taskapi.schedules.pings import ping_token_for
from taskapi.schedules.secrets import params_to_store
from taskapi.schedules.timing.rrule_text import UnreadableRule
from taskapi.schedules.timing.triggers import Trigger, UnreadableCron, check_cron, check_rule, next_due

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
        TooManySchedules, UnknownAction, ValidationFailed, AdminOnly
        TokenRevoked: the owner was switched off this moment.
    """
    # Before anything of schedules is locked, as whoever switches a user off does.
    accounts.check_still_active(user_id=actor.user_id)
    check_number(actor.user_id)
    found = registry.find(action)
    stored = params_to_store(found, params, actor=actor)
    now = read_database_clock()
    definition.setdefault("notify", list(ONE_OFF_NOTIFY if "run_at" in definition else RECURRING_NOTIFY))
    schedule = Schedule(
        id=new_id(),
        owner_id=actor.user_id,
        name=name or found.summary,
        action=found.name,
        params=stored,
        as_admin=actor.is_admin,
        timezone=timezone or actor.timezone,
        starts_at=starts_at or now,
        starts_at_given=starts_at is not None,
        status="active",
        skips=[],
        run_count=0,
        ping_token=ping_token_for(found),
        **definition,
    )
    set_mark(schedule, first_due(schedule.trigger, now=now))
    session().add(schedule)
    session().flush()
    # There from the start: a worker that had to insert it would wait for a dispatch that waits for it.
    session().add(RunCounts(schedule_id=schedule.id, **dict.fromkeys(ENDS, 0)))
    session().flush()
    record_change(actor, schedule, "schedule.created", after=schedule_state(schedule))
    on_commit(wake_scheduler, WAKE_DISPATCH)
    return schedule


def check_number(owner_id: UUID) -> None:
    """Refuse one more schedule of a user who has as many as they may.

    Raises:
        TooManySchedules
    """
    # Without a lock: it guards the machine, and two at once may be one more.
    limit = runtime_settings().user_schedules
    if limit and queries.count_live(owner_id, limit=limit) >= limit:
        raise TooManySchedules(f"There are {limit} active and paused schedules, which is the limit.")


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
        raise ValidationFailed(
            {_field_to_blame(trigger): ["There is no due time between starts_at and ends_at."]}
        )
    return due


def _field_to_blame(trigger: Trigger) -> str:
    """Where a trigger without any due time says so."""
    if trigger.run_at is not None or trigger.rrule is None:
        return "run_at" if trigger.run_at is not None else "ends_at"
    return "rrule"


def check_trigger(trigger: Trigger) -> None:
    """Refuse a trigger that cannot be read.

    Raises:
        InvalidCron, InvalidRrule: with the reason in words.
    """
    try:
        if trigger.cron is not None:
            check_cron(trigger.cron)
        if trigger.rrule is not None:
            check_rule(trigger)
    except UnreadableCron as error:
        raise InvalidCron({"cron": [str(error)]}) from error
    except UnreadableRule as error:
        raise InvalidRrule({"rrule": [str(error)]}) from error


def list_schedules(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[Schedule]:
    """The schedules that the actor may see; see ``queries.page_of_schedules`` for the filters."""
    found = queries.page_of_schedules(actor, page, **filters)
    queries.attach_history(found.items)
    return found


def get_schedule(*, actor: Actor | None, schedule_id: UUID) -> Schedule:
    """A schedule that the actor may see, with its last run and statistics.

    Raises:
        ScheduleNotFound
    """
    schedule = queries.find_schedule(actor, schedule_id, lock=False)
    if schedule is None:
        raise ScheduleNotFound
    queries.attach_history([schedule])
    return schedule
