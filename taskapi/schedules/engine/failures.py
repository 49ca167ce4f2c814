"""Failures in a row: when the owner is told, when it is told that all is well, when a schedule stops."""

from typing import Any

from taskapi.core.db import read_database_clock
from taskapi.core.events import record_event
from taskapi.schedules.models import Run, Schedule

MAX_FAULT_LENGTH = 2000


def count_outcome(schedule: Schedule, run: Run) -> dict[str, Any]:
    """Count how a run ended; what its event says of it.

    The schedule is locked by the caller.
    """
    if run.status == "failed":
        schedule.failures_in_row += 1
        alert = schedule.failures_in_row >= schedule.alert_after
        return {"failures_in_row": schedule.failures_in_row, "alert": alert}
    if run.status == "completed" and schedule.failures_in_row:
        _recover(schedule, run)
    return {}


def pause_if_hopeless(schedule: Schedule, run: Run) -> None:
    """Pause a schedule whose runs failed ``pause_after`` times in a row, and say so."""
    limit = schedule.pause_after
    if run.status != "failed" or limit is None or schedule.failures_in_row < limit:
        return
    if schedule.status != "active" or schedule.next_run_at is None:
        return
    schedule.begin_pause(read_database_clock())
    schedule.status = "paused"
    schedule.fault = _words(schedule.failures_in_row, run)
    record_event(
        "schedule.paused",
        subject=("schedule", schedule.id),
        owner_id=schedule.owner_id,
        before={"status": "active"},
        after={
            "status": "paused",
            "reason": "failures",
            "schedule_name": schedule.name,
            "action": schedule.action,
            "failures_in_row": schedule.failures_in_row,
            "fault": schedule.fault,
        },
    )


def _words(failures: int, run: Run) -> str:
    error = run.error or {"code": "unknown", "message": "no reason is known"}
    times = "1 failed run" if failures == 1 else f"{failures} failed runs in a row"
    return f"Paused by itself after {times}. The last: {error['code']}: {error['message']}"[:MAX_FAULT_LENGTH]


def _recover(schedule: Schedule, run: Run) -> None:
    failures, schedule.failures_in_row = schedule.failures_in_row, 0
    if failures < schedule.alert_after:
        return
    record_event(
        "schedule.recovered",
        subject=("schedule", schedule.id),
        owner_id=schedule.owner_id,
        after={
            "schedule_name": schedule.name,
            "action": run.action,
            "run_id": str(run.id),
            "scheduled_for": run.scheduled_for.isoformat(),
            "failures_in_row": failures,
            "notify": run.notify,
        },
    )
