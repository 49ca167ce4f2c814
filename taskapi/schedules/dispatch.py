"""From due times to runs: claim due schedules, give each due time its verdict, queue the runs.

Any number of schedulers may do this at once. A schedule is claimed by a row lock; the unique
key of ``runs`` decides who owns a due time; Redis is told only after the commit, and what it
misses is found by the rescue.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.core.db import (
    is_transient,
    on_commit,
    read_database_clock,
    savepoint,
    session,
    transaction,
)
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.schedules import queries
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.verdicts import Policy, Verdict, plan

log = structlog.get_logger(__name__)

BATCH = 200
# What is due is claimed by other schedulers: look again when they should be done.
OTHERS_ARE_BUSY_SECONDS = 0.02
# A schedule that cannot be planned is left alone for so long; its due times stay due.
SET_ASIDE = timedelta(hours=1)
# RQ's own limit on the job is a net below ours, for an action that blocks our signal.
JOB_TIMEOUT_MARGIN_SECONDS = 30


def dispatch_due() -> float | None:
    """Dispatch until nothing is due; the seconds until something will be, None if nothing is planned."""
    while True:
        # Looking takes no write lock, which SQLite has only one of.
        seconds = queries.seconds_until_due()
        session().rollback()
        if seconds is None or seconds > 0:
            return seconds
        if dispatch_batch() + queue_retries() == 0:
            return OTHERS_ARE_BUSY_SECONDS


def dispatch_batch(limit: int = BATCH) -> int:
    """Handle one batch of due schedules in one transaction; how many there were.

    A batch that fails is done again schedule by schedule, so that one poisoned row is set
    aside and stops nobody else.
    """
    try:
        with transaction():
            return _handle(queries.claim_due_schedules(limit))
    except Exception as error:
        if isinstance(error, DBAPIError) and (is_transient(error) or error.connection_invalidated):
            raise
        log.warning("dispatch.batch_failed", error=str(error))
    with transaction():
        schedules = queries.claim_due_schedules(limit)
        for schedule in schedules:
            _handle_or_set_aside(schedule)
        return len(schedules)


def _handle(schedules: Sequence[Schedule]) -> int:
    if not schedules:
        return 0
    now = read_database_clock()
    busy = queries.schedules_with_open_runs([schedule.id for schedule in schedules])
    runs: list[Run] = []
    for schedule in schedules:
        runs += plan_schedule(schedule, now=now, has_open_run=schedule.id in busy)
    session().add_all(runs)
    session().flush()
    queue_after_commit([run for run in runs if run.status == "pending"])
    return len(schedules)


def _handle_or_set_aside(schedule: Schedule) -> None:
    schedule_id = schedule.id
    try:
        with savepoint():
            _handle([schedule])
    except Exception as error:
        log.exception("dispatch.schedule_set_aside", schedule_id=str(schedule_id))
        session().refresh(schedule)
        schedule.fault = f"{type(error).__name__}: {error}"[:2000]
        schedule.set_aside_until = read_database_clock() + SET_ASIDE
        record_event(
            "schedule.set_aside",
            subject=("schedule", schedule_id),
            owner_id=schedule.owner_id,
            after={"fault": schedule.fault},
        )
        session().flush()


def plan_schedule(schedule: Schedule, *, now: datetime, has_open_run: bool) -> list[Run]:
    """New runs for the due times up to ``now``; moves the schedule's mark past them."""
    assert schedule.next_run_at is not None
    planned = plan(
        schedule.trigger, _policy(schedule), mark=schedule.next_run_at, now=now, has_open_run=has_open_run
    )
    runs = [_new_run(schedule, verdict, now) for verdict in planned.verdicts]
    schedule.run_count += sum(run.status == "pending" for run in runs)
    schedule.next_run_at = planned.next_run_at
    schedule.fault = schedule.set_aside_until = None
    nothing_open = not has_open_run and all(run.status == "skipped" for run in runs)
    if planned.next_run_at is None and nothing_open:
        schedule.status = "completed"
    return runs


def _policy(schedule: Schedule) -> Policy:
    return Policy(
        catch_up=schedule.catch_up,
        catch_up_window=timedelta(seconds=schedule.catch_up_window),
        catch_up_limit=schedule.catch_up_limit,
        pause=schedule.last_pause,
        overlap=schedule.overlap,
        runs_left=None if schedule.max_runs is None else max(schedule.max_runs - schedule.run_count, 0),
    )


def _new_run(schedule: Schedule, verdict: Verdict, now: datetime) -> Run:
    run = new_run(schedule, scheduled_for=verdict.at, trigger=verdict.trigger, now=now)
    if verdict.skipped is not None:
        run.status, run.reason, run.queued_at, run.finished_at = "skipped", verdict.skipped, None, now
    return run


def new_run(schedule: Schedule, *, scheduled_for: datetime, trigger: str, now: datetime) -> Run:
    """A pending run of the schedule as it is now: later edits do not change it."""
    return Run(
        id=new_id(),
        schedule_id=schedule.id,
        owner_id=schedule.owner_id,
        action=schedule.action,
        params=schedule.params,
        trigger=trigger,
        scheduled_for=scheduled_for,
        status="pending",
        attempt=0,
        lost_attempts=0,
        max_attempts=schedule.retry["max_attempts"],
        timeout=schedule.timeout,
        retry=schedule.retry,
        notify=schedule.notify,
        queued_at=now,
    )


def queue_retries(limit: int = BATCH) -> int:
    """Queue failed runs whose pause is over; how many there were."""
    with transaction():
        runs = queries.claim_due_retries(limit)
        now = read_database_clock()
        for run in runs:
            run.queued_at, run.retry_at = now, None
        session().flush()
        queue_after_commit(runs)
        return len(runs)


def queue_after_commit(runs: Sequence[Run]) -> None:
    """Hand runs to the workers once they are committed, all in one round trip."""
    if runs:
        on_commit(_queue, [(str(run.id), run.job_id, run.timeout) for run in runs])


def _queue(jobs: list[tuple[str, str, float]]) -> None:
    enqueue(
        Queue.RUNS,
        [
            JobCall(
                name=EXECUTE_RUN,
                args=[run_id],
                job_id=job_id,
                timeout=int(timeout) + JOB_TIMEOUT_MARGIN_SECONDS,
            )
            for run_id, job_id, timeout in jobs
        ],
    )
