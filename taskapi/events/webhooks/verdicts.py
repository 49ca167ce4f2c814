"""What becomes of a delivery after an attempt: done, again after a pause, or given up. No I/O here."""

import random
from dataclasses import dataclass
from typing import Literal

from taskapi.clients.http import Answer, CallFailed, CallRefused

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 3_600.0
JITTER = 0.2
# How long a receiver may be away, and how long it may ask to be left alone.
PATIENCE_SECONDS = 3 * 86_400.0
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
# One message that a receiver will not have holds up the others for these minutes only.
REFUSED_TRIES = 6
REFUSALS_IN_A_ROW = 20
GONE = 410
TEMPORARY = frozenset({408, 409, 425, 429})

Outcome = Literal["succeeded", "failed", "again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a delivery.

    Attributes:
        pause: seconds until it is tried again.
        disable: the word for why nothing more is sent to the webhook at all.
        refused: the receiver answers, but will not have it.
    """

    outcome: Outcome
    pause: float = 0.0
    disable: str | None = None
    refused: bool = False


def judge(result: Answer | CallFailed, *, tries: int, elapsed: float, refusals: int) -> Verdict:
    """
    Args:
        tries: made until now, this one included.
        elapsed: seconds since the first of them.
        refusals: deliveries in a row that the receiver would not have, before this one.
    """
    if isinstance(result, Answer) and 200 <= result.status < 300:
        return Verdict(outcome="succeeded")
    if isinstance(result, Answer) and result.status == GONE:
        return Verdict(outcome="failed", disable="gone")
    if isinstance(result, CallRefused) or (isinstance(result, Answer) and _is_refusal(result.status)):
        return _refused(tries, refusals, final=isinstance(result, CallRefused))
    if elapsed >= PATIENCE_SECONDS:
        return Verdict(outcome="failed", disable="failing")
    asked = result.retry_after if isinstance(result, Answer) else None
    pause = max(_pause(tries), min(asked or 0.0, LONGEST_RETRY_AFTER_SECONDS))
    return Verdict(outcome="again", pause=min(pause, PATIENCE_SECONDS - elapsed))


def _is_refusal(status: int) -> bool:
    """Whether it is about this message, or this address, and not about the receiver's health."""
    return 300 <= status < 500 and status not in TEMPORARY


def _refused(tries: int, refusals: int, *, final: bool) -> Verdict:
    if tries < REFUSED_TRIES and not final:
        return Verdict(outcome="again", pause=_pause(tries))
    disable = "refusing" if refusals + 1 >= REFUSALS_IN_A_ROW else None
    return Verdict(outcome="failed", disable=disable, refused=True)


def _pause(tries: int) -> float:
    """Doubling, and of everybody another: who was away is not called by all at once."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_SECONDS)
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return min(pause * jitter, LONGEST_PAUSE_SECONDS)
