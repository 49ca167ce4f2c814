"""Changing a schedule: what is sent is changed, and a new plan begins now.

Due times up to now are first given their verdicts under the old definition, in the same
transaction: none is lost between the two, and none is counted twice.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.access import Actor
from taskapi.core.db import database_moment, on_commit, read_database_clock, savepoint, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.json import format_time
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.core.repeating import is_transient
from taskapi.schedules import queries
from taskapi.schedules.actions import registry
from taskapi.schedules.changes import lock_schedule, record_change, require_active_owner
from taskapi.schedules.engine import counts, turns
from taskapi.schedules.engine.backfilling import end_backfills
from taskapi.schedules.engine.dispatch import judge_until_now
from taskapi.schedules.engine.planning import complete_if_nothing_is_left, policy_of, set_mark
from taskapi.schedules.errors import ScheduleBusy, ScheduleCancelled
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.permissions import reach_of_change
from taskapi.schedules.pings import ping_token_for
from taskapi.schedules.secrets import params_to_store, recorded_params, shown_params
from taskapi.schedules.service import check_number, check_trigger
from taskapi.schedules.timing.past import due_between
from taskapi.schedules.timing.triggers import MICROSECOND, next_due
from taskapi.schedules.timing.wall import zone_of

log = structlog.get_logger(__name__)

TRIGGERS = ("run_at", "cron", "every", "rrule")
# Which moments are due; with how many of them, and when they are handled, this is what is planned.
DUE = {*TRIGGERS, "timezone", "dst", "exclude", "starts_at", "ends_at"}
PLANNED = {*DUE, "jitter", "max_runs"}
MAX_WAITING = 5_000
BUSY_SECONDS = 5


def edit_schedule(
    *, actor: Actor, schedule_id: UUID, condition: Precondition = ANY_VERSION, **changes: Any
) -> Schedule:
    """Change the fields that are sent; runs that are there keep what they were made with.

    Raises:
        ScheduleNotFound, ScheduleCancelled, ScheduleBusy, UnknownAction, ValidationFailed,
        AdminOnly, MissingScope, PreconditionFailed
    """
    schedule = lock_schedule(actor, schedule_id, condition)
    if schedule.status == "cancelled":
        raise ScheduleCancelled("The schedule was cancelled, which is final.")
    wanted = _differences(actor, schedule, changes)
    if wanted:
        before = _state(schedule, wanted)
        # Whatever kept it from being planned may be mended; why it paused by itself still holds.
        fault = None if schedule.set_aside_until is not None else schedule.fault
        if PLANNED.isdisjoint(wanted):
            _apply(schedule, wanted)
        else:
            _plan_anew(actor, schedule, wanted)
        schedule.fault, schedule.set_aside_until = fault, None
        schedule.version += 1
        session().flush()
        record_change(actor, schedule, "schedule.updated", before=before, after=_state(schedule, wanted))
        on_commit(wake_scheduler, WAKE_DISPATCH)
    queries.attach_history([schedule])
    return schedule


def _differences(actor: Actor, schedule: Schedule, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are to change; a trigger that is sent takes the place of the other."""
    wanted = {**changes, **_work(actor, schedule, changes)}
    if any(wanted.get(name) is not None for name in TRIGGERS):
        wanted = {**dict.fromkeys(TRIGGERS), **wanted}
    return {name: value for name, value in wanted.items() if not _is_same(getattr(schedule, name), value)}


