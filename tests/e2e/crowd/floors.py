"""What a trial must come to, or it was none: how much is answered and how soon, and what workers get done."""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.crowd.lateness import Lateness
from tests.e2e.crowd.people import SHARES, THINKING_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """What is asked for.

    Attributes:
        answered_within: seconds that an answer takes on average at most; from it follows how many come.
        p99_within: seconds, of answers outside of the faults.
        done_part: how many of the due runs have ended when the people leave.
        begun_within: seconds in which 99 of 100 runs have begun, whatever waited for a fault.
    """

    answered_within: float
    p99_within: float
    done_part: float
    begun_within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of a trial of so many people and seconds.

    Attributes:
        answers: by kind, the good ones; ``p99`` of those outside of the faults.
    """

    people: int
    seconds: int
    answers: Counter[str]
    p99: float
    due: int
    lateness: Lateness


def shortfalls(found: Measured, floors: Floors) -> Iterator[str]:
    """Each floor that was not reached, in words."""
    acts = found.people * found.seconds / (statistics.mean(THINKING_SECONDS) + floors.answered_within)
    if found.answers.total() < acts:
        yield f"{found.answers.total()} answers, not {acts:.0f}"
    for kind, share in SHARES.items():
        # Dice fall unevenly, and a disk that is full takes no upload.
        if found.answers[kind] < acts * share / 2:
            yield f"{found.answers[kind]} answers to {kind}, not {acts * share / 2:.0f}"
    if found.p99 > floors.p99_within:
        yield f"one of 100 answers took {found.p99:.1f} s, not {floors.p99_within}"
    if found.lateness.done_with_people < found.due * floors.done_part:
        yield f"{found.lateness.done_with_people} of {found.due} runs were done beside the people"
    if found.lateness.begun_p99 > floors.begun_within:
        yield f"one of 100 runs began after {found.lateness.begun_p99:.1f} s, not {floors.begun_within}"
