"""Whether schedules do what they should, in figures for those who operate the system."""

from typing import Any

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.schedules.models import Run, Schedule

# What was due so long ago should have been dispatched, and begun.
OVERDUE_SECONDS = 10.0
# A lease that ran out so long ago should have been given back by the rescue.
DEAD_LEASE_SECONDS = 30.0
# A run that is in Redis for so long finds too few workers, or none.
QUEUED_LONG_SECONDS = 60.0
# A schedule whose last run ended so long ago should have been completed, also if its worker died just then.
CLOSING_SECONDS = 120.0

# Literals, so that the partial indexes are seen to fit.
ACTIVE = sa.text("schedules.status = 'active'")
PENDING, RUNNING = sa.text("runs.status = 'pending'"), sa.text("runs.status = 'running'")
OPEN = sa.text("(runs.status = 'pending' OR runs.status = 'running')")


def find_faults() -> dict[str, int]:
    """How much there is of each thing that ought not to be; each is looked up in a small index.

    ``overdue`` schedules, ``unstarted`` runs and ``dead_leases`` mean that the scheduler, the workers or the
    rescue do not work, or do not keep up.
    """
    aside = Schedule.set_aside_until > database_now()
    open_run = sa.exists().where(Run.schedule_id == Schedule.id, OPEN)
    ended_lately = sa.exists().where(
        Run.schedule_id == Schedule.id, Run.finished_at > database_now(-CLOSING_SECONDS)
    )
    # While Redis is away nobody can be handed a run. Other pauses follow an attempt, or end when it is due.
    put_off = (Run.queued_at.is_(None), Run.retry_at > database_now(), Run.attempt == 0)
    counted: dict[str, sa.ColumnElement[int]] = {
        "overdue": _count(
            Schedule, ACTIVE, Schedule.dispatch_at < database_now(-OVERDUE_SECONDS), aside.is_not(True)
        ),
        # It was due when it was set aside.
        "set_aside": _count(Schedule, ACTIVE, Schedule.dispatch_at <= database_now(), aside),
        "without_next_time": _count(
            Schedule, ACTIVE, Schedule.dispatch_at.is_(None), ~open_run, ~ended_lately
        ),
        "dead_leases": _count(Run, RUNNING, Run.lease_until < database_now(-DEAD_LEASE_SECONDS)),
        "unstarted": _count(Run, PENDING, Run.queued_at < database_now(-OVERDUE_SECONDS))
        + _count(Run, PENDING, *put_off, Run.due_at < database_now(-OVERDUE_SECONDS)),
        "queued_long": _count(Run, PENDING, Run.queued_at < database_now(-QUEUED_LONG_SECONDS)),
    }
    row = session().execute(sa.select(*(count.label(name) for name, count in counted.items()))).one()
    return dict(row._mapping)


def count_open_runs() -> dict[str, int]:
    """How many runs are pending and running."""
    rows = session().execute(sa.select(Run.status, sa.func.count()).where(OPEN).group_by(Run.status)).all()
    return {"pending": 0, "running": 0, **{status: count for status, count in rows}}  # noqa: C416


def _count(model: type[Run | Schedule], *conditions: Any) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(model).where(*conditions).scalar_subquery()
