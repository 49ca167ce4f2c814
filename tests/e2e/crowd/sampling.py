"""What processes and Redis hold, looked at again and again beside a trial."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.memory import memory_of
from tests.e2e.crowd.judging import Point
from tests.e2e.ledger.ground import Ground

SAMPLE_SECONDS = 2.0
OF_JOBS = (b"rq:job:", b"rq:results:", b"rq:execution")


@dataclass
class Samples:
    """What was held, by time: MiB of each process; of Redis bytes, and the keys that are not of jobs.

    Jobs that have ended are kept for a minute: they are as many as work was done in it.
    """

    memory: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    keys: list[Point] = field(default_factory=list)
    used: list[Point] = field(default_factory=list)


@contextmanager
def sampling(place: Ground, samples: Samples) -> Iterator[None]:
    """Add to the samples while the block runs."""
    over = threading.Event()

    def sample() -> None:
        with Redis.from_url(place.installation.environment["REDIS_URL"]) as redis:
            while not over.wait(SAMPLE_SECONDS):
                _sample(place, redis, samples)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sample(place: Ground, redis: "Redis", samples: Samples) -> None:
    now = time.time()
    for name, process in list(place.installation.processes.items()):
        # A child that is just replaced is there no more, or not yet.
        with suppress(OSError):
            samples.memory[name].append((now, memory_of(process.pid).pss))
    try:
        beyond_jobs = sum(not key.startswith(OF_JOBS) for key in redis.scan_iter(count=5_000))
        samples.keys.append((now, float(beyond_jobs)))
        samples.used.append((now, float(redis.info("memory")["used_memory"])))
    except RedisError:
        return


def used(place: Ground) -> float:
    """Bytes that Redis holds."""
    with Redis.from_url(place.installation.environment["REDIS_URL"]) as redis:
        return float(redis.info("memory")["used_memory"])
