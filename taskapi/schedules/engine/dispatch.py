"""From due times to runs: claim due schedules, give each due time its verdict, queue the runs.

Any number of schedulers may do this at once. A schedule is claimed by a row lock; the unique
key of ``runs`` decides who owns a due time; Redis is told only after the commit, and what it
misses is queued again.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from taskapi.background.connection import SILENCE_SECONDS
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.core.db import (
    insert_new,
    is_transient,
    on_commit,
    read_database_clock,
    savepoint,
    session,
    transaction,
)
from taskapi.core.events import record_event
from taskapi.core.json import storable_text
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.planning import plan_cancelled, plan_schedule
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.timing.verdicts import MAX_DUE_TIMES

log = structlog.get_logger(__name__)

BATCH = 200
# Bounds one transaction in sum: SQLite's only writer is held meanwhile.
MAX_RUNS_PER_BATCH = 2_000
# What is due is claimed by other schedulers: look again when they should be done.
OTHERS_ARE_BUSY_SECONDS = 0.02
# A schedule that cannot be planned is left alone for so long; its due times stay due.
SET_ASIDE = timedelta(hours=1)
# RQ's own limit on the job is a net below ours, for an action that blocks our signal.
JOB_TIMEOUT_MARGIN_SECONDS = 30


def dispatch_due() -> float | None:
    """Dispatch one batch of what is due.

    Returns:
        The seconds until something is due: 0.0 when there may be more now, None when nothing
        is planned.
    """
    # Looking takes no write lock, which SQLite has only one of.
    seconds = claims.seconds_until_due()
    session().rollback()
    if seconds is None or seconds > 0:
        return seconds
    handled = dispatch_batch() + settle_cancelled() + queue_retries()
    return 0.0 if handled else OTHERS_ARE_BUSY_SECONDS


def dispatch_batch(limit: int = BATCH) -> int:
    """Handle one batch of due schedules in one transaction; how many were claimed.

    A batch that fails is done again schedule by schedule, so that one poisoned row is set
    aside and stops nobody else.
    """
    try:
        with transaction():
            return _handle(claims.claim_due_schedules(limit))
    except Exception as error:
        if isinstance(error, DBAPIError) and is_transient(error):
            raise
        log.warning("dispatch.batch_failed", error=_in_short(error))
    with transaction():
        schedules = claims.claim_due_schedules(limit)
        for schedule in schedules:
            _handle_or_set_aside(schedule)
        return len(schedules)


def _handle(schedules: Sequence[Schedule]) -> int:
    ids = [schedule.id for schedule in schedules]
    now = read_database_clock()
    overlapping, busy = claims.schedules_that_overlap(ids), claims.schedules_with_open_runs(ids)

    def plan(schedule: Schedule, limit: int) -> list[dict[str, Any]]:
        overlaps, has_open_run = schedule.id in overlapping, schedule.id in busy
        return plan_schedule(schedule, now=now, overlaps=overlaps, has_open_run=has_open_run, limit=limit)

    return _insert_planned(schedules, plan)


def settle_cancelled(limit: int = BATCH) -> int:
    """Account for due times that passed before their schedule was cancelled; how many schedules."""
    with transaction():
        now = read_database_clock()
        return _insert_planned(
            claims.claim_unsettled_schedules(limit),
            lambda schedule, limit: plan_cancelled(schedule, now=now, limit=limit),
        )


def _insert_planned(
    schedules: Sequence[Schedule], plan: Callable[[Schedule, int], list[dict[str, Any]]]
) -> int:
    """Insert what ``plan`` gives, up to the bound of a transaction; the rest comes next round."""
    rows: list[dict[str, Any]] = []
    for schedule in schedules:
        left = MAX_RUNS_PER_BATCH - len(rows)
        if left <= 0:
            break
        rows += plan(schedule, min(left, MAX_DUE_TIMES))
    session().flush()
    # A due time whose run exists already, as after restoring an old backup, keeps that run.
    inserted = insert_new(Run, rows)
    queue_after_commit(
        [
            (row["id"], f"run-{row['id']}-1", row["timeout"])
            for row in rows
            if row["status"] == "pending" and row["id"] in inserted
        ]
    )
    return len(schedules)


def _handle_or_set_aside(schedule: Schedule) -> None:
    schedule_id = schedule.id
    try:
        with savepoint():
            _handle([schedule])
    except Exception as error:
        log.exception("dispatch.schedule_set_aside", schedule_id=str(schedule_id))
        session().refresh(schedule)
        schedule.fault = _in_short(error)
        schedule.set_aside_until = read_database_clock() + SET_ASIDE
        record_event(
            "schedule.set_aside",
            subject=("schedule", schedule_id),
            owner_id=schedule.owner_id,
            after={"fault": schedule.fault},
        )
        session().flush()


def _in_short(error: Exception) -> str:
    """What people may read of an error: no SQL and no parameters."""
    if isinstance(error, DBAPIError):
        return f"{type(error).__name__}: the database refused it"
    return storable_text(f"{type(error).__name__}: {error}")[:2000]


def queue_retries(limit: int = BATCH) -> int:
    """Queue runs whose pause is over; how many there were."""
    with transaction():
        runs = claims.claim_due_retries(limit)
        now = read_database_clock()
        for run in runs:
            run.queued_at, run.retry_at = now, None
        session().flush()
        queue_after_commit([(run.id, run.job_id, run.timeout) for run in runs])
        return len(runs)


def queue_after_commit(runs: Sequence[tuple[UUID, str, float]]) -> None:
    """Hand runs to the workers once they are committed, all in one round trip.

    Args:
        runs: id, job id and timeout of each.
    """
    if runs:
        on_commit(_queue, list(runs))


def _queue(runs: list[tuple[UUID, str, float]]) -> None:
    calls = [
        JobCall(
            name=EXECUTE_RUN,
            args=[str(run_id)],
            job_id=job_id,
            timeout=int(timeout) + JOB_TIMEOUT_MARGIN_SECONDS,
        )
        for run_id, job_id, timeout in runs
    ]
    if not enqueue(Queue.RUNS, calls):
        # Redis is away: the scheduler tries again by itself.
        with transaction():
            claims.put_off([run_id for run_id, _, _ in runs], seconds=SILENCE_SECONDS)
