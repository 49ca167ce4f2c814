"""Runs that wait for a signal from outside, a ping, instead of occupying a worker.

They are running from their due time on, and never on Redis. There is no lease: nobody works on
them, so nobody can be lost.
"""

from datetime import datetime, timedelta
from typing import Any

from taskapi.schedules.actions import registry
from taskapi.schedules.models import Run


def let_row_wait(row: dict[str, Any]) -> bool:
    """Let the row of a new run wait from its due time on, if its action does that; whether it does."""
    columns = _columns(row["action"], row["params"], attempt=1, since=row["due_at"])
    row |= columns
    return bool(columns)


def let_run_wait(run: Run, *, since: datetime) -> bool:
    """Let a pending run wait for its next attempt's signal, if its action does that; whether it does."""
    columns = _columns(run.action, run.params, attempt=run.attempt + 1, since=since)
    if columns:
        columns["first_started_at"] = run.first_started_at or since
    for name, value in columns.items():
        setattr(run, name, value)
    return bool(columns)


def _columns(action: str, params: dict[str, Any], *, attempt: int, since: datetime) -> dict[str, Any]:
    seconds = registry.waiting_time(action, params)
    if seconds is None:
        return {}
    return {
        "status": "running",
        "attempt": attempt,
        "queued_at": None,
        "retry_at": None,
        "start_by": None,
        "started_at": since,
        "first_started_at": since,
        "signal_by": since + timedelta(seconds=seconds),
    }
