"""From a schedule and the time to rows of runs: every due time that has passed gets one."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.schedules.models import SCHEDULE_CANCELLED, Schedule
from taskapi.schedules.timing.triggers import due_times
from taskapi.schedules.timing.verdicts import Policy, Verdict, plan


def plan_schedule(
    schedule: Schedule, *, now: datetime, overlaps: bool, has_open_run: bool, limit: int
) -> list[dict[str, Any]]:
    """Rows for the due times up to ``now``, at most ``limit``; moves the schedule's mark past them.

    Args:
        overlaps: whether a run of an earlier due time is open.
        has_open_run: whether any run is, one started by hand included.
    """
    assert schedule.next_run_at is not None
    planned = plan(
        schedule.trigger,
        _policy(schedule),
        mark=schedule.next_run_at,
        now=now,
        has_open_run=overlaps,
        limit=limit,
    )
    rows = [_row_of(schedule, verdict, now) for verdict in planned.verdicts]
    to_run = sum(row["status"] == "pending" for row in rows)
    schedule.run_count += to_run
    schedule.next_run_at = schedule.dispatch_at = planned.next_run_at
    schedule.fault = schedule.set_aside_until = None
    if planned.next_run_at is None and not to_run and not has_open_run:
        schedule.status = "completed"
        record_event("schedule.completed", subject=("schedule", schedule.id), owner_id=schedule.owner_id)
    return rows


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


def _policy(schedule: Schedule) -> Policy:
    return Policy(
        catch_up=schedule.catch_up,
        catch_up_window=timedelta(seconds=schedule.catch_up_window),
        catch_up_limit=schedule.catch_up_limit,
        pause=schedule.last_pause,
        overlap=schedule.overlap,
        runs_left=None if schedule.max_runs is None else max(schedule.max_runs - schedule.run_count, 0),
    )


def _row_of(schedule: Schedule, verdict: Verdict, now: datetime) -> dict[str, Any]:
    row = new_run(schedule, scheduled_for=verdict.at, trigger=verdict.trigger, now=now)
    if verdict.skipped is not None:
        row |= {"status": "skipped", "reason": verdict.skipped, "queued_at": None, "finished_at": now}
    return row


def new_run(schedule: Schedule, *, scheduled_for: datetime, trigger: str, now: datetime) -> dict[str, Any]:
    """The row of a pending run of the schedule as it is now: later edits do not change it."""
    return {
        "id": new_id(),
        "schedule_id": schedule.id,
        "owner_id": schedule.owner_id,
        "action": schedule.action,
        "params": schedule.params,
        "trigger": trigger,
        "scheduled_for": scheduled_for,
        "due_at": scheduled_for,
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
        "finished_at": None,
    }
