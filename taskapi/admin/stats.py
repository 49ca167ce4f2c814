"""How the whole installation does, in a handful of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskapi.accounts import administration
from taskapi.background.enqueue import count_workers
from taskapi.background.queues import QueueFigures, queue_figures
from taskapi.core.heartbeats import scheduler_last_seen
from taskapi.files import figures as files
from taskapi.schedules import figures as schedules
from taskapi.schedules import health
from taskapi.tasks import fates as tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures of the installation; what Redis knows is None while it is away.

    Attributes:
        queue_depth: jobs that wait, in all queues together.
        scheduler: ``lag_p50_seconds`` and ``lag_p95_seconds`` of the runs of the last five minutes,
            ``overdue`` schedules, and when a scheduler was last known to be alive.
    """

    users: dict[str, int]
    tasks: dict[str, int]
    schedules: dict[str, int]
    runs: dict[str, int]
    runs_last_24_hours: dict[str, int]
    files: dict[str, int]
    storage: dict[str, int]
    queues: Sequence[QueueFigures] | None
    queue_depth: int | None
    scheduler: dict[str, Any]
    workers: int | None


def read_stats() -> Stats:
    """Everything at once, as of now."""
    queues = queue_figures()
    count, size = files.stored()
    faults = files.count_faults()
    return Stats(
        users=administration.count_users(),
        tasks=tasks.count_by_status(),
        schedules=schedules.count_by_status(),
        runs=schedules.count_runs(),
        runs_last_24_hours=schedules.count_recent_runs(hours=24),
        files={"count": count, "bytes": size, "damaged": faults["missing"] + faults["changed"]},
        storage={"bytes": size, "undeleted": faults["undeleted"]},
        queues=queues,
        queue_depth=None if queues is None else sum(queue.queued for queue in queues),
        scheduler=_scheduler(),
        workers=count_workers(),
    )


def _scheduler() -> dict[str, Any]:
    p50, p95 = schedules.recent_lag()
    last_seen, _now = scheduler_last_seen()
    return {
        "lag_p50_seconds": p50,
        "lag_p95_seconds": p95,
        "overdue": health.find_faults()["overdue"],
        "last_heartbeat": last_seen,
    }
