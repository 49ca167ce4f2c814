"""How the end of an attempt is written, fenced, and as soon as the database is there."""

from dataclasses import dataclass
from typing import Any

import structlog

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.db import on_commit, transaction
from taskapi.core.json import storable_text
from taskapi.core.repeating import patiently
from taskapi.schedules.engine import outcomes
from taskapi.schedules.engine.claims import Claim
from taskapi.schedules.engine.journal import Journal

log = structlog.get_logger(__name__)

# While the database restarts an outcome is held; later the lease has run out anyway.
SETTLE_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed; a permanent one is not tried again."""

    code: str
    message: str
    permanent: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt whose action has ended, and how.

    Attributes:
        bound: what was bound to the lines of its log.
    """

    claim: Claim
    journal: Journal
    result: Any
    failure: Failure | None
    bound: dict[str, Any]


def settle(ending: Ending) -> None:
    """Write how the attempt ended; if the database is away, as soon as it is back.

    Raises:
        OperationalError: it stayed away for too long; so may ``OutcomeUnknown``.
    """

    def write() -> bool:
        with transaction():
            return _record(ending)

    if not patiently(write, what="run_end", seconds=SETTLE_PATIENCE_SECONDS):
        log.warning("run.fenced", attempt=ending.claim.attempt)


def _record(ending: Ending) -> bool:
    attempt: dict[str, Any] = {"run_id": ending.claim.id, "attempt": ending.claim.attempt}
    failure = ending.failure
    if failure is None:
        settled = outcomes.complete(**attempt, result=ending.result)
    else:
        error = {"code": failure.code, "message": storable_text(failure.message)[:4000]}
        wait = failure.retry_after
        settled = outcomes.fail(**attempt, error=error, permanent=failure.permanent, retry_after=wait)
    if settled is None:
        return False
    ending.journal.finish(settled)
    if settled.status == "pending":
        on_commit(wake_scheduler, WAKE_DISPATCH)
    code = failure.code if failure else None
    log.info("run.ended", status=settled.status, error=code, ms=settled.duration_ms, lag_ms=settled.lag_ms)
    return True
