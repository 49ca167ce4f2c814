"""Stopping a run that is being worked on: asked for in its row, seen by its worker, forced in the end.

A thread beside the action looks for the request each second and raises ``RunCancelled`` in the
action. An action that does not let itself be stopped loses its process, and a run whose worker
does not even see the request is ended over its head by the scheduler.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from uuid import UUID

import sqlalchemy as sa
import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from taskapi.background.enqueue import stop_job
from taskapi.background.process import is_work_horse
from taskapi.core.access import Actor
from taskapi.core.db import db, on_commit, read_database_clock, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.events import record_event
from taskapi.core.repeating import name_of
from taskapi.schedules.actions.base import RunCancelled, RunContext
from taskapi.schedules.engine import claims, outcomes, turns
from taskapi.schedules.engine.journal import Journal
from taskapi.schedules.models import Run, job_id_of
from taskapi.schedules.timing.verdicts import Reason

log = structlog.get_logger(__name__)

CANCEL_SIGNAL = signal.SIGUSR1
# How long an action may take to stop, once it was told to.
GRACE_SECONDS = 5.0
# A worker that is alive has ended the run by then.
OVERDUE_SECONDS = 8.0
BATCH = 100
EXIT_STATUS = 1


def stop(run: Run, *, reason: Reason, actor: Actor | None = None) -> None:
    """End an open run: at once if no worker has it, else as soon as its action lets itself be stopped.

    The caller has locked its schedule, and then the run.
    """
    if run.status == "pending" or run.signal_by is not None:
        outcomes.cancel(run, reason=reason, actor=actor)
    elif run.cancel_requested_at is None:
        run.cancel_requested_at, run.cancel_reason = read_database_clock(), reason
        session().flush()
        after = {"schedule_id": str(run.schedule_id), "attempt": run.attempt, "reason": reason}
        subject = ("run", run.id)
        record_event("run.cancel_requested", subject=subject, actor=actor, owner_id=run.owner_id, after=after)


def give_way(schedule_id: UUID, *, to: UUID) -> None:
    """End the runs of earlier due times for a later one, which gets its turn when they have ended."""
    for run in turns.open_runs(schedule_id):
        if run.id != to:
            stop(run, reason=turns.OVERLAP)


class CancelWatch:
    """Looks whether the run of ``context`` is to be cancelled, from the thread beside its action."""

    def __init__(self, context: RunContext, journal: Journal) -> None:
        self._context, self._journal = context, journal
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        self._engine = db.engine
        self._listening = False
        self._told_at: float | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Raise ``RunCancelled`` in the block when the run is to be cancelled.

        Signals reach the main thread alone, in which jobs run; in any other an action must ask
        its context.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        global _heeded
        _hear_signal()
        try:
            _heeded = self._listening = True
            # It may have been told just before anybody listened.
            self._context.check_cancelled()
            yield
        finally:
            # A signal may still be on its way.
            _heeded = self._listening = False

    def look(self) -> None:
        """Tell the action once that it is to stop; end its process when it has not done so in time."""
        if self._told_at is None:
            if self._is_asked():
                self._tell()
        elif time.monotonic() - self._told_at > GRACE_SECONDS and is_work_horse():
            self._end_process()

    def _is_asked(self) -> bool:
        statement = sa.select(claims.asked_to_cancel(self._context.run_id, self._context.attempt))
        # Not a write: SQLite has only one writer at a time.
        with self._engine.connect() as connection:
            return connection.scalar(statement) is True

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        self._context.cancel()
        if self._listening:
            signal.pthread_kill(threading.main_thread().ident or 0, CANCEL_SIGNAL)

    def _end_process(self) -> None:
        log.warning("run.forced_to_stop", run_id=str(self._context.run_id), attempt=self._context.attempt)
        try:
            with self._app.app_context(), transaction():
                run = outcomes.cancel_attempt(run_id=self._context.run_id, attempt=self._context.attempt)
                if run is not None:
                    self._journal.finish(run)
        except (SQLAlchemyError, OutcomeUnknown) as error:
            # The scheduler will write it: the action must end in any case.
            log.warning("run.outcome_left_to_scheduler", error=name_of(error))
        finally:
            os._exit(EXIT_STATUS)


# Whether an action works in the main thread, which the signal is meant for.
_heeded = False


def _stop(_signal: int, _frame: FrameType | None) -> None:
    if _heeded:
        raise RunCancelled


@cache
def _hear_signal() -> None:
    """Once in a process, and what it forks: to say so for each run takes a share of what a run takes."""
    signal.signal(CANCEL_SIGNAL, _stop)


def end_overdue_cancels() -> int:
    """End runs whose worker has not done so in time, and stop their jobs; how many."""
    overdue = claims.overdue_cancels(after=OVERDUE_SECONDS, limit=BATCH)
    session().rollback()
    return sum(_end_over_its_head(run_id, attempt) for run_id, attempt in overdue)


def _end_over_its_head(run_id: UUID, attempt: int) -> bool:
    with transaction():
        run = outcomes.cancel_attempt(run_id=run_id, attempt=attempt)
        if run is None:
            return False
        log.warning("run.cancelled_without_its_worker", run_id=str(run_id), worker=run.worker)
        on_commit(stop_job, job_id_of(run_id, attempt - 1))
        return True