def _work(actor: Actor, schedule: Schedule, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be done, as it is stored; another action must be able to read the params."""
    if changes.keys().isdisjoint({"name", "action", "params"}):
        return {}
    sent = {name: changes[name] for name in ("name", "action", "params") if name in changes}
    as_answered = {"name": schedule.name, "action": schedule.action, "params": shown_params(schedule.params)}
    if sent == {name: as_answered[name] for name in sent}:
        # Also of an action that is gone by now, and with a secret that nobody can open any more.
        return {name: getattr(schedule, name) for name in sent}
    action = registry.find(changes.get("action", schedule.action))
    work: dict[str, Any] = {"name": changes.get("name", schedule.name) or action.summary}
    if any(sent[name] != as_answered[name] for name in sent.keys() - {"name"}):
        work["as_admin"] = reach_of_change(schedule, actor)
    if action.name != schedule.action:
        params = params_to_store(action, changes.get("params", schedule.params), actor=actor)
        return {**work, "action": action.name, "params": params}
    if "params" in changes:
        work["params"] = params_to_store(action, changes["params"], actor=actor, stored=schedule.params)
    return work


def _is_same(old: Any, new: Any) -> bool:
    """On the wire a time has milliseconds: sent back as it was answered, it has not changed."""
    if isinstance(old, datetime) and isinstance(new, datetime):
        return format_time(old) == format_time(new)
    return bool(old == new)


def _apply(schedule: Schedule, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        setattr(schedule, name, value)
    if "action" in wanted:
        schedule.ping_token = ping_token_for(registry.find(wanted["action"]))
    if wanted.get("overlap") == "allow":
        turns.release_all(schedule.id)


def _plan_anew(actor: Actor, schedule: Schedule, wanted: Mapping[str, Any]) -> None:
    was_planned = schedule.next_run_at is not None
    now = _settle(schedule)
    trigger_is_new = not wanted.keys().isdisjoint(TRIGGERS)
    if trigger_is_new and schedule.status == "completed":
        schedule.run_count = 0
    _apply(schedule, wanted)
    if "starts_at" in wanted:
        schedule.starts_at_given = True
    elif trigger_is_new and not schedule.starts_at_given:
        schedule.starts_at = now
    _check_bounds(schedule, now, trigger_is_new=trigger_is_new)
    _forget_skips(schedule, now, all_of_them=trigger_is_new)
    if not DUE.isdisjoint(wanted):
        end_backfills(schedule.id, actor=actor)
    coming = schedule.next_run_at
    set_mark(schedule, now if schedule.run_at is not None else now + MICROSECOND)
    if schedule.next_run_at != coming:
        # It was for the due time that does not come.
        schedule.early_ping = None
    _revive_or_refuse(schedule, wanted, now, must_be_due=trigger_is_new or was_planned)


def _settle(schedule: Schedule) -> datetime:
    """Give due times up to now their verdicts under the definition that still holds.

    Returns:
        From when on the new one holds.
    """
    try:
        with savepoint():
            settled = judge_until_now(schedule, limit=MAX_WAITING)
            judged_until = _judged_until(schedule)
    except Exception as error:
        # A full disk or a time-out says nothing of the schedule.
        if isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and is_transient(error)):
            raise
        # It cannot be planned as it is, and this change may mend it; what was due nobody can say.
        log.exception("schedule.edited_unjudged", schedule_id=str(schedule.id))
        session().refresh(schedule)
        settled, judged_until = True, read_database_clock()
    if not settled:
        raise _busy(schedule)
    if schedule.status == "paused":
        # What falls due from now on is judged at resume, by the new definition.
        schedule.paused_at, schedule.resumed_at = read_database_clock(), None
    return judged_until


def _busy(schedule: Schedule) -> ScheduleBusy:
    error = ScheduleBusy(
        f"More than {MAX_WAITING:,} due times wait for their verdict.",
        headers={"Retry-After": str(BUSY_SECONDS)},
    )
    # The dispatcher leaves a paused one alone: what was judged is kept, and the next try goes on there.
    error.keep_changes = schedule.status == "paused"
    return error


def _judged_until(schedule: Schedule) -> datetime:
    """From when on the new definition holds: now, and after all that has its verdict by the old one.

    A transaction that had to wait for the lock has an old now, and a dispatch may have been
    faster with the due times since.
    """
    now, mark, trigger = read_database_clock(), schedule.next_run_at, schedule.trigger
    if mark is None:
        return session().execute(sa.select(database_moment())).scalar_one()
    judged = due_between(trigger, now + MICROSECOND, mark)
    return max((at for at in judged if not trigger.is_skipped(at)), default=now)


def _check_bounds(schedule: Schedule, now: datetime, *, trigger_is_new: bool) -> None:
    if schedule.ends_at is not None and schedule.ends_at <= schedule.starts_at:
        raise ValidationFailed({"ends_at": ["The end must come after the start."]})
    if trigger_is_new and schedule.run_at is not None and schedule.run_at < now:
        raise ValidationFailed({"run_at": ["This time is past."]})
    try:
        zone_of(schedule.timezone)
    except ZoneInfoNotFoundError:
        raise ValidationFailed({"timezone": ["This time zone is not known any more."]}) from None
    check_trigger(schedule.trigger)


def _revive_or_refuse(
    schedule: Schedule, wanted: Mapping[str, Any], now: datetime, *, must_be_due: bool
) -> None:
    """A completed schedule that is due again is active again; one that never is again is refused."""
    if schedule.next_run_at is not None:
        if schedule.status == "completed":
            require_active_owner(schedule)
            check_number(schedule.owner_id)
            schedule.status = "active"
        return
    if policy_of(schedule).runs_left == 0 or next_due(schedule.trigger, after=now) is not None:
        # As many as were wanted have run, or the rest was left out by hand.
        complete_if_nothing_is_left(schedule)
    elif must_be_due:
        field = next(name for name in (*TRIGGERS, "ends_at", *wanted) if name in wanted)
        raise ValidationFailed({field: [f"Nothing would be due after now ({format_time(now)})."]})


def _forget_skips(schedule: Schedule, now: datetime, *, all_of_them: bool) -> None:
    """Take back due times left out by hand that are none any more, and their runs."""
    trigger = schedule.trigger
    coming = {datetime.fromisoformat(text): text for text in schedule.skips}
    kept = {
        at
        for at in coming
        if not all_of_them and at > now and next_due(trigger, after=at - MICROSECOND) == at
    }
    _delete_skipped_runs(schedule, [at for at in coming if at > now and at not in kept])
    schedule.skips = [coming[at] for at in sorted(kept)]


def _delete_skipped_runs(schedule: Schedule, times: Collection[datetime]) -> None:
    if not times:
        return
    theirs = sa.delete(Run).where(
        Run.schedule_id == schedule.id,
        Run.scheduled_for.in_(times),
        Run.status == "skipped",
        Run.reason == "manual",
        Run.trigger == "schedule",
    )
    statement = theirs.returning(Run.schedule_id, Run.status)
    gone = session().execute(statement.execution_options(synchronize_session=False)).all()
    counts.uncount([(schedule_id, status) for schedule_id, status in gone])


def _state(schedule: Schedule, names: Collection[str]) -> dict[str, Any]:
    """The fields as an event tells them, with what a new plan may have made of the schedule."""
    state = {name: getattr(schedule, name) for name in (*names, "status", "next_run_at")}
    if "params" in state:
        state["params"] = recorded_params(schedule.action, schedule.params)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in state.items()
    }
