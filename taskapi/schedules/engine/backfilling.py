"""Working on backfills: a few due times of the past at a time, while nothing live is due.

A backfill makes a run only when there is room for it, so a long range neither fills the ledger
with waiting runs nor the workers. Its mark moves in the transaction that makes the runs:
wherever it is killed, it goes on there.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from taskapi.core.access import Actor
from taskapi.core.db import read_database_clock, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.events import record_event
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.engine.expecting import BACKFILL_IS_OPEN
from taskapi.schedules.engine.planning import new_run
from taskapi.schedules.engine.queueing import insert_runs
from taskapi.schedules.engine.reopening import reopen
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.timing.past import due_between, reaching_back
from taskapi.schedules.timing.triggers import MICROSECOND, Trigger

log = structlog.get_logger(__name__)

# Due times looked at in one transaction.
STEP = 200
# Runs of one backfill in flight, where they may overlap; else one at a time, in order.
AT_ONCE = 10
BACKFILLS_AT_ONCE = 200


def work_backfills() -> bool:
    """A step of each backfill whose turn it is; whether any moved, so that there may be more to do."""
    return sum(_step_safely(backfill_id, schedule_id) for backfill_id, schedule_id in _in_turn()) > 0


def _in_turn() -> list[tuple[UUID, UUID]]:
    """Of each schedule the oldest open backfill, if there is something to do for it, and the schedule.

    Reads only, so that one that waits for its runs costs no lock.
    """
    older = aliased(Backfill)
    is_behind = sa.exists().where(
        older.schedule_id == Backfill.schedule_id,
        older.status == "running",
        sa.tuple_(older.created_at, older.id) < sa.tuple_(Backfill.created_at, Backfill.id),
    )
    mine = (Run.schedule_id == Backfill.schedule_id, claims.IS_OPEN, Run.backfill_id == Backfill.id)
    open_runs = sa.select(sa.func.count()).select_from(Run).where(*mine).correlate(Backfill).scalar_subquery()
    at_once = sa.case((Schedule.overlap == "allow", AT_ONCE), else_=1)
    statement = (
        sa.select(Backfill.id, Backfill.schedule_id)
        .join(Schedule, Schedule.id == Backfill.schedule_id)
        .where(BACKFILL_IS_OPEN, ~is_behind)
        .where(open_runs < sa.case((Backfill.mark_at < Backfill.to_at, at_once), else_=1))
        .order_by(Backfill.created_at, Backfill.id)
        .limit(BACKFILLS_AT_ONCE)
    )
    found = [(backfill_id, schedule_id) for backfill_id, schedule_id in session().execute(statement)]
    session().rollback()
    return found


def _step_safely(backfill_id: UUID, schedule_id: UUID) -> bool:
    try:
        with transaction():
            return _step(backfill_id, schedule_id)
    except (DBAPIError, OutcomeUnknown):
        # That says nothing of the backfill.
        raise
    except Exception:
        # One whose trigger cannot be read must not stop what is live.
        log.exception("backfill.failed", backfill_id=str(backfill_id))
    with transaction():
        end_backfills(schedule_id)
    return False


def _step(backfill_id: UUID, schedule_id: UUID) -> bool:
    # The schedule first, as everybody does: an edit ends the backfill or waits for this step.
    (schedule,) = claims.lock_schedules([schedule_id])
    backfill = lock_backfill(backfill_id)
    if backfill is None or backfill.status != "running":
        return False
    open_runs = _count_open(backfill)
    room = (AT_ONCE if schedule.overlap == "allow" else 1) - open_runs
    if backfill.mark_at >= backfill.to_at:
        return open_runs == 0 and _complete(backfill)
    return room > 0 and _fill(backfill, schedule, room)


def _fill(backfill: Backfill, schedule: Schedule, room: int) -> bool:
    """Make and reopen runs from the mark on, as many as there is room for; moves the mark."""
    trigger = past_trigger(schedule, backfill.from_at)
    due = list(islice(due_between(trigger, backfill.mark_at, backfill.to_at), STEP))
    known = runs_at(schedule.id, due)
    missing: list[datetime] = []
    skipped: list[UUID] = []
    backfill.mark_at = due[-1] + MICROSECOND if len(due) == STEP else backfill.to_at
    for at in due:
        if len(missing) + len(skipped) == room:
            backfill.mark_at = at
            break
        if at not in known:
            missing.append(at)
        elif known[at][1] == "skipped":
            skipped.append(known[at][0])
    _insert(backfill, schedule, missing)
    _reopen(backfill, skipped)
    session().flush()
    return True


def _insert(backfill: Backfill, schedule: Schedule, due: Sequence[datetime]) -> None:
    now = read_database_clock()
    rows = [new_run(schedule, scheduled_for=at, trigger="backfill", now=now) for at in due]
    backfill.created_runs += len(insert_runs([{**row, "backfill_id": backfill.id} for row in rows]))


def _reopen(backfill: Backfill, run_ids: Sequence[UUID]) -> None:
    runs = claims.lock_runs(run_ids, status="skipped")
    for run in runs:
        run.backfill_id = backfill.id
    reopen(runs)
    backfill.reopened_runs += len(runs)


def _complete(backfill: Backfill) -> bool:
    backfill.status, backfill.finished_at = "completed", read_database_clock()
    session().flush()
    record_backfill(backfill, "backfill.completed")
    return True


def end_backfills(schedule_id: UUID, *, actor: Actor | None = None) -> None:
    """End all open backfills of a schedule; the caller has locked the schedule."""
    open_ones = (Backfill.schedule_id == schedule_id, Backfill.status == "running")
    statement = sa.select(Backfill).where(*open_ones).with_for_update()
    for backfill in session().scalars(statement.execution_options(populate_existing=True)).all():
        end_backfill(backfill, actor=actor)


def end_backfill(backfill: Backfill, *, actor: Actor | None = None) -> None:
    """End a backfill and cancel its runs that have not started; schedule and backfill are locked."""
    backfill.status, backfill.finished_at = "cancelled", read_database_clock()
    statement = sa.select(Run.id).where(Run.status == "pending", *_open_runs_of(backfill))
    for run in claims.lock_runs(session().scalars(statement).all(), status="pending"):
        outcomes.cancel(run, reason="manual", actor=actor)
    session().flush()
    record_backfill(backfill, "backfill.cancelled", actor)


def lock_backfill(backfill_id: UUID) -> Backfill | None:
    """A backfill, locked after its schedule."""
    statement = sa.select(Backfill).where(Backfill.id == backfill_id).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def past_trigger(schedule: Schedule, back_to: datetime) -> Trigger:
    """When the schedule would have been due: a start that was only defaulted bounds nothing."""
    if schedule.starts_at_given:
        return schedule.trigger
    return reaching_back(schedule.trigger, to=back_to)


def runs_at(schedule_id: UUID, due: Sequence[datetime]) -> dict[datetime, tuple[UUID, str]]:
    """The runs of those due times that have one: due time → id and status."""
    if not due:
        return {}
    statement = sa.select(Run.scheduled_for, Run.id, Run.status).where(
        Run.schedule_id == schedule_id,
        Run.scheduled_for.between(due[0], due[-1]),
        # A literal, so that the partial unique index is seen to fit.
        sa.text("runs.trigger <> 'manual'"),
    )
    return {at: (run_id, status) for at, run_id, status in session().execute(statement)}


def record_backfill(backfill: Backfill, event: str, actor: Actor | None = None) -> None:
    """Tell of a backfill what it has done so far."""
    after = {
        "schedule_id": str(backfill.schedule_id),
        "from": backfill.from_at.isoformat(),
        "to": backfill.to_at.isoformat(),
        "created_runs": backfill.created_runs,
        "reopened_runs": backfill.reopened_runs,
    }
    subject = ("backfill", backfill.id)
    record_event(event, subject=subject, actor=actor, owner_id=backfill.owner_id, after=after)


def _count_open(backfill: Backfill) -> int:
    statement = sa.select(sa.func.count()).select_from(Run).where(*_open_runs_of(backfill))
    return session().scalar(statement) or 0


def _open_runs_of(backfill: Backfill) -> tuple[Any, ...]:
    # By the few open runs of the schedule: a backfill may have made very many by now.
    return Run.schedule_id == backfill.schedule_id, claims.IS_OPEN, Run.backfill_id == backfill.id
