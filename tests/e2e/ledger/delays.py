"""How late work was begun, and how soon it went on after a death: by each attempt, and beside each kill."""

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tests.e2e.ledger.books import Books, Note
from tests.e2e.ledger.faults import PROCESS, Fault
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.lines import Crowds, Lines
from tests.e2e.ledger.pulse import Stall, held_up
from tests.e2e.ledger.verdicts import Run, was_ended_from_the_first

# The clocks of who hurts and of the database may be told apart by so much.
SLACK_SECONDS = 1.0
# What a process asked of the database before its death may be done after it: as soon as the database gets a
# lock that another holds, which it waits for no longer.
WAITING_SECONDS = 30.0
# A process that was killed takes so long to be there again; and without any of a kind for so long nothing
# goes on.
START_SECONDS, NOBODY_SECONDS = 4.0, 5.0
DEATHS_OF_WORKERS = ("worker killed", "work-horse killed")
UNEXPLAINED = "attempts that nothing has ended"
# With so many runs of one owner open, some may wait for their window, which tells of workers.
FEW_OPEN = 150


@dataclass(frozen=True, slots=True)
class Loss:
    """An attempt that was lost: from when on nobody worked on it, and when the next began, if one was needed.

    Attributes:
        hurt: what was done to its process then, or before; if nothing was, it is when it began, which is no
            later.
        is_explained: so it is, or the database was hurt, which may have kept an answer for itself.
        who: the name of its process.
    """

    run: str
    attempt: int
    since: float
    next_began: float | None
    hurt: str | None
    is_explained: bool
    who: str | None = None

    @property
    def seconds(self) -> float | None:
        """From the one to the other."""
        return None if self.next_began is None else self.next_began - self.since


def look_at_delays(found: Judgement, books: Books) -> None:
    begun = sorted(run.began_after for run in found.runs if run.began_after is not None) or [0.0]
    found.count(
        began_p50=statistics.median(begun), began_p99=begun[int(len(begun) * 0.99)], began_last=begun[-1]
    )
    found.count(stalls=len(books.stalls), stalled=sum(ended - began for began, ended in books.stalls))
    _look_at_losses(found, books)
    _look_beside_workers(found, books)
    _look_beside_schedulers(found, books)


def _look_at_losses(found: Judgement, books: Books) -> None:
    lost = list(losses(books.notes, found.faults))
    ended = [loss for loss in lost if loss.seconds is not None]
    gaps = [
        (loss.seconds or 0.0) - held_up(books.stalls, loss.since, loss.since + (loss.seconds or 0.0))
        for loss in ended
        if not _had_to_wait(loss, found.faults)
    ]
    in_a_row = {(loss.run, loss.attempt + 1) for loss in lost} & {(loss.run, loss.attempt) for loss in lost}
    noted, rows = len(lost), sum(run.lost_attempts for run in found.runs)
    found.blame("lost attempts that were counted wrongly", [(noted, rows)] if noted != rows else [])
    strange = [loss for loss in lost if not loss.is_explained]
    found.blame(UNEXPLAINED, [_with_faults(loss, found.faults) for loss in strange])
    found.count(
        lost_attempts=noted,
        lost_again=len(in_a_row),
        unexplained=len(strange),
        without_death=sum(loss.hurt is None for loss in lost),
        lost_by_who_was_stopped=sum((loss.hurt or "").endswith("stopped") for loss in lost),
        taken_up=len(gaps),
        had_to_wait=len(ended) - len(gaps),
        taken_up_last=max(gaps, default=0.0),
    )


def losses(notes: Sequence[Note], faults: Sequence[Fault]) -> Iterator[Loss]:
    """Each attempt that was lost, also those that were lost one after the other."""
    began = {(note.id, note.attempt): note.at.timestamp() for note in notes if _is(note, "began")}
    by_process: dict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.process is not None:
            by_process[fault.process].append(fault)
    for note in notes:
        if _is(note, "lost"):
            start, following = (began.get((note.id, number)) for number in (note.attempt, note.attempt + 1))
            assert start is not None, "an attempt that was lost had begun"
            hurt = _hurt(note, start, by_process)
            yield Loss(
                *(note.id, note.attempt, max(hurt.began, start) if hurt else start, following),
                hurt=hurt.kind if hurt else None,
                is_explained=hurt is not None or _was_database_hurt(faults, start, note.at.timestamp()),
                who=note.who,
            )


def _with_faults(loss: Loss, faults: Sequence[Fault]) -> tuple[Loss, list[Any]]:
    """A loss, and what was done to whom, so many seconds later than it."""
    return loss, [(one.kind, one.target, one.process, round(one.began - loss.since, 1)) for one in faults]


def _is(note: Note, what: str) -> bool:
    return note.kind == "run" and note.what == what


def _hurt(lost: Note, began: float, by_process: Mapping[int, Sequence[Fault]]) -> Fault | None:
    """What was done to the worker, or its work-horse, that ended this attempt; None if nobody has hurt it."""
    found = PROCESS.search(lost.who or "")
    faults = (
        [fault for number in found.groups() for fault in by_process.get(int(number), ())] if found else []
    )
    felt = [one for one in faults if one.began <= lost.at.timestamp() and began <= _felt_until(one)]
    meanwhile = [one for one in felt if one.began >= began - SLACK_SECONDS]
    # The first of them was the end of it.
    return min(meanwhile or felt, key=lambda fault: fault.began, default=None)


def _felt_until(fault: Fault) -> float:
    """What had begun by then was nobody's, or that of a process that goes on too late."""
    return fault.began + WAITING_SECONDS if fault.kind.endswith("killed") else fault.ended + SLACK_SECONDS


