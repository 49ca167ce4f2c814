"""How an attempt ends: completed, failed, or to be tried again. Every write is fenced by the attempt."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import database_now, read_database_clock, session
from taskapi.core.events import record_event
from taskapi.schedules.engine import admission, claims, counts, failures, meters, turns
from taskapi.schedules.engine.skips import TOO_LATE
from taskapi.schedules.models import SCHEDULE_CANCELLED, Run, Schedule
from taskapi.schedules.timing.retry import MAX_LOST_ATTEMPTS, retry_delay
from taskapi.schedules.timing.verdicts import Reason

# The code of an attempt that stopped because somebody asked it to.
CANCELLED = "cancelled"


def complete(*, run_id: UUID, attempt: int, result: Any) -> Run | None:
    """The attempt succeeded; None if the run is no longer this attempt's."""
    locked = claims.lock_schedule_of_ending(run_id)
    values = {"status": "completed", "result": result, "finished_at": database_now()}
    settled = claims.settle_run(run_id, attempt, values)
    if settled is not None:
        _after_end(settled, locked=locked)
    return settled


def fail(
    *, run_id: UUID, attempt: int, error: dict[str, str], permanent: bool, retry_after: float | None = None
) -> Run | None:
    """The attempt failed: the run waits for its next attempt, or has failed for good.

    None if the run is no longer this attempt's.

    Args:
        retry_after: seconds that the next attempt is to wait at least.
    """
    schedule = claims.lock_schedule_of(run_id)
    run = session().get_one(Run, run_id, populate_existing=True)
    if run.cancel_requested_at is not None:
        return _cancel_attempt(run, attempt, error)
    over = schedule is None or schedule.status == "cancelled"
    failed = attempt - run.lost_attempts - run.earlier_attempts
    delay = None if permanent or over else retry_delay(run.retry, failures=failed, at_least=retry_after)
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


def cancel_attempt(*, run_id: UUID, attempt: int) -> Run | None:
    """Somebody asked to cancel the run that this attempt works on; None if it is no longer this attempt's."""
    claims.lock_schedule_of(run_id)
    run = session().get_one(Run, run_id, populate_existing=True)
    return _cancel_attempt(run, attempt, error=None)


def _cancel_attempt(run: Run, attempt: int, error: dict[str, str] | None) -> Run | None:
    """What an action raises once it was told to stop is no failure of it."""
    values = {
        "status": "cancelled",
        "reason": run.cancel_reason,
        "error": None if error is None or error["code"] == CANCELLED else error,
        "finished_at": database_now(),
    }
    settled = claims.settle_run(run.id, attempt, values)
    if settled is not None:
        _after_end(settled)
    return settled


def cancel(run: Run, *, reason: Reason, actor: Actor | None = None) -> None:
    """End a run that no worker has; the caller has locked its schedule, and then the run."""
    run.status, run.reason, run.finished_at = "cancelled", reason, read_database_clock()
    run.retry_at = run.signal_by = None
    run.waits_for_turn = False
    session().flush()
    _after_end(run, actor)


def skip_late_starts(runs: Sequence[Run]) -> None:
    """Runs were not started by their deadlines; the caller has locked their schedules, and then them.

    A few statements for each schedule, however many runs: SQLite's only writer is held meanwhile.
    """
    late = sa.update(Run).where(Run.id.in_([run.id for run in runs]))
    ended = {"status": "skipped", "reason": TOO_LATE, "finished_at": read_database_clock()}
    session().execute(late.values(**ended, queued_at=None, retry_at=None, waits_for_turn=False))
    for run in runs:
        turns.wake_backfill(run)
    for schedule_id in sorted({run.schedule_id for run in runs}):
        turns.hand_on(schedule_id)
        complete_if_over(schedule_id)
    counts.count_ended((run.schedule_id, run.status) for run in runs)
    meters.meter_ends((run.action, run.status) for run in runs)
    for owner_id in {run.owner_id for run in runs}:
        admission.wake_if_running_dry(owner_id)


def give_back(run: Run) -> None:
    """The worker of a running run is gone: queue the run again, or fail it if it kills its workers.

    The caller has locked the run's schedule, and then the run. A lost attempt does not use up
    the retries.
    """
    run.lost_attempts += 1
    run.lease_until = None
    now = read_database_clock()
    schedule = session().get(Schedule, run.schedule_id)
    if run.cancel_requested_at is not None:
        run.status, run.reason, run.finished_at = "cancelled", run.cancel_reason, now
    elif schedule is None or schedule.status == "cancelled":
        run.status, run.reason, run.finished_at = "cancelled", SCHEDULE_CANCELLED, now
    elif run.lost_attempts >= MAX_LOST_ATTEMPTS:
        run.status, run.finished_at = "failed", now
        run.error = {"code": "worker_lost", "message": f"The worker was lost {run.lost_attempts} times."}
    else:
        run.status, run.queued_at, run.retry_at = "pending", None, now
    session().flush()
    if run.status != "pending":
        _after_end(run)


def _after_end(run: Run, actor: Actor | None = None, *, locked: bool = True) -> None:
    schedule = session().get_one(Schedule, run.schedule_id)
    # Unlocked, a run is completed and had nothing to reset: a failure since then came after it.
    told = failures.count_outcome(schedule, run) if locked else {}
    record_event(
        f"run.{run.status}",
        subject=("run", run.id),
        actor=actor,
        owner_id=run.owner_id,
        after=run_state(run, schedule.name) | told,
    )
    failures.pause_if_hopeless(schedule, run)
    turns.hand_on(run.schedule_id)
    turns.wake_backfill(run)
    complete_if_over(run.schedule_id)
    counts.count_ended([(run.schedule_id, run.status)])
    meters.meter_end(run)
    admission.wake_if_running_dry(run.owner_id)


def complete_if_over(*schedule_ids: UUID) -> None:
    """Close those of the schedules that have no further due time and whose last run has ended."""
    # Locked before their runs are looked at: a dispatch may just be adding the last one.
    exhausted = claims.lock_exhausted(schedule_ids)
    if not exhausted:
        return
    busy = claims.schedules_with_open_runs(list(exhausted))
    over = [schedule_id for schedule_id in exhausted if schedule_id not in busy]
    if not over:
        return
    claims.complete_schedules(over)
    for schedule_id in over:
        owner_id = exhausted[schedule_id]
        record_event("schedule.completed", subject=("schedule", schedule_id), owner_id=owner_id)


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
