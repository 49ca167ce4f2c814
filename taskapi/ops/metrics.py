"""Figures for Prometheus, read from the database when they are asked for.

No process counts for itself: gunicorn has several, and each would tell a part of the truth.
"""

import hmac
from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import (
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from taskapi.background.enqueue import count_workers
from taskapi.core.db import read_database_clock
from taskapi.core.errors import NotFound, Unauthorized
from taskapi.core.runtime import runtime_settings
from taskapi.files import figures
from taskapi.ops.audit import clock_offset, last_audit
from taskapi.schedules import health
from taskapi.schedules.health import BUCKETS, Histogram
from taskapi.version import VERSION


def needs_token() -> bool:
    """Whether who asks must show the token; without one only a developer's installation answers.

    Raises:
        NotFound: in production nothing is shown until a token is set.
    """
    settings = runtime_settings()
    if settings.metrics_token is None and settings.environment == "production":
        raise NotFound("Figures are shown once METRICS_TOKEN is set.")
    return settings.metrics_token is not None


def check_token(token: str) -> None:
    """
    Raises:
        Unauthorized
    """
    expected = runtime_settings().metrics_token or ""
    if not hmac.compare_digest(token.encode(), expected.encode()):
        raise Unauthorized("Send METRICS_TOKEN as 'Authorization: Bearer …'.")


def exposition() -> bytes:
    """All figures in Prometheus' text format."""
    return generate_latest(_Figures())


class _Figures(Collector):
    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("taskapi_build", "The version that runs", {"version": VERSION})
        yield GaugeMetricFamily(
            "taskapi_clock_offset_seconds", "The database's clock minus this host's", clock_offset()
        )
        faults = health.find_faults()
        yield _by_label("taskapi_faults", "What ought not to be, counted now", "kind", faults)
        yield from _audited()
        yield _by_label("taskapi_runs_open", "Runs that have not ended", "status", health.count_open_runs())
        for name, histogram in health.recent_times().items():
            yield _histogram(
                f"taskapi_run_{name}_seconds", f"The {name} of runs of the last 5 min", histogram
            )
        yield from _files()
        workers = count_workers()
        if workers is not None:
            yield GaugeMetricFamily("taskapi_workers", "Workers that are alive", workers)


def _files() -> Iterator[Metric]:
    files, size = figures.stored()
    yield GaugeMetricFamily("taskapi_files", "Files that are stored", files)
    yield GaugeMetricFamily("taskapi_file_bytes", "Their bytes together", size)
    yield _by_label("taskapi_file_faults", "Damaged files and late removals", "kind", figures.count_faults())


def _audited() -> Iterator[Metric]:
    found = last_audit()
    if found is None:
        return
    age = (read_database_clock() - found.checked_at).total_seconds()
    yield GaugeMetricFamily("taskapi_audit_age_seconds", "Since the newest self-audit", age)
    yield _by_label("taskapi_audit_findings", "What the self-audit found", "kind", found.findings)


def _by_label(name: str, words: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, words: str, histogram: Histogram) -> GaugeHistogramMetricFamily:
    # Of a window that moves on, so its counts go up and down: no counter, and no rate() of it.
    bounds = [*map(str, BUCKETS), "+Inf"]
    counts = [*histogram.at_most, histogram.count]
    buckets = list(zip(bounds, map(float, counts), strict=True))
    return GaugeHistogramMetricFamily(name, words, buckets=buckets, gsum_value=histogram.sum)