def _had_to_wait(loss: Loss, faults: Sequence[Fault]) -> bool:
    """Whether for a while nobody was there to find it or to do it, or nothing to hand it over by."""
    begin, end = loss.since, loss.next_began or loss.since
    away = (fault for fault in faults if _is_away(fault))
    if any(fault.began <= end and begin <= fault.ended for fault in away):
        return True
    return any(_nobody_was_there(kind, begin, end, faults) for kind in ("scheduler", "worker"))


def _is_away(fault: Fault) -> bool:
    # A server that is started again may take its time.
    is_slow = fault.kind == "Redis killed" and fault.ended - fault.began >= NOBODY_SECONDS
    return is_slow or fault.kind in ("schedulers away", "Redis away")


def _nobody_was_there(kind: str, begin: float, end: float, faults: Sequence[Fault]) -> bool:
    """Whether both processes of a kind were killed or stopped at once for some time between two moments."""
    kinds = (f"{kind} killed", f"{kind} stopped", "work-horse stopped" if kind == "worker" else "")
    hurt = [fault for fault in faults if fault.kind in kinds]
    return any(
        min(_back(one), _back(other), end) - max(one.began, other.began, begin) >= NOBODY_SECONDS
        for one, other in combinations(hurt, 2)
        if one.target != other.target
    )


def _back(fault: Fault) -> float:
    return fault.ended + START_SECONDS if fault.kind.endswith("killed") else fault.ended


def _was_database_hurt(faults: Sequence[Fault], began: float, lost: float) -> bool:
    hurt = (fault.began for fault in faults if fault.kind.startswith(("PostgreSQL", "connections")))
    return any(began - SLACK_SECONDS <= at <= lost for at in hurt)


def _look_beside_workers(found: Judgement, books: Books) -> None:
    """What was queued when a worker died: it may have had it in its hands, of which no row tells.

    What was in its hands has nobody before it in the queue; what was still in there counts from its turn on.
    """
    deaths = sorted(one.began for one in found.faults if one.kind in DEATHS_OF_WORKERS)
    flushed = [one.began for one in found.faults if one.kind == "Redis flushed"]
    lines, waited, without_servers = Lines(books, flushed), list[float](), 0
    for run in found.runs:
        pushed, started = books.pushed.get(run.id), run.first_started_at
        if pushed is None or started is None:
            continue
        place, begun = bisect_left(deaths, pushed), started.timestamp()
        if place == len(deaths) or deaths[place] >= begun:
            continue
        since = max(deaths[place], lines.turn(run.id, begun))
        if _had_to_wait(Loss(run.id, 0, since, begun, hurt=None, is_explained=True), found.faults):
            without_servers += 1
        else:
            waited.append(begun - since - held_up(books.stalls, since, begun))
    found.count(
        waited=len(waited),
        waited_last=max(waited, default=0.0),
        waited_for_servers=without_servers,
    )


def _look_beside_schedulers(found: Judgement, books: Books) -> None:
    """Where a killed scheduler was all that was wrong: how late runs were made, and put into their queue."""
    due_meanwhile = [run for run in found.runs if _was_a_scheduler_killed(run, found.faults)]
    alone = [run for run in due_meanwhile if _nothing_else_was_hurt(run, found.faults)]
    made = [_without(books.stalls, run, run.made_after) for run in alone]
    found.count(
        beside_a_killed_scheduler=len(alone),
        made_late=max(made, default=0.0),
        beside_more_than_that=len(due_meanwhile) - len(alone),
    )
    beside, crowds = defaultdict(list), Crowds(books)
    for run in found.runs:
        beside[run.schedule].append(run)
    free = [run for run in alone if not may_wait(run, beside[run.schedule])]
    few = [run for run in free if crowds.beside(run, run.created_at.timestamp()) < FEW_OPEN]
    handed = [_without(books.stalls, run, handed_after(run, books.pushed)) for run in few]
    found.count(
        pushed=len(books.pushed),
        handed=len(handed),
        handed_late=max(handed, default=0.0),
        handed_behind=len(alone) - len(free),
        handed_crowded=len(free) - len(few),
    )


def _without(stalls: Sequence[Stall], run: Run, seconds: float) -> float:
    """So many seconds from when it was due on, but those in which the machine stood still."""
    due = run.due_at.timestamp()
    return seconds - held_up(stalls, due, due + seconds)


def handed_after(run: Run, pushed: Mapping[str, float]) -> float:
    """Seconds from the moment at which it was due to that at which Redis had it for a worker.

    Of a run that nobody has seen there: to the moment at which it began, or ended without that.
    """
    later = run.first_started_at or run.finished_at
    seen = pushed.get(run.id, later.timestamp() if later else float("inf"))
    return seen - run.due_at.timestamp()


def may_wait(run: Run, beside: Sequence[Run]) -> bool:
    """Whether it had no reason to be handed over at once: it was over, or behind another of its schedule."""
    if was_ended_from_the_first(run):
        return True
    return any(other.id != run.id and other.is_open_at(run.created_at) for other in beside)


def _was_a_scheduler_killed(run: Run, faults: Sequence[Fault]) -> bool:
    """Whether one was not there when it was due."""
    due = run.due_at.timestamp()
    return any(one.began - 1 < due < one.ended for one in faults if one.kind == "scheduler killed")


def _nothing_else_was_hurt(run: Run, faults: Sequence[Fault]) -> bool:
    """Whether that is all that was wrong while it should have been made."""
    due = run.due_at.timestamp()
    near = [one for one in faults if one.began - 1 < due + 3 and due < one.ended + 6 and _is_felt(one)]
    return len(near) == 1


def _is_felt(fault: Fault) -> bool:
    """By who makes runs."""
    return fault.kind.startswith(("scheduler", "PostgreSQL", "connections", "Redis"))
