"""What a trial has to have shown: that enough was due and broken, and that each promise had its occasion."""

from collections.abc import Iterator

from tests.e2e.ledger.faults import kinds_within
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.playing import LONG, Trial

DUE_TIMES, KILLS = 10_000, 200
# What comes while another is at work is skipped, or takes its place, as asked for; and some fail for good.
MET = ("skipped_overlap", "cancelled_overlap", "failed")
# What is promised was not kept for want of an occasion.
OCCASIONS = (
    *("taken_up", "waited", "beside_a_killed_scheduler", "handed"),
    *("lost_by_who_was_stopped", "unanswered", "skipped_catch_up"),
)


def lacking(judgement: Judgement, trial: Trial) -> list[str]:
    """What it did not come to, in words; of a long one more is asked for."""
    return [*_in_any(judgement, trial), *(_in_a_long_one(judgement) if is_long(trial) else ())]


def is_long(trial: Trial) -> bool:
    """Whether it is one to be published."""
    return trial.seconds >= LONG.seconds


def _in_any(judgement: Judgement, trial: Trial) -> Iterator[str]:
    figures = judgement.figures
    # Most was created in time, also on a slow machine.
    half = trial.due_times / 2
    yield from _too_few("due times", figures["due"], half)
    yield from _too_few("runs that completed", figures["completed"], figures["due"] / 2)
    # Somebody did listen to what Redis was given, and to what processes say.
    yield from _too_few("runs that were seen in a queue", figures["pushed"], figures["due"] / 2)
    yield from _too_few("warnings", figures["warnings"], 1)
    yield from _too_few("faults", len(judgement.faults), trial.faults)
    kinds = {fault.kind for fault in judgement.faults}
    yield from _too_few("kinds of faults", len(kinds), len(kinds_within(trial.seconds)))
    for name in MET:
        yield from _too_few(name, figures.get(name, 0), 20 if is_long(trial) else 1)


def _in_a_long_one(judgement: Judgement) -> Iterator[str]:
    yield from _too_few("due times", judgement.figures["due"], DUE_TIMES)
    yield from _too_few("kills", sum("killed" in fault.kind for fault in judgement.faults), KILLS)
    for occasion in OCCASIONS:
        yield from _too_few(occasion, judgement.figures.get(occasion, 0), 1)


def _too_few(what: str, found: float, least: float) -> Iterator[str]:
    if found < least:
        yield f"{what}: {found:g}, where {least:g} are the least"
