"""What the database and Redis tell of the whole installation, for Prometheus: every process says the same."""

import math
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from taskapi.background.queues import QueueFigures, queue_figures
from taskapi.core.db import read_database_clock
from taskapi.core.heartbeats import scheduler_last_seen
from taskapi.files import figures
from taskapi.ops.audit import clock_offset, last_audit
from taskapi.schedules import health
from taskapi.version import VERSION


class Figures(Collector):
    """Read when they are asked for."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("taskapi_build", "The version that runs", {"version": VERSION})
        yield _gauge("taskapi_clock_offset_seconds", "The database's clock minus this host's", clock_offset())
        yield _database_up(1.0)
        yield from _schedules()
        yield from _audited()
        yield from _files()
        yield from _queues(queue_figures())


class DatabaseAway(Collector):
    """All there is to say without the database."""

    def collect(self) -> Iterator[Metric]:
        yield _database_up(0.0)


def _database_up(value: float) -> GaugeMetricFamily:
    return _gauge("taskapi_database_up", "Whether the database answers", value)


def _schedules() -> Iterator[Metric]:
    faults = health.find_faults()
    overdue = faults.pop("overdue") + faults.pop("unstarted")
    yield _gauge("taskapi_runs_overdue", "What was due more than 10 s ago and nobody has begun", overdue)
    yield _gauge(
        "taskapi_leases_dead",
        "Runs whose worker is gone and that nobody gives back",
        faults.pop("dead_leases"),
    )
    yield _by_label("taskapi_faults", "What else ought not to be, counted now", "kind", faults)
    yield _by_label("taskapi_runs_open", "Runs that have not ended", "status", health.count_open_runs())
    seen_at, now = scheduler_last_seen()
    # One that never ran must be missed like one that ended: no alert hears of a figure that is absent.
    age = math.inf if seen_at is None else (now - seen_at).total_seconds()
    yield _gauge("taskapi_scheduler_heartbeat_age_seconds", "Since a scheduler was last seen", age)


def _audited() -> Iterator[Metric]:
    found = last_audit()
    if found is None:
        return
    age = (read_database_clock() - found.checked_at).total_seconds()
    yield _gauge("taskapi_audit_age_seconds", "Since the newest self-audit", age)
    yield _by_label("taskapi_audit_findings", "What the self-audit found", "kind", found.findings)


def _files() -> Iterator[Metric]:
    files, size = figures.stored()
    yield _gauge("taskapi_files", "Files that are stored", files)
    yield _gauge("taskapi_file_bytes", "Their bytes together", size)
    yield _by_label("taskapi_file_faults", "Damaged files and late removals", "kind", figures.count_faults())


def _queues(queues: list[QueueFigures] | None) -> Iterator[Metric]:
    if queues is None:
        return
    depths = {queue.name: queue.queued for queue in queues}
    yield _by_label("taskapi_queue_depth", "Jobs that wait", "queue", depths)
    failed = {queue.name: queue.failed for queue in queues}
    yield _by_label(
        "taskapi_queue_failed_jobs", "Jobs of the last day that ended with an error", "queue", failed
    )
    oldest = {queue.name: queue.oldest_seconds or 0.0 for queue in queues}
    yield _by_label("taskapi_queue_oldest_seconds", "How long the next job has waited", "queue", oldest)
    workers = {worker.name for queue in queues for worker in queue.workers}
    yield _gauge("taskapi_workers", "Workers that are alive", len(workers))


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value)


def _by_label(name: str, words: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
