"""Ended runs that are to run again: the same row, a further attempt."""

from collections.abc import Sequence
from typing import Any

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.db import on_commit, read_database_clock, session
from taskapi.schedules.engine import counts
from taskapi.schedules.models import Run

# Told by the end that is taken back.
_FORGOTTEN: dict[str, Any] = {
    "reason": None,
    "result": None,
    "error": None,
    "progress": None,
    "worker": None,
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
    "overdue_at": None,
    "cancel_requested_at": None,
    "cancel_reason": None,
    # The deadlines were for the due time, and are over.
    "start_by": None,
    "finish_by": None,
}


def reopen(runs: Sequence[Run]) -> None:
    """Make ended runs pending: the dispatcher queues them at once, none before its due time.

    Their schedules are locked by the caller, and then they themselves.
    """
    now = read_database_clock()
    ends = [(run.schedule_id, run.status) for run in runs]
    for run in runs:
        for name, value in _FORGOTTEN.items():
            setattr(run, name, value)
        run.status, run.retry_at = "pending", max(now, run.due_at)
        # As if it began anew: attempts made so far, and workers lost, do not count against it.
        run.earlier_attempts, run.lost_attempts = run.attempt, 0
        run.max_attempts = run.attempt + run.retry["max_attempts"]
    session().flush()
    counts.uncount(ends)
    on_commit(wake_scheduler, WAKE_DISPATCH)
