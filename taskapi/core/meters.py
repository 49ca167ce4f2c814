"""Figures that processes count as things happen; ``ops`` shows the sums of all of them.

They are declared where they are counted, and named as Prometheus wants it: a counter ends in
``_total``, times are seconds. Values of labels come from a small, fixed set: each makes a series.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, current_app, has_app_context

from taskapi.config import Settings
from taskapi.core.tallies import Tallies

# Below DATA_DIR, so that all processes of a machine find it.
FOLDER = "metrics"
# Seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Meter:
    """A figure: its name, its words and the names of its labels."""

    name: str
    words: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counter(Meter):
    """How often something happened.

    Attributes:
        known: values of its one label that are shown from the start, so that the first shows as one more.
    """

    known: Sequence[str] = ()

    def add(self, *values: str, by: float = 1.0) -> None:
        if (tallies := _tallies()) is not None:
            tallies.add((self.name, *values), 1, (0, by))


@dataclass(frozen=True, slots=True)
class Histogram(Meter):
    """How long something took; ``BUCKETS`` and all beyond, then the sum."""

    def observe(self, seconds: float, *values: str) -> None:
        if (tallies := _tallies()) is not None:
            bucket = bisect_left(BUCKETS, seconds)
            tallies.add((self.name, *values), len(BUCKETS) + 2, (bucket, 1.0), (len(BUCKETS) + 1, seconds))


@dataclass(frozen=True, slots=True)
class Gauge(Meter):
    """What is so in each process now; it has no labels but the kind of the process."""

    def set(self, app: Flask, value: float) -> None:
        tallies: Tallies | None = app.extensions.get("taskapi_tallies")
        if tallies is not None:
            tallies.set((self.name,), value)


def init_meters(app: Flask, settings: Settings) -> None:
    """Say where this application counts; nothing is opened yet."""
    app.extensions["taskapi_tallies"] = Tallies(settings.data_dir / FOLDER, "web")


def tallies_of(app: Flask) -> Tallies:
    """What this process counts for the application."""
    found: Tallies = app.extensions["taskapi_tallies"]
    return found


def _tallies() -> Tallies | None:
    # A library's thread may have no application.
    return tallies_of(current_app) if has_app_context() else None
