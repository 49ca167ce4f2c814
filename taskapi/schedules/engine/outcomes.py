"""How an attempt ends: completed, failed, or to be tried again. Every write is fenced by the attempt."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskapi.core.db import database_now, read_database_clock, session
from taskapi.core.events import record_event
from taskapi.schedules.actions.base import LogLine
from taskapi.schedules.engine import claims
from taskapi.schedules.models import SCHEDULE_CANCELLED, Run, RunLogLine, Schedule
from taskapi.schedules.timing.retry import MAX_LOST_ATTEMPTS, retry_delay


def complete(*, run_id: UUID, attempt: int, result: Any) -> Run | None:
    """The attempt succeeded; None if the run is no longer this attempt's."""
    values = {"status": "completed", "result": result, "finished_at": database_now()}
    settled = claims.settle_run(run_id, attempt, values)
    if settled is not None:
        _after_end(settled)
    return settled


def fail(*, run_id: UUID, attempt: int, error: dict[str, str], permanent: bool) -> Run | None:
    """The attempt failed: the run waits for its next attempt, or has failed for good.

    None if the run is no longer this attempt's.
    """
    run = session().get_one(Run, run_id, populate_existing=True)
    over = _is_cancelled(run.schedule_id)
    delay = None if permanent or over else retry_delay(run.retry, failures=attempt - run.lost_attempts)
    if delay is None:
        reason = SCHEDULE_CANCELLED if over and not permanent else None
        values: dict[str, Any] = {
            "status": "failed",
            "error": error,
            "reason": reason,
            "finished_at": database_now(),
        }
    else:
        values = {
            "status": "pending",
            "error": error,
            "finished_at": database_now(),
            "queued_at": None,
            "retry_at": read_database_clock() + timedelta(seconds=delay),
        }
    settled = claims.settle_run(run_id, attempt, values)
    if settled is not None and settled.status == "failed":
        _after_end(settled)
    return settled


def give_back(run: Run) -> None:
    """The worker of a running run is gone: queue the run again, or fail it if it kills its workers.

    The run is locked by the caller. A lost attempt does not use up the retries.
    """
    run.lost_attempts += 1
    run.lease_until = None
    now = read_database_clock()
    if _is_cancelled(run.schedule_id):
        run.status, run.reason, run.finished_at = "cancelled", SCHEDULE_CANCELLED, now
    elif run.lost_attempts >= MAX_LOST_ATTEMPTS:
        run.status, run.finished_at = "failed", now
        run.error = {"code": "worker_lost", "message": f"The worker was lost {run.lost_attempts} times."}
    else:
        run.status, run.queued_at, run.retry_at = "pending", None, now
    session().flush()
    if run.status != "pending":
        _after_end(run)


def _is_cancelled(schedule_id: UUID) -> bool:
    """Whether no further attempt may be made; locked, so that a cancelling waits for what we write."""
    schedule = claims.lock_schedule(schedule_id)
    return schedule is None or schedule.status == "cancelled"


def keep_log(*, run_id: UUID, attempt: int, lines: Sequence[LogLine]) -> None:
    """Store what the action logged in this attempt."""
    session().add_all(
        RunLogLine(run_id=run_id, attempt=attempt, at=line.at, level=line.level, message=line.message)
        for line in lines
    )


def _after_end(run: Run) -> None:
    schedule = session().get(Schedule, run.schedule_id)
    record_event(
        f"run.{run.status}",
        subject=("run", run.id),
        owner_id=run.owner_id,
        after=run_state(run, schedule.name if schedule else run.action),
    )
    complete_if_over(run)


def complete_if_over(run: Run) -> None:
    """Close a schedule that has no further due time once its last run has ended."""
    # Locked before its runs are looked at: a dispatch may just be adding the last one.
    schedule = claims.lock_exhausted(run.schedule_id)
    if schedule is None or claims.has_open_run(schedule.id):
        return
    schedule.status = "completed"
    session().flush()
    record_event("schedule.completed", subject=("schedule", schedule.id), owner_id=schedule.owner_id)


def run_state(run: Run, schedule_name: str) -> dict[str, Any]:
    """What an event says of a run, as JSON values."""
    return {
        "schedule_id": str(run.schedule_id),
        "schedule_name": schedule_name,
        "action": run.action,
        "status": run.status,
        "trigger": run.trigger,
        "scheduled_for": run.scheduled_for.isoformat(),
        "attempt": run.attempt,
        "lag_ms": run.lag_ms,
        "duration_ms": run.duration_ms,
        "error": run.error,
        "notify": run.notify,
    }
