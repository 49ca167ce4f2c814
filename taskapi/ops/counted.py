"""What all processes of this machine have counted, and what they use of it, for Prometheus."""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from taskapi.core import http_meters, pool_meters
from taskapi.core.meters import BUCKETS, FOLDER, Counter, Gauge, Histogram, Meter
from taskapi.core.tally_files import Key, Tally, process_times, read_tallies
from taskapi.events.live.process import CONNECTIONS
from taskapi.events.webhooks.meters import DELIVERIES
from taskapi.notifications.outbox import MAILS
from taskapi.schedules.engine import meters

METERS: tuple[Meter, ...] = (
    *(http_meters.REQUESTS, http_meters.DURATION),
    *(meters.RUNS, meters.LAG, meters.DURATION),
    *(MAILS, DELIVERIES, CONNECTIONS, pool_meters.IN_USE),
)
BOUNDS = [*map(str, BUCKETS), "+Inf"]
PROCESS_LABELS = ("kind", "slot")


class Counted(Collector):
    """The sums over all processes, also of those that ended.

    Args:
        data_dir: below which they count.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def collect(self) -> Iterator[Metric]:
        tallies = list(read_tallies(self._data_dir / FOLDER))
        sums = _add_up(tallies)
        for meter in METERS:
            if isinstance(meter, Counter):
                yield _counter(meter, sums)
            elif isinstance(meter, Histogram):
                yield _histogram(meter, sums)
            elif isinstance(meter, Gauge):
                yield _gauge(meter, tallies)
        yield from _processes(tallies)
        yield from _disk(self._data_dir)


def _add_up(tallies: Sequence[Tally]) -> dict[str, dict[Key, list[float]]]:
    """The sums of each figure, by the values of its labels."""
    sums: dict[str, dict[Key, list[float]]] = defaultdict(dict)
    for tally in tallies:
        for (name, *values), numbers in tally.counted.items():
            key = tuple(values)
            found = sums[name].get(key)
            if found is None:
                sums[name][key] = list(numbers)
            elif len(found) == len(numbers):
                sums[name][key] = [a + b for a, b in zip(found, numbers, strict=True)]
    return sums


def _series(meter: Meter, size: int, sums: dict[str, dict[Key, list[float]]]) -> dict[Key, list[float]]:
    # Another version, whose files these were, may have counted something else by this name.
    return {
        values: numbers
        for values, numbers in sorted(sums.get(meter.name, {}).items())
        if len(values) == len(meter.labels) and len(numbers) == size
    }


def _counter(meter: Counter, sums: dict[str, dict[Key, list[float]]]) -> CounterMetricFamily:
    family = CounterMetricFamily(meter.name, meter.words, labels=meter.labels)
    for values, (number,) in ({(word,): [0.0] for word in meter.known} | _series(meter, 1, sums)).items():
        family.add_metric(values, number)
    return family


def _histogram(meter: Histogram, sums: dict[str, dict[Key, list[float]]]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(meter.name, meter.words, labels=meter.labels)
    for values, (*numbers, seconds) in _series(meter, len(BOUNDS) + 1, sums).items():
        family.add_metric(values, list(zip(BOUNDS, accumulate(numbers), strict=True)), seconds)
    return family


def _gauge(meter: Gauge, tallies: Sequence[Tally]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(meter.name, meter.words, labels=PROCESS_LABELS)
    for tally in tallies:
        if (meter.name,) in tally.current:
            family.add_metric([tally.kind, str(tally.slot)], tally.current[(meter.name,)][0])
    return family


def _processes(tallies: Sequence[Tally]) -> Iterator[Metric]:
    """Each process that counts and is alive; a slot passes from one that ended to the next that begins."""
    began = GaugeMetricFamily(
        "taskapi_process_start_time_seconds", "When a process began", labels=PROCESS_LABELS
    )
    worked = CounterMetricFamily(
        "taskapi_process_cpu_seconds_total", "A process's time on processors", labels=PROCESS_LABELS
    )
    memory = GaugeMetricFamily(
        "taskapi_process_resident_memory_bytes", "A process's memory", labels=PROCESS_LABELS
    )
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    booted_at = _boot_time()
    for tally in tallies:
        times = process_times(tally.pid) if tally.is_alive else None
        # In another container the number belongs to another process, or to none.
        if times is None or times[0] != tally.began:
            continue
        labels = [tally.kind, str(tally.slot)]
        if booted_at is not None:
            began.add_metric(labels, booted_at + times[0] / ticks)
        worked.add_metric(labels, times[1] / ticks)
        memory.add_metric(labels, times[2] * page)
    yield from (began, worked, memory)


def _boot_time() -> float | None:
    """When the machine was started, in seconds since 1970; None where the system does not tell."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), None)


def _disk(data_dir: Path) -> Iterator[Metric]:
    try:
        disk = shutil.disk_usage(data_dir)
    except OSError:
        return
    yield GaugeMetricFamily("taskapi_disk_size_bytes", "The disk on which DATA_DIR lies", disk.total)
    yield GaugeMetricFamily("taskapi_disk_free_bytes", "What is free of it", disk.free)
