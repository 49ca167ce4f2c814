"""When something is due next, by the monotonic clock of the process, counted from the look that told so."""

import math
import time
from datetime import datetime

from taskapi.core import clock
from taskapi.core.arrays import uses_arrays
from taskapi.schedules.engine.due import LEAD_SECONDS, Ahead

# What is due at any moment is waited for: 0.0 would say that it is there.
LEAST_WAIT_SECONDS = 0.0001


class Expected:
    """When this process expects a schedule to be due."""

    def __init__(self) -> None:
        self._at = math.inf
        self._moment: datetime | None = None
        # What was tried ahead and is still there is special, or another's.
        self._tried: datetime | None = None

    def note(self, ahead: Ahead) -> None:
        """Remember what a look has told."""
        self._at = math.inf if ahead.schedule_in is None else ahead.looked_at + ahead.schedule_in
        self._moment = ahead.next_at

    def forget(self) -> None:
        """What was expected is done."""
        self._at, self._moment = math.inf, None

    def is_near(self) -> bool:
        """Whether it is time to begin with it."""
        return time.monotonic() >= self._at - self._lead()

    def try_ahead(self) -> datetime | None:
        """The due time that is to be waited for, once; None when it has come."""
        if time.monotonic() >= self._at:
            return None
        self._tried = self._moment
        return self._moment

    def wait(self) -> None:
        """Return when it has come."""
        time.sleep(max(self._at - time.monotonic(), 0.0))

    def seconds_left(self, ahead: Ahead) -> float | None:
        """The seconds until there is something to do: some have passed since that was known."""
        if ahead.seconds is None or clock.is_virtual():
            return ahead.seconds
        until = min(ahead.looked_at + ahead.seconds, self._at - self._lead())
        return max(until - time.monotonic(), LEAST_WAIT_SECONDS)

    def _lead(self) -> float:
        """How long before it is due to begin: SQLite has one writer, whom nobody should wait for."""
        if self._moment == self._tried or clock.is_virtual() or not uses_arrays():
            return 0.0
        return LEAD_SECONDS
