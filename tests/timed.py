"""How long something takes, on a machine that may be busy with something else for a moment."""

import time
from collections.abc import Callable
from itertools import repeat
from math import inf


def work_of(action: Callable[[], object]) -> float:
    """Seconds of processor time of this thread: what others do meanwhile is not counted."""
    begun = time.thread_time()
    action()
    return time.thread_time() - begun


def best_of(times: int, measure: Callable[[], float], enough: float) -> float:
    """The least of so many measurements; one that is under ``enough`` is the last."""
    best = inf
    for measured in (measure() for measure in repeat(measure, times)):
        best = min(best, measured)
        if best < enough:
            break
    return best
