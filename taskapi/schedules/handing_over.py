"""Giving the schedules of an account that is closed to somebody else, with their runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.batches import batches
from taskapi.core.closing import Fate
from taskapi.core.db import session
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import UnknownAction
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.changes import record_change
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.permissions import used_by_admins
from taskapi.schedules.queries import lock_not_ended, not_ended
from taskapi.schedules.secrets import recorded_params
from taskapi.schedules.switching import let_go_if_held

LIVE = ("active", "paused")
Tells: TypeAlias = Callable[[dict[str, Any]], Collection[str]]


def hand_over_schedules_of(user_id: UUID, heir_id: UUID, actor: Actor | None) -> None:
    """Let schedules go on as somebody else's; what only administrators may do stays behind."""
    given = [schedule for schedule in lock_not_ended(user_id) if _may_have(schedule, heir_id)]
    before = {schedule.id: _state(schedule) for schedule in given}
    heir_is_admin = accounts.is_active_admin(user_id=heir_id)
    for schedule in given:
        schedule.owner_id = heir_id
        schedule.as_admin = schedule.as_admin and heir_is_admin
        schedule.version += 1
    _forget_listeners(given)
    session().flush()
    for some in batches([schedule.id for schedule in given]):
        for model in (Run, Backfill):
            moved = sa.update(model).where(model.schedule_id.in_(some)).values(owner_id=heir_id)
            session().execute(moved.execution_options(synchronize_session=False))
    for schedule in given:
        _record(actor, schedule, before[schedule.id])
        let_go_if_held(schedule, actor)


def forget_listeners_of(user_id: UUID, actor: Actor | None) -> None:
    """Let the schedules of a user go on, but tell nobody else any more of what they see."""
    telling = [schedule for schedule in lock_not_ended(user_id) if _tells_of(schedule) is not None]
    before = {schedule.id: _state(schedule) for schedule in telling}
    _forget_listeners(telling)
    changed = [schedule for schedule in telling if _state(schedule) != before[schedule.id]]
    for schedule in changed:
        schedule.version += 1
    session().flush()
    for schedule in changed:
        _record(actor, schedule, before[schedule.id])


def _tells_of(schedule: Schedule) -> Tells | None:
    return registry.find(schedule.action).tells if registry.is_installed(schedule.action) else None


def _forget_listeners(schedules: Sequence[Schedule]) -> None:
    """Whoever the former owner had told of what they saw is not told of what the heir sees."""
    telling = {schedule.id: tells for schedule in schedules if (tells := _tells_of(schedule)) is not None}
    for schedule in schedules:
        if schedule.id in telling:
            schedule.params = _without(schedule.params, telling[schedule.id])
    for some in batches(list(telling)):
        # One that has succeeded is never done again.
        runs = sa.select(Run).where(Run.schedule_id.in_(some), Run.status != "completed")
        for run in session().scalars(runs.execution_options(yield_per=500)):
            run.params = _without(run.params, telling[run.schedule_id])


def _without(params: dict[str, Any], tells: Tells) -> dict[str, Any]:
    listeners = tells(params)
    return {name: value for name, value in params.items() if name not in listeners}


def _record(actor: Actor | None, schedule: Schedule, before: dict[str, Any]) -> None:
    after = _state(schedule)
    changed = [name for name in after if before[name] != after[name]]
    old, new = ({name: state[name] for name in changed} for state in (before, after))
    record_change(actor, schedule, "schedule.updated", before=old, after=new)


def _state(schedule: Schedule) -> dict[str, Any]:
    params = recorded_params(schedule.action, schedule.params)
    return {"owner_id": str(schedule.owner_id), "params": params}


def foresee_schedules_of(user_id: UUID, heir_id: UUID | None) -> Sequence[Fate]:
    """How many schedules would go on, and how many would be cancelled."""
    if heir_id is None:
        live = sa.select(sa.func.count()).where(Schedule.owner_id == user_id, *_live())
        return [Fate(thing="schedules", outcome="cancelled", count=session().scalar(live) or 0)]
    schedules = session().scalars(not_ended(user_id)).all()
    given = [schedule for schedule in schedules if _may_have(schedule, heir_id)]
    return [
        Fate(thing="schedules", outcome="cancelled", count=len(schedules) - len(given)),
        Fate(thing="schedules", outcome="handed_over", count=len(given)),
    ]


def count_schedules_of(user_ids: Collection[UUID]) -> Mapping[str, Mapping[UUID, int]]:
    """``schedules`` of each of the users that are active or paused."""
    statement = sa.select(Schedule.owner_id, sa.func.count()).where(Schedule.owner_id.in_(user_ids), *_live())
    rows = session().execute(statement.group_by(Schedule.owner_id))
    return {"schedules": {user_id: count for user_id, count in rows}}  # noqa: C416 - rows are no pairs


def _live() -> tuple[Any, ...]:
    return Schedule.status.in_(LIVE), Schedule.deleted_at.is_(None)


def _may_have(schedule: Schedule, heir_id: UUID) -> bool:
    try:
        action = registry.find(schedule.action)
    except UnknownAction:
        # What it may do is asked again when it runs, if it ever does.
        return True
    return not used_by_admins(action, schedule.params) or accounts.is_active_admin(user_id=heir_id)
