"""What is taken away for a while in the middle: the mail server, Redis, and room on the disk."""

import resource
import time
from collections.abc import Callable, Iterator

from tests.e2e.crowd.reporting import Reporter
from tests.e2e.ledger.ground import PROCESSES, Ground
from tests.processes import children_of

# On the disk of web processes and workers nothing larger has room: less than any upload, and any report.
FULL_BYTES = 15_000


def faults(
    place: Ground, reporter: Reporter, *, begun: float, seconds: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Make one after the other, and tell from when until when each held."""
    those: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
        ("mail away", place.mail.stop, place.mail.start),
        ("Redis away", lambda: _end_redis(place), place.redis.start),
        (
            "disk full",
            lambda: _fill_disk(place, reporter),
            lambda: _limit_files(place, resource.RLIM_INFINITY),
        ),
    ]
    for number, (name, hurt, mend) in enumerate(those):
        time.sleep(max(begun + seconds * (0.35 + 0.1 * number) - time.time(), 0))
        began = time.time()
        hurt()
        time.sleep(seconds * 0.05)
        mend()
        # Who was asked meanwhile may still be waiting.
        yield name, (began - 1, time.time() + 5)


def _end_redis(place: Ground) -> None:
    place.redis.kill()
    place.redis.wait(5)


def _fill_disk(place: Ground, reporter: Reporter) -> None:
    _limit_files(place, FULL_BYTES)
    reporter.begin()


def _limit_files(place: Ground, size: int) -> None:
    """Let processes that keep files write none beyond a size: to them a disk that is full."""
    for name in PROCESSES[:4]:
        _limit(place.installation.processes[name].pid, size)


def _limit(pid: int, size: int) -> None:
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    # Whoever is forked from now on has the parent's limit.
    for child in children_of(pid):
        _limit(child, size)
