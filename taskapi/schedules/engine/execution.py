"""One attempt at a run: claim it, do the action under a lease and a time limit, record the outcome."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError

from taskapi.background.deadline import DeadlineExceeded, deadline
from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.core.db import db, on_commit, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.json import storable_text
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import ActionFailed, RunCancelled, RunContext, UnknownAction
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.engine.cancelling import CancelWatch
from taskapi.schedules.engine.journal import Journal
from taskapi.schedules.engine.lease import LEASE_SECONDS, keep_lease
from taskapi.schedules.models import Run, Schedule
from taskapi.schedules.permissions import check_owner
from taskapi.schedules.secrets import open_secrets

log = structlog.get_logger(__name__)

# While the database restarts an outcome is held; later the lease has run out anyway.
SETTLE_PATIENCE_SECONDS = 30.0
MAX_RESULT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Work:
    """What to do, copied from the row: the action has the session and may change the row."""

    action: str
    params: dict[str, Any]
    timeout: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed; a permanent one is not tried again."""

    code: str
    message: str
    permanent: bool = False
    retry_after: float | None = None


def execute_run(*, run_id: UUID, worker: str) -> None:
    """Attempt a run if it is pending; otherwise somebody else has it and nothing happens."""
    with transaction():
        run = claims.claim_run(run_id, worker=worker, lease_seconds=LEASE_SECONDS)
        if run is None:
            log.debug("run.not_pending", run_id=str(run_id))
            return
        context, work = _context(run), _Work(run.action, run.params, run.timeout)
        lag_ms = run.lag_ms
    structlog.contextvars.bind_contextvars(run_id=str(run_id), user=str(context.owner_id))
    log.info("run.started", action=work.action, attempt=context.attempt, lag_ms=lag_ms)
    journal = Journal(context)
    with keep_lease(context, journal) as watch:
        result, failure = _perform(work, context, watch)
    _settle(context, journal, result, failure)


def _context(run: Run) -> RunContext:
    told = sa.select(Schedule.name, Schedule.timezone).where(Schedule.id == run.schedule_id)
    name, timezone = session().execute(told).one_or_none() or (run.action, "UTC")
    return RunContext(
        run_id=run.id,
        schedule_id=run.schedule_id,
        schedule_name=name,
        owner_id=run.owner_id,
        scheduled_for=run.scheduled_for,
        attempt=run.attempt,
        timeout=run.timeout,
        timezone=timezone,
    )


def _perform(work: _Work, context: RunContext, watch: CancelWatch) -> tuple[Any, Failure | None]:
    try:
        action = registry.find(work.action)
        params = action.params().load(open_secrets(action, work.params))
        check_owner(action, params, owner_id=context.owner_id)
        with deadline(work.timeout), watch.listening():
            result = action.run(context, params)
        return _bounded(result, context), None
    except DeadlineExceeded:
        return None, Failure("timeout", f"The action took longer than {work.timeout:g} s.")
    except RunCancelled:
        return None, Failure(outcomes.CANCELLED, "The run was cancelled.")
    except ActionFailed as error:
        return None, Failure(error.code, str(error), error.permanent, error.retry_after)
    except UnknownAction as error:
        return None, Failure(error.code, str(error), permanent=True)
    except Exception as error:
        # Whatever an action raises is the outcome of its run, never the end of the worker.
        log.exception("run.raised")
        return None, Failure("exception", f"{type(error).__name__}: {error}")


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


def _settle(context: RunContext, journal: Journal, result: Any, failure: Failure | None) -> None:
    give_up_at = time.monotonic() + SETTLE_PATIENCE_SECONDS
    while True:
        try:
            with transaction():
                settled = _record(context, journal, result, failure)
            break
        except (OperationalError, OutcomeUnknown) as error:
            # Written already or not: the write is fenced, so doing it again is safe.
            if time.monotonic() > give_up_at:
                raise
            log.warning("run.settle_waits", error=type(error).__name__)
            db.session.remove()
            time.sleep(1.0)
    if not settled:
        log.warning("run.fenced", attempt=context.attempt)


def _record(context: RunContext, journal: Journal, result: Any, failure: Failure | None) -> bool:
    attempt: dict[str, Any] = {"run_id": context.run_id, "attempt": context.attempt}
    if failure is None:
        settled = outcomes.complete(**attempt, result=result)
    else:
        error = {"code": failure.code, "message": storable_text(failure.message)[:4000]}
        wait = failure.retry_after
        settled = outcomes.fail(**attempt, error=error, permanent=failure.permanent, retry_after=wait)
    if settled is None:
        return False
    journal.finish(settled)
    if settled.status == "pending":
        on_commit(wake_scheduler, WAKE_DISPATCH)
    code = failure.code if failure else None
    log.info("run.ended", status=settled.status, error=code, ms=settled.duration_ms, lag_ms=settled.lag_ms)
    return True
