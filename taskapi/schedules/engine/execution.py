"""One attempt at a run: claim it, do the action under a lease and a time limit, record the outcome."""

import traceback
from functools import cache
from typing import Any
from uuid import UUID

import orjson
import structlog

from taskapi.background.deadline import DeadlineExceeded, deadline
from taskapi.core.repeating import patiently
from taskapi.core.schemas import Schema
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import ActionFailed, RunCancelled, RunContext, UnknownAction
from taskapi.schedules.engine import finishing, outcomes
from taskapi.schedules.engine.cancelling import CancelWatch
from taskapi.schedules.engine.claims import Claim
from taskapi.schedules.engine.journal import Journal
from taskapi.schedules.engine.lease import keep_lease
from taskapi.schedules.engine.settling import Ending, Failure
from taskapi.schedules.permissions import check_owner
from taskapi.schedules.secrets import open_secrets, secret_texts, without_secrets

log = structlog.get_logger(__name__)

MAX_RESULT_BYTES = 65_536
# Together with SETTLE_PATIENCE_SECONDS less than the margin of RQ's own limit on the job, which has begun.
CLAIM_PATIENCE_SECONDS, CLAIM_PAUSE_SECONDS = 15.0, 0.25


def execute_run(*, run_id: UUID, worker: str) -> None:
    """Attempt a run if it is pending; otherwise somebody else has it and nothing happens."""
    # A worker that failed at once would empty the queue while the database restarts.
    claim = patiently(
        lambda: finishing.claim(run_id, worker=worker),
        what="run_claim",
        seconds=CLAIM_PATIENCE_SECONDS,
        pause=CLAIM_PAUSE_SECONDS,
        run_id=str(run_id),
    )
    if claim is None:
        log.debug("run.not_pending", run_id=str(run_id))
        return
    structlog.contextvars.bind_contextvars(run_id=str(run_id), user=str(claim.owner_id))
    bound = structlog.contextvars.get_contextvars()
    context = _context(claim)
    journal = Journal(context)
    with keep_lease(context, journal) as watch:
        result, failure = _perform(claim, context, watch)
    finishing.end(Ending(claim, journal, result, failure, bound))


def _context(claim: Claim) -> RunContext:
    return RunContext(
        run_id=claim.id,
        schedule_id=claim.schedule_id,
        schedule_name=claim.schedule_name,
        owner_id=claim.owner_id,
        scheduled_for=claim.scheduled_for,
        attempt=claim.attempt,
        timeout=claim.timeout,
        timezone=claim.timezone,
    )


@cache
def _reader(params: type[Schema]) -> Schema:
    return params()


def _perform(claim: Claim, context: RunContext, watch: CancelWatch) -> tuple[Any, Failure | None]:
    secrets: list[str] = []
    try:
        action = registry.find(claim.action)
        opened = open_secrets(action, claim.params)
        secrets = secret_texts(action, opened)
        params = _reader(action.params).load(opened)
        check_owner(action, params, owner_id=context.owner_id)
        with deadline(claim.timeout), watch.listening():
            result = action.run(context, params)
        return _bounded(result, context), None
    except DeadlineExceeded:
        return None, Failure("timeout", f"The action took longer than {claim.timeout:g} s.")
    except RunCancelled:
        return None, Failure(outcomes.CANCELLED, "The run was cancelled.")
    except ActionFailed as error:
        message = without_secrets(str(error), secrets)
        return None, Failure(error.code, message, error.permanent, error.retry_after)
    except UnknownAction as error:
        return None, Failure(error.code, str(error), permanent=True)
    except Exception as error:  # noqa: BLE001 - whatever it raises is how its run ended, and ends no worker
        log.error("run.raised", exception=without_secrets(traceback.format_exc().rstrip(), secrets))
        return None, Failure("exception", without_secrets(f"{type(error).__name__}: {error}", secrets))


def _bounded(result: Any, context: RunContext) -> Any:
    """The result as it can be stored: JSON, not too large; else None, and a line in the log."""
    try:
        text = orjson.dumps(result)
    except TypeError:
        context.log("The result is not JSON and was not kept.", level="warning")
        return None
    if len(text) > MAX_RESULT_BYTES:
        context.log(f"The result of {len(text)} bytes is too large and was not kept.", level="warning")
        return None
    if b"\\u0000" in text:
        context.log("The result contains the NUL character and was not kept.", level="warning")
        return None
    # Read back, so that what is stored is plain JSON: no NaN, no subclass with a mind of its own.
    return orjson.loads(text)
