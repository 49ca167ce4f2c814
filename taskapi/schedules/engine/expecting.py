"""When something is due next, by the monotonic clock of the process, counted from the look that told so."""

import math
import time

from taskapi.core import clock
from taskapi.schedules.engine.due import Ahead

# What is due at any moment is waited for: 0.0 would say that it is there.
LEAST_WAIT_SECONDS = 0.0001


class Expected:
    """When this process expects a schedule to be due."""

    def __init__(self) -> None:
        self._at = math.inf

    def note(self, ahead: Ahead) -> None:
        """Remember what a look has told."""
        self._at = math.inf if ahead.schedule_in is None else ahead.looked_at + ahead.schedule_in

    def forget(self) -> None:
        """What was expected is done."""
        self._at = math.inf

    def has_come(self) -> bool:
        return time.monotonic() >= self._at


def seconds_left(ahead: Ahead) -> float | None:
    """The seconds until something is due: some have passed since that was known."""
    if ahead.seconds is None or clock.is_virtual():
        return ahead.seconds
    return max(ahead.seconds - (time.monotonic() - ahead.looked_at), LEAST_WAIT_SECONDS)
