"""Who stood where: in front of whom in a queue, and beside how many of an owner."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from tests.e2e.ledger.books import Books
from tests.e2e.ledger.verdicts import Run, was_ended_from_the_first


class Lines:
    """Who stood before whom in which queue.

    Args:
        flushed: when all queues were emptied, after which they were filled again in any order.
    """

    def __init__(self, books: Books, flushed: Sequence[float]) -> None:
        begun = {run.id: run.first_started_at.timestamp() for run in books.runs if run.first_started_at}
        self._flushed, self._pushed = sorted(flushed), sorted(books.pushed.values())
        self._place = {run_id: place for place, run_id in enumerate(books.pushed)}
        self._queue = {run_id: books.queues.get(run_id, "") for run_id in books.pushed}
        self._begun = defaultdict[str, list[tuple[float, int]]](list)
        for run_id in books.pushed:
            if run_id in begun:
                self._begun[self._queue[run_id]].append((begun[run_id], self._place[run_id]))
        for each in self._begun.values():
            each.sort()

    def turn(self, run_id: str, begun: float) -> float:
        """When the last of those before it began that did so before it did; 0 if there was none."""
        queue, place = self._begun[self._queue[run_id]], self._place_until(run_id, begun)
        before = queue[: bisect_left(queue, (begun, -1))]
        return next((at for at, other in reversed(before) if other < place), 0.0)

    def _place_until(self, run_id: str, begun: float) -> int:
        """Its own; or behind all that were there, if they were put into their queues again."""
        last = bisect_right(self._flushed, begun) - 1
        were_there = bisect_left(self._pushed, self._flushed[last]) if last >= 0 else 0
        return max(self._place[run_id], were_there)


class Crowds:
    """How many runs of an owner were open at a moment."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._made, self._ended = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for run in books.runs:
            if not was_ended_from_the_first(run):
                owner = books.owner(run.schedule)
                self._made[owner].append(run.created_at.timestamp())
                if run.finished_at:
                    self._ended[owner].append(run.finished_at.timestamp())
        for moments in (*self._made.values(), *self._ended.values()):
            moments.sort()

    def beside(self, run: Run, moment: float) -> int:
        """Of the owner of this run, itself included."""
        owner = self._books.owner(run.schedule)
        return bisect_right(self._made[owner], moment) - bisect_right(self._ended[owner], moment)
