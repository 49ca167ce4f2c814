"""What must not go unnoticed: runs that did not start, did not finish, or heard nothing, in time.

The scheduler process looks once a second, without a worker and without Redis. A look reads
first: mostly there is nothing to do, and SQLite has only one writer.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from taskapi.core.db import database_now, read_database_clock, session, transaction
from taskapi.core.events import record_event
from taskapi.core.json import format_time
from taskapi.schedules.engine import outcomes
from taskapi.schedules.engine.skips import record_skips
from taskapi.schedules.models import Run, Schedule

Row = TypeVar("Row", Schedule, Run)

# Bounds one transaction; what is beyond it comes at once, but behind what the other looks find.
BATCH = 200
NO_PING = "no_ping"
# Literals, so that the partial indexes are seen to fit.
IS_PENDING = sa.text("runs.status = 'pending'")
IS_RUNNING = sa.text("runs.status = 'running'")
IS_OVERDUE = sa.text(
    "runs.finish_by IS NOT NULL AND runs.overdue_at IS NULL"
    " AND (runs.status = 'pending' OR runs.status = 'running')"
)


def skip_late_starts() -> bool:
    """Skip runs that should have started by now; whether there may be more."""
    return _one_batch(_skip, IS_PENDING, Run.start_by < database_now())


def tell_overdue() -> bool:
    """Say once of each run that has not finished in time that it is overdue; whether there may be more."""
    return _one_batch(_tell, IS_OVERDUE, Run.finish_by < database_now())


def fail_silent() -> bool:
    """Fail runs whose signal has not come in time; whether there may be more."""
    return _one_batch(_fail, IS_RUNNING, Run.signal_by < database_now())


def _one_batch(handle: Callable[[list[Schedule], list[Run]], None], *passed: Any) -> bool:
    """Hand over runs that fit ``passed``, locked and with their schedules; whether there may be more."""
    found = session().execute(sa.select(Run.id, Run.schedule_id).where(*passed).limit(BATCH)).all()
    session().rollback()
    if not found:
        return False
    with transaction():
        schedules, runs = _lock(found, passed)
        if runs:
            handle(schedules, runs)
    # What others hold is left for the next look.
    return bool(runs) and len(found) == BATCH


def _lock(found: Sequence[Any], passed: Sequence[Any]) -> tuple[list[Schedule], list[Run]]:
    """Schedules first, as everywhere; of what is found that which nobody else holds."""
    ids, schedule_ids = [row.id for row in found], {row.schedule_id for row in found}
    schedules = _lock_free(sa.select(Schedule).where(Schedule.id.in_(schedule_ids)))
    locked = [schedule.id for schedule in schedules]
    runs = sa.select(Run).where(Run.id.in_(ids), Run.schedule_id.in_(locked), *passed)
    return schedules, _lock_free(runs.order_by(Run.due_at, Run.id))


def _lock_free(statement: sa.Select[Row]) -> list[Row]:
    locking = statement.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    return list(session().scalars(locking))


def _skip(schedules: list[Schedule], runs: list[Run]) -> None:
    outcomes.skip_late_starts(runs)
    columns = ("schedule_id", "scheduled_for", "status", "reason", "start_by", "finished_at")
    record_skips(schedules, [{name: getattr(run, name) for name in columns} for run in runs])


def _tell(schedules: list[Schedule], runs: list[Run]) -> None:
    names = {schedule.id: schedule.name for schedule in schedules}
    now = read_database_clock()
    for run in runs:
        assert run.finish_by is not None
        run.overdue_at = now
        state = outcomes.run_state(run, names[run.schedule_id]) | {"finish_by": run.finish_by.isoformat()}
        record_event("run.overdue", subject=("run", run.id), owner_id=run.owner_id, after=state)


def _fail(_schedules: list[Schedule], runs: list[Run]) -> None:
    # Sorted, as counts are locked by everybody; those of one schedule stay in the order of their due times.
    for run in sorted(runs, key=lambda run: run.schedule_id):
        assert run.signal_by is not None
        error = {"code": NO_PING, "message": f"No ping came by {format_time(run.signal_by)}."}
        outcomes.fail(run_id=run.id, attempt=run.attempt, error=error, permanent=True)
