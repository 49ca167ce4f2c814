"""Runs that ended, as figures of each action: how they ended, how late they began, how long they took."""

from collections import Counter as Numbers
from collections.abc import Iterable

from taskapi.core.db import on_commit
from taskapi.core.meters import Counter, Histogram
from taskapi.schedules.engine.counts import ENDS
from taskapi.schedules.models import Run

RUNS = Counter("taskapi_runs_total", "Runs that ended", ("action", "outcome"))
LAG = Histogram("taskapi_run_lag_seconds", "From when a run was due until it began", ("action",))
DURATION = Histogram("taskapi_run_duration_seconds", "The last attempt at a run", ("action",))


def meter_ends(ends: Iterable[tuple[str, str]]) -> None:
    """Count runs of these actions that came to these ends, once that is committed."""
    for (action, status), number in Numbers(ends).items():
        if status in ENDS:
            on_commit(RUNS.add, action, status, by=float(number))


def meter_end(run: Run) -> None:
    """Count a run that came to its end, and its times, once that is committed."""
    meter_ends([(run.action, run.status)])
    # Who only waited for a ping did so from the moment when it was due.
    if run.worker is None or run.status not in ("completed", "failed"):
        return
    on_commit(_observe_times, run.action, run.lag_ms, run.duration_ms)


def count_success(action: str, *, lag_ms: int | None, duration_ms: int | None) -> None:
    """Count a run that was completed by a worker; that is committed already."""
    RUNS.add(action, "completed")
    _observe_times(action, lag_ms, duration_ms)


def _observe_times(action: str, lag_ms: int | None, duration_ms: int | None) -> None:
    for histogram, milliseconds in ((LAG, lag_ms), (DURATION, duration_ms)):
        if milliseconds is not None:
            histogram.observe(milliseconds / 1000, action)
