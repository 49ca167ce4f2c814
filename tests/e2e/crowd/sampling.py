"""What processes and Redis hold, looked at again and again beside a trial."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.memory import memory_of
from tests.e2e.crowd.judging import Point
from tests.e2e.ledger.ground import Ground

SAMPLE_SECONDS = 2.0
# Of jobs, of the queues in which they wait, and of who works on them.
OF_QUEUES = b"rq:"


@dataclass
class Samples:
    """What was held, by time: MiB of each process; of Redis all bytes, and the keys that are not of queues.

    Those of queues are as many as work waits, and as was done in the last minute, for which jobs are kept.

    Attributes:
        keys: their number; ``bytes`` what they take.
    """

    memory: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    keys: list[Point] = field(default_factory=list)
    bytes: list[Point] = field(default_factory=list)
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
        others = [key for key in redis.scan_iter(count=5_000) if not key.startswith(OF_QUEUES)]
        samples.keys.append((now, float(len(others))))
        samples.bytes.append((now, bytes_of(redis, others)))
        samples.used.append((now, float(redis.info("memory")["used_memory"])))
    except RedisError:
        return


def bytes_of(redis: "Redis", keys: Iterable[bytes]) -> float:
    """What the keys take; nothing those that have gone meanwhile."""
    asked = redis.pipeline(transaction=False)
    for key in keys:
        asked.memory_usage(key)
    return float(sum(found or 0 for found in asked.execute()))


def bytes_of_queues(place: Ground) -> float:
    """What Redis holds of queues, workers and jobs."""
    with Redis.from_url(place.installation.environment["REDIS_URL"]) as redis:
        return bytes_of(redis, redis.scan_iter(OF_QUEUES + b"*", 5_000))
