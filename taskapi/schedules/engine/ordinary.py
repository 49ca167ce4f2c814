"""The ordinary due time, which is nearly every one: in time, run once, and done with few statements.

It is planned from a few columns and written by one statement for all schedules and one for all
runs, in which PostgreSQL copies what a run takes over. Whatever is rare (skipped, missed,
replaced, waiting for a ping, completing a schedule) is left to the long way, on whole rows.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.arrays import array, as_lists, unfolded
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import insert_into, read_database_clock, session
from taskapi.core.ids import new_id
from taskapi.schedules.actions import registry
from taskapi.schedules.definition import trigger_of
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.due import DueSchedule
from taskapi.schedules.engine.planning import deadline, policy_of
from taskapi.schedules.engine.queueing import insert_due
from taskapi.schedules.engine.usual import plan_usual
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.timing.verdicts import Plan, Verdict, plan

# A schedule with more due times at once has fallen behind.
FEW = 3

_TIME = UtcDateTime()
_MOVED = unfolded(
    "moved", {"schedule_id": sa.Uuid(), "next_run_at": _TIME, "dispatch_at": _TIME, "more": sa.Integer()}
)
_PLANNED = unfolded(
    "planned",
    {
        **{name: sa.Uuid() for name in ("id", "schedule_id")},
        **dict.fromkeys(("scheduled_for", "due_at", "queued_at", "start_by", "finish_by"), _TIME),
        "waits_for_turn": sa.Boolean(),
    },
)
# What a run takes over from its schedule as it is now: later edits do not change it.
_TAKEN_OVER = ("owner_id", "action", "params", "timeout", "retry", "notify")


def dispatch_ordinary(schedules: Sequence[DueSchedule]) -> list[UUID]:
    """Make the runs of what is ordinary; the ids of the schedules that must go the long way.

    The schedules are locked by the caller.
    """
    now, busy = read_database_clock(), _that_overlap(schedules)
    rest, rows, moved = [], [], []
    for schedule in schedules:
        planned = None if _is_special(schedule) else _plan(schedule, schedule.id in busy, now)
        if planned is None:
            rest.append(schedule.id)
            continue
        moved.append((schedule.id, planned.next_run_at, planned.dispatch_at, len(planned.verdicts)))
        rows += [_row(schedule, verdict, now) for verdict in planned.verdicts]
    if rows:
        _move(moved)
        insert_due(rows, _insert)
    return rest


def _is_special(schedule: DueSchedule) -> bool:
    return schedule.is_special or registry.may_wait(schedule.action)


def _plan(schedule: DueSchedule, is_busy: bool, now: datetime) -> Plan | None:
    """The plan, unless something in it needs the long way."""
    if usual := plan_usual(schedule, mark=schedule.next_run_at, now=now, is_busy=is_busy):
        return usual
    planned = plan(
        trigger_of(schedule),
        policy_of(schedule),
        mark=schedule.next_run_at,
        now=now,
        has_open_run=is_busy,
        limit=FEW + 1,
    )
    if not 1 <= len(planned.verdicts) <= FEW:
        return None
    is_ordinary = all(
        verdict.trigger == "schedule" and verdict.outcome in ("run", "wait") for verdict in planned.verdicts
    )
    return planned if is_ordinary else None


def _row(schedule: DueSchedule, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """What of a run is its own, and what its way to the workers needs."""
    due_at, waits = verdict.due_at, verdict.outcome == "wait"
    return {
        "id": new_id(),
        "schedule_id": schedule.id,
        "owner_id": schedule.owner_id,
        "timeout": schedule.timeout,
        "status": "pending",
        "scheduled_for": verdict.at,
        "due_at": due_at,
        "created_at": now,
        "queued_at": None if waits else now,
        "waits_for_turn": waits,
        "start_by": deadline(schedule.start_deadline, due_at, verdict.trigger),
        "finish_by": deadline(schedule.finish_deadline, due_at, verdict.trigger),
    }


def _that_overlap(schedules: Sequence[DueSchedule]) -> set[UUID]:
    """Which have a run open that stands in the way; where runs may overlap nobody asks."""
    asked = [schedule.id for schedule in schedules if schedule.overlap != "allow"]
    return set(session().scalars(_overlapping(), {"ids": asked})) if asked else set()


def _overlapping() -> sa.Select[Any]:
    asked = sa.func.unnest(array("ids", sa.Uuid())).table_valued(sa.column("id", sa.Uuid()), name="asked")
    asked = asked.render_derived()
    theirs = sa.select(Run.id).where(
        Run.schedule_id == asked.c.id, claims.IS_OPEN, claims.stands_in_the_way()
    )
    any_run = theirs.limit(1).correlate(asked).scalar_subquery()
    return sa.select(asked.c.id).where(any_run.is_not(None))


def _move(moved: Collection[tuple[Any, ...]]) -> None:
    """Move each schedule's mark past its due times, as planning a whole row does."""
    names = ("schedule_id", "next_run_at", "dispatch_at", "more")
    values = dict(zip(names, zip(*moved, strict=True), strict=True))
    session().connection().execute(_moving(), {**values, "moved_at": clock.now()})


@cache
def _moving() -> sa.Update:
    return (
        sa.update(Schedule.__table__)  # type: ignore[arg-type]
        .where(Schedule.id == _MOVED.c.schedule_id)
        .values(
            next_run_at=_MOVED.c.next_run_at,
            dispatch_at=_MOVED.c.dispatch_at,
            run_count=Schedule.run_count + _MOVED.c.more,
            fault=None,
            set_aside_until=None,
            updated_at=sa.bindparam("moved_at", type_=_TIME),
        )
    )


def _insert(rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """Insert those runs whose due time has none yet; their ids."""
    params = {**as_lists(rows, _PLANNED.c.keys()), "created_at": rows[0]["created_at"]}
    return set(session().connection().execute(_inserting(), params).scalars())


@cache
def _inserting() -> sa.Insert:
    values: dict[str, Any] = {name: _PLANNED.c[name] for name in _PLANNED.c.keys()}  # noqa: SIM118
    values |= {name: getattr(Schedule, name) for name in _TAKEN_OVER}
    values |= {
        "trigger": sa.literal("schedule"),
        "status": sa.literal("pending"),
        "max_attempts": Schedule.retry["max_attempts"].as_integer(),
        "created_at": sa.bindparam("created_at", type_=_TIME),
        **{name: sa.literal(0) for name in ("attempt", "lost_attempts", "earlier_attempts")},
    }
    source = sa.select(*values.values()).join_from(_PLANNED, Schedule, Schedule.id == _PLANNED.c.schedule_id)
    insert = insert_into(Run).from_select(list(values), source, include_defaults=False)
    return insert.on_conflict_do_nothing().returning(Run.id)
