"""What fell between the chairs: its worker died, or Redis forgot it."""

from uuid import UUID

import structlog

from taskapi.background.enqueue import WAKE_DISPATCH, queued_job_ids, wake_scheduler
from taskapi.background.names import Queue
from taskapi.core.db import on_commit, session, transaction
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.engine.queueing import requeue_runs

log = structlog.get_logger(__name__)

BATCH = 500
# A job that left the queue is claimed within milliseconds; after this it is lost.
FORGOTTEN_AFTER_SECONDS = 8.0


def rescue_dead_leases() -> int:
    """Give back running runs whose worker stopped renewing the lease; how many."""
    with transaction():
        runs = claims.claim_dead_leases(BATCH)
        for run in runs:
            log.warning("run.lease_expired", run_id=str(run.id), attempt=run.attempt, worker=run.worker)
            outcomes.give_back(run)
        if runs:
            on_commit(wake_scheduler, WAKE_DISPATCH)
        return len(runs)


def requeue_forgotten() -> int:
    """Queue pending runs again that are no longer in Redis; how many.

    A run that was just taken from the queue may be queued twice: the claim lets one through.
    """
    waiting = claims.waiting_runs(queued_before=FORGOTTEN_AFTER_SECONDS, limit=BATCH * 20)
    session().rollback()
    if not waiting:
        return 0
    in_redis = queued_job_ids(Queue.RUNS, Queue.RUNS_BULK)
    if in_redis is None:
        return 0
    forgotten = [run.id for run in waiting if run.job_id not in in_redis]
    return sum(_requeue(forgotten[start : start + BATCH]) for start in range(0, len(forgotten), BATCH))


def _requeue(run_ids: list[UUID]) -> int:
    with transaction():
        runs = claims.lock_pending(run_ids)
        requeue_runs(runs)
        log.warning("runs.requeued", count=len(runs))
        return len(runs)


def complete_exhausted() -> int:
    """Close schedules that are over although the end of no run did; how many there may be.

    A worker died between the end of a last run and that, or a dispatch left out the last due time
    while a run just ended.
    """
    found = claims.exhausted_schedules(BATCH)
    # Looking takes no write lock, which SQLite has only one of.
    session().rollback()
    if found:
        with transaction():
            outcomes.complete_if_over(*found)
    return len(found)
