"""When a failed attempt is made again, as data: a pure function of the run's retry policy."""

import random
from collections.abc import Mapping
from typing import Any

# A worker that dies again and again is probably killed by the action itself.
MAX_LOST_ATTEMPTS = 5


def retry_delay(
    retry: Mapping[str, Any],
    *,
    failures: int,
    at_least: float | None = None,
    chance: random.Random | None = None,
) -> float | None:
    """Seconds to wait after so many failures, or None when there is no further attempt.

    Exponential with full jitter: evenly between 0 and min(max_delay, delay · factor^(failures-1)),
    as in "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. ``at_least`` is what the
    other side asked for; it is waited for too, but no longer than max_delay.
    """
    if failures >= retry["max_attempts"]:
        return None
    # The exponent is bounded so that the power stays finite.
    ceiling = min(retry["max_delay"], retry["delay"] * retry["factor"] ** min(failures - 1, 64))
    delay = (chance or random).uniform(0.0, ceiling)
    asked: float = min(at_least or 0.0, retry["max_delay"])
    return max(delay, asked)
