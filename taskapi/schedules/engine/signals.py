"""Pings: which waiting run one is for, and how it ends that run."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.schedules.actions import registry
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.models import Run, Schedule

# A ping may come so long before its due time: clocks outside go by themselves.
LONGEST_EARLINESS = timedelta(seconds=60)


def earliness(schedule: Schedule) -> timedelta:
    """How long before its due time a ping counts for it: no longer than the grace time itself."""
    seconds = registry.waiting_time(schedule.action, schedule.params) or 0.0
    return min(timedelta(seconds=seconds), LONGEST_EARLINESS)


def use_early_ping(schedule: Schedule) -> None:
    """End a run that was just dispatched, if its ping came before that; an older ping is forgotten."""
    assert schedule.early_ping is not None
    ping, schedule.early_ping = schedule.early_ping, None
    came_at = datetime.fromisoformat(ping["at"])
    run = oldest_waiting(schedule.id, at=came_at)
    if run is not None and run.due_at <= came_at + earliness(schedule):
        end_by_ping(run, ping)


def oldest_waiting(schedule_id: UUID, *, at: datetime) -> Run | None:
    """The run that a ping at this time is for, locked; the caller has locked the schedule."""
    waiting = (Run.schedule_id == schedule_id, claims.IS_OPEN, Run.status == "running", Run.signal_by >= at)
    statement = sa.select(Run).where(*waiting).order_by(Run.due_at, Run.id).limit(1).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def end_by_ping(run: Run, ping: dict[str, Any]) -> None:
    """Complete a waiting run, or fail it for good when the ping reports failure.

    Args:
        ping: ``{at, failed, method, body, from}``.
    """
    attempt: dict[str, Any] = {"run_id": run.id, "attempt": run.attempt}
    if ping["failed"]:
        error = {"code": "reported_failure", "message": ping["body"] or "The job reported a failure."}
        outcomes.fail(**attempt, error=error, permanent=True)
    else:
        outcomes.complete(**attempt, result={name: ping[name] for name in ("method", "body", "from")})
