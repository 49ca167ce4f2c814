"""From a schedule and the time to rows of runs: every due time that has passed gets one."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.schedules.definition import Definition, last_pause_of
from taskapi.schedules.engine import claims
from taskapi.schedules.models import SCHEDULE_CANCELLED, Schedule
from taskapi.schedules.timing.triggers import due_times
from taskapi.schedules.timing.verdicts import (
    Outcome,
    Policy,
    Verdict,
    due_moments,
    first_moments,
    plan,
)

# What a verdict makes of the row of a pending run.
_OUTCOMES: dict[Outcome, dict[str, Any]] = {
    "run": {},
    "wait": {"waits_for_turn": True, "queued_at": None},
    "skip": {"status": "skipped", "queued_at": None},
    "replaced": {"status": "cancelled", "queued_at": None},
}


def plan_schedule(
    schedule: Schedule,
    *,
    now: datetime,
    overlaps: bool,
    has_open_run: bool,
    limit: int,
    policy: Policy | None = None,
) -> list[dict[str, Any]]:
    """Rows for the due times up to ``now``, at most ``limit``; moves the schedule's mark past them.

    Args:
        overlaps: whether a run of an earlier due time is open.
        has_open_run: whether any run is, one started by hand included.
        policy: in the place of the schedule's own.
    """
    assert schedule.next_run_at is not None
    planned = plan(
        schedule.trigger,
        policy or policy_of(schedule),
        mark=schedule.next_run_at,
        now=now,
        has_open_run=overlaps,
        limit=limit,
    )
    rows = [_row_of(schedule, verdict, now) for verdict in planned.verdicts]
    to_run = sum(row["status"] == "pending" for row in rows)
    schedule.run_count += to_run
    schedule.next_run_at, schedule.dispatch_at = planned.next_run_at, planned.dispatch_at
    if planned.next_run_at is not None and schedule.trigger.is_skipped(planned.next_run_at):
        set_mark(schedule, planned.next_run_at)
    schedule.fault = schedule.set_aside_until = None
    if not to_run and not has_open_run:
        _complete(schedule)
    return rows


def complete_if_nothing_is_left(schedule: Schedule) -> None:
    """Close a schedule without a further due time, unless a run of it is open; it is locked."""
    session().flush()
    if not claims.has_open_run(schedule.id):
        _complete(schedule)


def _complete(schedule: Schedule) -> None:
    # One that is paused is closed when it is resumed.
    if schedule.next_run_at is None and schedule.status == "active":
        schedule.status = "completed"
        record_event("schedule.completed", subject=("schedule", schedule.id), owner_id=schedule.owner_id)


def set_mark(schedule: Schedule, mark: datetime | None) -> None:
    """Have the first due time from ``mark`` on be the next that gets its verdict; None for no further.

    One left out by hand has its run already.
    """
    trigger, policy = schedule.trigger, policy_of(schedule)
    coming = iter(()) if mark is None or policy.runs_left == 0 else due_moments(trigger, policy, mark=mark)
    first = next((moments for moments in coming if not trigger.is_skipped(moments[0])), None)
    schedule.next_run_at, schedule.dispatch_at = first or (None, None)


def left_out_by_hand(schedule: Schedule, due: datetime, *, now: datetime) -> dict[str, Any]:
    """The row of the run of a due time that somebody leaves out."""
    at, due_at = first_moments(schedule.trigger, policy_of(schedule), mark=due) or (due, due)
    return _row_of(schedule, Verdict(at, due_at, "schedule", "skip", "manual"), now)


def plan_cancelled(schedule: Schedule, *, now: datetime, limit: int) -> list[dict[str, Any]]:
    """Rows for due times that passed before a schedule was cancelled and were not handled yet."""
    assert schedule.unsettled_from is not None
    assert schedule.cancelled_at is not None
    coming = due_times(schedule.trigger, after=schedule.unsettled_from - timedelta(microseconds=1))
    due = [found.at for found in islice(coming, limit + 1)]
    passed = [at for at in due[:limit] if at < schedule.cancelled_at]
    following = due[len(passed)] if len(due) > len(passed) else None
    rest_passed = following is not None and following < schedule.cancelled_at
    schedule.unsettled_from = following if rest_passed else None
    ended = {"status": "cancelled", "reason": SCHEDULE_CANCELLED, "queued_at": None, "finished_at": now}
    return [{**new_run(schedule, scheduled_for=at, trigger="schedule", now=now), **ended} for at in passed]


def policy_of(schedule: Definition) -> Policy:
    """The schedule's policies, as the pure rules of ``verdicts`` understand them."""
    deadline = schedule.start_deadline
    return Policy(
        catch_up=schedule.catch_up,
        catch_up_window=timedelta(seconds=schedule.catch_up_window),
        catch_up_limit=schedule.catch_up_limit,
        pause=last_pause_of(schedule),
        overlap=schedule.overlap,
        runs_left=None if schedule.max_runs is None else max(schedule.max_runs - schedule.run_count, 0),
        start_deadline=None if deadline is None else timedelta(seconds=deadline),
        jitter=schedule.jitter,
        seed=schedule.id,
    )


def _row_of(schedule: Schedule, verdict: Verdict, now: datetime) -> dict[str, Any]:
    row = new_run(schedule, scheduled_for=verdict.at, due_at=verdict.due_at, trigger=verdict.trigger, now=now)
    row |= {**_OUTCOMES[verdict.outcome], "reason": verdict.reason}
    return row if row["status"] == "pending" else row | {"finished_at": now}


def new_run(
    schedule: Schedule,
    *,
    scheduled_for: datetime,
    trigger: str,
    now: datetime,
    due_at: datetime | None = None,
) -> dict[str, Any]:
    """The row of a pending run of the schedule as it is now: later edits do not change it.

    Args:
        due_at: the due time with its share of the jitter, if it has one.
    """
    due_at = due_at or scheduled_for
    return {
        "id": new_id(),
        "schedule_id": schedule.id,
        "owner_id": schedule.owner_id,
        "action": schedule.action,
        "params": schedule.params,
        "trigger": trigger,
        "scheduled_for": scheduled_for,
        "due_at": due_at,
        "status": "pending",
        "reason": None,
        "attempt": 0,
        "lost_attempts": 0,
        "max_attempts": schedule.retry["max_attempts"],
        "timeout": schedule.timeout,
        "retry": schedule.retry,
        "notify": schedule.notify,
        "created_at": now,
        "queued_at": now,
        "waits_for_turn": False,
        "finished_at": None,
        "start_by": deadline(schedule.start_deadline, due_at, trigger),
        "finish_by": deadline(schedule.finish_deadline, due_at, trigger),
    }


def deadline(seconds: float | None, due_at: datetime, trigger: str) -> datetime | None:
    """Counted from the due time; for a backfill of what is long past there is none."""
    return None if seconds is None or trigger == "backfill" else due_at + timedelta(seconds=seconds)
