"""The ordinary due time, which is nearly every one: in time, run once, and done with few statements.

It is planned from a few columns and written by one statement for all schedules and their
runs, in which PostgreSQL copies what a run takes over. Whatever is rare (skipped, missed,
replaced, waiting for a ping, completing a schedule) is left to the long way, on whole rows.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.arrays import array, as_lists, unfolded
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import read_database_clock, session
from taskapi.core.ids import new_id_text
from taskapi.core.upserts import insert_into
from taskapi.schedules.actions import registry
from taskapi.schedules.definition import trigger_of
from taskapi.schedules.engine import claims, due
from taskapi.schedules.engine.due import DueSchedule
from taskapi.schedules.engine.planning import deadline, policy_of
from taskapi.schedules.engine.queueing import insert_due
from taskapi.schedules.engine.usual import plan_usual
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.timing.verdicts import Plan, Verdict, plan

# A schedule with more due times at once has fallen behind.
FEW = 3

_TIME = UtcDateTime()
# What is as in the schedule, or as another time here, is NULL: times cost most to write and to read.
_TIMES = ("scheduled_for", "due_at", "start_by", "finish_by", "next_run_at", "dispatch_at")
_PLANNED: dict[str, sa.types.TypeEngine[Any]] = {
    # Not named as a column of schedules: SQLAlchemy would set that, too.
    **dict.fromkeys(("run_id", "schedule_id"), sa.Uuid()),
    **dict.fromkeys(_TIMES, _TIME),
    **dict.fromkeys(("is_queued", "waits_for_turn"), sa.Boolean()),
    "more": sa.Integer(),
}
# What a run takes over from its schedule as it is now: later edits do not change it.
_TAKEN_OVER = ("owner_id", "action", "params", "timeout", "retry", "notify")


def dispatch_ordinary(schedules: Sequence[DueSchedule]) -> list[UUID]:
    """Make the runs of what is ordinary; the ids of the schedules that must go the long way.

    The schedules are locked by the caller.
    """
    now = read_database_clock()
    busy = _that_overlap(schedules, now)
    rest, rows = [], []
    for schedule in schedules:
        planned = None if _is_special(schedule) else _plan(schedule, schedule.id in busy, now)
        if planned is None:
            rest.append(schedule.id)
        else:
            rows += _rows(schedule, planned, now)
    if rows:
        # Of a backlog the next batch is looked at meanwhile.
        insert_due(rows, _write, beside=due.has_backlog())
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


def _rows(schedule: DueSchedule, planned: Plan, now: datetime) -> list[dict[str, Any]]:
    """What of each run is its own, and what its way to the workers needs; the last one moves the mark."""
    schedule_id = str(schedule.id)
    rows = [_row(schedule, schedule_id, verdict, now) for verdict in planned.verdicts]
    rows[-1] |= {
        "more": len(rows),
        "next_run_at": planned.next_run_at,
        "dispatch_at": _unless(planned.next_run_at, planned.dispatch_at),
    }
    return rows


def _row(schedule: DueSchedule, schedule_id: str, verdict: Verdict, now: datetime) -> dict[str, Any]:
    at, due_at, waits = verdict.at, verdict.due_at, verdict.outcome == "wait"
    return {
        "id": new_id_text(),
        "schedule_id": schedule_id,
        "owner_id": schedule.owner_id,
        "action": schedule.action,
        "timeout": schedule.timeout,
        "status": "pending",
        "scheduled_for": _unless(schedule.next_run_at, at),
        "due_at": _unless(at, due_at),
        "created_at": now,
        "queued_at": None if waits else now,
        "waits_for_turn": waits,
        "start_by": deadline(schedule.start_deadline, due_at, verdict.trigger),
        "finish_by": deadline(schedule.finish_deadline, due_at, verdict.trigger),
        "more": None,
        "next_run_at": None,
        "dispatch_at": None,
    }


def _unless(known: datetime | None, value: datetime | None) -> datetime | None:
    return None if value == known else value


def _that_overlap(schedules: Sequence[DueSchedule], now: datetime) -> set[UUID]:
    """Which have a run open that stands in the way; where runs may overlap nobody asks."""
    asked = [schedule.id.hex for schedule in schedules if schedule.overlap != "allow"]
    if not asked:
        return set()
    return set(session().scalars(_overlapping(), {"ids": asked, "now": now}))


def _overlapping() -> sa.Select[Any]:
    asked = sa.func.unnest(array("ids", sa.Uuid())).table_valued(sa.column("id", sa.Uuid()), name="asked")
    asked = asked.render_derived()
    theirs = sa.select(Run.id).where(
        Run.schedule_id == asked.c.id,
        claims.IS_OPEN,
        claims.stands_in_the_way(sa.bindparam("now", type_=UtcDateTime())),
    )
    any_run = theirs.limit(1).correlate(asked).scalar_subquery()
    return sa.select(asked.c.id).where(any_run.is_not(None))


def _write(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert those runs whose due time has none yet, and move the schedules' marks; the ids inserted."""
    for row in rows:
        row |= {"run_id": row["id"], "is_queued": row["queued_at"] is not None}
    params = {**as_lists(rows, _PLANNED), "made_at": rows[0]["created_at"], "moved_at": clock.now()}
    return set(session().connection().execute(_writing(), params).scalars().all())


@cache
def _writing() -> sa.Insert:
    """One statement, so that an insert sees the marks as they were."""
    planned = sa.select(*unfolded("unfolded", _PLANNED).c).cte("planned")
    made_at = sa.bindparam("made_at", type_=_TIME)
    scheduled_for = sa.func.coalesce(planned.c.scheduled_for, Schedule.next_run_at)
    values: dict[str, Any] = {name: getattr(Schedule, name) for name in _TAKEN_OVER}
    values |= {name: planned.c[name] for name in ("schedule_id", "start_by", "finish_by", "waits_for_turn")}
    values |= {
        "id": planned.c.run_id,
        "scheduled_for": scheduled_for,
        "due_at": sa.func.coalesce(planned.c.due_at, scheduled_for),
        "queued_at": sa.case((planned.c.is_queued, made_at)),
        "trigger": sa.literal("schedule"),
        "status": sa.literal("pending"),
        "max_attempts": Schedule.retry["max_attempts"].as_integer(),
        "created_at": made_at,
        **{name: sa.literal(0) for name in ("attempt", "lost_attempts", "earlier_attempts")},
    }
    source = sa.select(*values.values()).join_from(planned, Schedule, Schedule.id == planned.c.schedule_id)
    insert = insert_into(Run).from_select(list(values), source, include_defaults=False)
    insert = insert.on_conflict_do_nothing().add_cte(_moving(planned).cte("moved"))
    return insert.returning(sa.cast(Run.id, sa.Text()))


def _moving(planned: sa.CTE) -> sa.Update:
    """Move each schedule's mark past its due times, as planning a whole row does."""
    return (
        sa.update(Schedule.__table__)  # type: ignore[arg-type]
        .where(Schedule.id == planned.c.schedule_id, planned.c.more.is_not(None))
        .values(
            next_run_at=planned.c.next_run_at,
            dispatch_at=sa.func.coalesce(planned.c.dispatch_at, planned.c.next_run_at),
            run_count=Schedule.run_count + planned.c.more,
            fault=None,
            set_aside_until=None,
            updated_at=sa.bindparam("moved_at", type_=_TIME),
        )
    )
