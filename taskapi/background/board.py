"""Notes between a worker and its work-horse, in memory that both see: no system call, no lock."""

import mmap
import time

DOUBLE = 8


class Board:
    """Whether the horse is to leave, and until when each of its hands may take for its job."""

    def __init__(self, hands: int) -> None:
        self._notes = memoryview(mmap.mmap(-1, (1 + hands) * DOUBLE)).cast("d")

    def ask_to_leave(self) -> None:
        """Have the horse end: each hand finishes its job and takes no other."""
        self._notes[0] = 1.0

    @property
    def is_leaving(self) -> bool:
        return bool(self._notes[0])

    def begin(self, hand: int, seconds: float) -> None:
        """Note that a hand has a job that may take so long; for ever if it is not positive."""
        self._notes[1 + hand] = time.monotonic() + seconds if seconds > 0 else 0.0

    def end(self, hand: int) -> None:
        """Note that a hand has no job."""
        self._notes[1 + hand] = 0.0

    def is_busy_beside(self, hand: int) -> bool:
        """Whether another hand has a job."""
        return any(note for place, note in enumerate(self._notes[1:]) if place != hand)

    def overdue(self, grace: float) -> list[int]:
        """The hands whose job took longer than it may, by more than ``grace`` seconds."""
        latest = time.monotonic() - grace
        return [hand for hand, until in enumerate(self._notes[1:]) if 0.0 < until < latest]
