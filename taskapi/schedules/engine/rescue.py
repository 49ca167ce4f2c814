"""What fell between the chairs: its worker died, or Redis forgot it."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from taskapi.background.enqueue import has_begun_anew, missing_jobs, queued_job_ids
from taskapi.background.names import RUN_QUEUES
from taskapi.core.db import session, transaction
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.engine.queueing import requeue_runs

log = structlog.get_logger(__name__)

BATCH = 500
# A job that left the queue is claimed within milliseconds; after this it is lost.
FORGOTTEN_AFTER_SECONDS = 8.0
# Whoever committed a run gives its job to Redis at once, and one that died in between never does. It is
# looked for between so and so many seconds later; then the rescue sees to it.
LATELY_SECONDS = (1.5, 6.0)
# More than any machine dispatches in that time.
LATELY_AT_MOST = 50_000


def rescue_dead_leases() -> int:
    """Give back running runs whose worker stopped renewing the lease; how many."""
    return _give_back(claims.lease_is_dead())


def rescue_runs_of(process: str) -> int:
    """Give back the runs of a process of a worker that is known to be gone; how many."""
    return _give_back(claims.was_lost_by(process))


def _give_back(which: claims.Lost) -> int:
    found = claims.find_lost(which, BATCH)
    # Looking takes no write lock, which SQLite has only one of.
    session().rollback()
    if not found:
        return 0
    with transaction():
        runs = claims.lock_lost(which, found)
        for run in runs:
            log.warning("run.lost_its_worker", run_id=str(run.id), attempt=run.attempt, worker=run.worker)
            outcomes.give_back(run)
        # They keep the places in their owners' windows that they had: nobody's backlog goes before them.
        requeue_runs([run for run in runs if run.status == "pending"])
        return len(runs)


def requeue_forgotten() -> int:
    """Queue pending runs again that are no longer in Redis; how many.

    A run that was just taken from the queue may be queued twice: the claim lets one through.
    """
    forgets = has_begun_anew()
    if forgets is None:
        return 0
    patience = 0.0 if forgets else FORGOTTEN_AFTER_SECONDS
    waiting = claims.waiting_jobs(queued_before=patience, limit=BATCH * 20)
    session().rollback()
    if not waiting:
        return 0
    in_redis = queued_job_ids(*RUN_QUEUES)
    if in_redis is None:
        return 0
    forgotten = [run_id for run_id, job_id in waiting.items() if job_id not in in_redis]
    return _requeue(forgotten, queued_before=patience)


def requeue_ungiven() -> int:
    """Queue runs whose jobs never came to Redis, as who committed them died right after that; how many.

    The scheduler looks each second at what was committed lately: what is due is not held up for longer.
    """
    least, most = LATELY_SECONDS
    waiting = claims.waiting_jobs(queued_before=least, queued_after=most, limit=LATELY_AT_MOST)
    session().rollback()
    missing = missing_jobs(list(waiting.values())) if waiting else None
    ungiven = [run_id for run_id, job_id in waiting.items() if job_id in missing] if missing else []
    return _requeue(ungiven, queued_before=least)


def _requeue(run_ids: Sequence[UUID], *, queued_before: float) -> int:
    count = 0
    for start in range(0, len(run_ids), BATCH):
        with transaction():
            runs = claims.lock_pending(run_ids[start : start + BATCH], queued_before=queued_before)
            requeue_runs(runs)
            count += len(runs)
            if runs:
                log.warning("runs.requeued", count=len(runs))
    return count


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
