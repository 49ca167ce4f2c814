"""Rules of runs: reading the history, stopping a run, and having one done again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.core.access import Actor
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.schedules import queries, run_queries
from taskapi.schedules.bookkeeping import RunLogLine
from taskapi.schedules.changes import require_active_owner
from taskapi.schedules.engine import claims
from taskapi.schedules.engine.cancelling import stop
from taskapi.schedules.engine.reopening import reopen
from taskapi.schedules.errors import RunFinished, RunNotFinished, RunNotFound, ScheduleCancelled
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.service import get_schedule
from taskapi.schedules.timing.verdicts import Reason

BY_HAND: Reason = "manual"
MAX_RETRIED = 1_000


@dataclass(frozen=True, slots=True)
class Retried:
    """How many runs were opened again, and whether more fit."""

    retried: int
    more: bool


def list_runs(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[Run]:
    """The runs that the actor may see; see ``run_queries.page_of_runs`` for the filters."""
    return run_queries.page_of_runs(actor, page, **filters)


def list_runs_of(*, actor: Actor, schedule_id: UUID, page: PageRequest, **filters: Any) -> Page[Run]:
    """The runs of one schedule.

    Raises:
        ScheduleNotFound
    """
    schedule = get_schedule(actor=actor, schedule_id=schedule_id)
    return run_queries.page_of_runs(actor, page, schedule_id=schedule.id, **filters)


def get_run(*, actor: Actor | None, run_id: UUID) -> Run:
    """A run that the actor may see.

    Raises:
        RunNotFound
    """
    run = run_queries.find_run(actor, run_id)
    if run is None:
        raise RunNotFound
    return run


def read_log(*, actor: Actor, run_id: UUID, page: PageRequest) -> Page[RunLogLine]:
    """What the action of a run logged.

    Raises:
        RunNotFound
    """
    return run_queries.page_of_log(get_run(actor=actor, run_id=run_id).id, page)


def cancel_run(*, actor: Actor | None, run_id: UUID, condition: Precondition = ANY_VERSION) -> Run:
    """End a run: at once while no worker has it, else as soon as its action lets itself be stopped.

    Raises:
        RunNotFound, PreconditionFailed, RunFinished
    """
    run, _schedule = _lock_run(actor, run_id, condition)
    if run.status not in ("pending", "running"):
        raise RunFinished(f"The run has ended: it is {run.status}.")
    stop(run, reason=BY_HAND, actor=actor)
    return run


def retry_run(*, actor: Actor | None, run_id: UUID, condition: Precondition = ANY_VERSION) -> Run:
    """Open a run again that failed, was cancelled or skipped: same id, its next attempt.

    Raises:
        RunNotFound, PreconditionFailed, RunFinished, RunNotFinished, ScheduleCancelled, OwnerInactive
    """
    run, schedule = _lock_run(actor, run_id, condition)
    if run.status == "completed":
        raise RunFinished("The run is completed: there is nothing to do again.")
    if run.status in ("pending", "running"):
        raise RunNotFinished(f"The run has not ended: it is {run.status}.")
    if schedule.status == "cancelled" or schedule.deleted_at is not None:
        raise ScheduleCancelled("The schedule of this run was cancelled, which is final.")
    require_active_owner(schedule)
    _take_back_skip(schedule, run)
    _reopen(actor, [run])
    return run


def retry_runs(*, actor: Actor, **filters: Any) -> Retried:
    """Open one's failed runs again that fit, oldest first, 1,000 at most.

    See ``queries.failed_runs`` for the filters; runs of cancelled schedules are left out.

    Raises:
        OwnerInactive: the actor was switched off a moment ago.
    """
    found = queries.failed_runs(actor, limit=MAX_RETRIED + 1, **filters)
    chosen = found[:MAX_RETRIED]
    schedules = claims.lock_schedules({run.schedule_id for run in chosen})
    if schedules:
        # All of them are the actor's.
        require_active_owner(schedules[0])
    live = {
        schedule.id
        for schedule in schedules
        if schedule.status != "cancelled" and schedule.deleted_at is None
    }
    # Somebody may have been faster with some of them.
    runs = claims.lock_runs([run.id for run in chosen if run.schedule_id in live], status="failed")
    _reopen(actor, runs)
    return Retried(retried=len(runs), more=len(found) > MAX_RETRIED)


def _lock_run(actor: Actor | None, run_id: UUID, condition: Precondition) -> tuple[Run, Schedule]:
    """A run and its schedule, locked in the order in which everybody does it: the schedule first."""
    get_run(actor=actor, run_id=run_id)
    schedule = claims.lock_schedule_of(run_id)
    locked = claims.lock_runs([run_id])
    if schedule is None or not locked:
        raise RunNotFound
    condition.check_tag(locked[0].state_tag)
    return locked[0], schedule


def _take_back_skip(schedule: Schedule, run: Run) -> None:
    """The due time of a run that is opened again is left out no more."""
    kept = [text for text in schedule.skips if datetime.fromisoformat(text) != run.scheduled_for]
    if run.status == "skipped" and kept != schedule.skips:
        schedule.skips = kept
        schedule.version += 1


def _reopen(actor: Actor | None, runs: Sequence[Run]) -> None:
    reopen(runs)
    for run in runs:
        after = {"schedule_id": str(run.schedule_id), "attempt": run.attempt}
        subject = ("run", run.id)
        record_event("run.retried", subject=subject, actor=actor, owner_id=run.owner_id, after=after)
