"""The plain success, as which most runs end: written with the claim of the next run, in one transaction.

A work-horse keeps the end of its last run until it gets the next one, and writes it before that
begins, before it waits for work and before it leaves. Killed in between, it has done a run whose
outcome nobody knows: as after any other crash the lease runs out, and the run is done again.

Schedules that ended with their run are closed many at a time, soon after; the rescue closes those
whose worker did not come to it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.background.idling import before_idle
from taskapi.background.process import is_work_horse
from taskapi.core import clock
from taskapi.core.compiled import numbered
from taskapi.core.db import db, on_commit, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.core.events import is_watched, record_event, wake_relay
from taskapi.core.ids import new_id
from taskapi.core.logging import log_often
from taskapi.core.origin import describe_origin
from taskapi.core.read_at_once import HeldConnection, read_at_once
from taskapi.core.repeating import name_of
from taskapi.core.runtime import runtime_settings
from taskapi.schedules.engine import admission, claims, counts, meters, outcomes, statements
from taskapi.schedules.engine.claims import Claim
from taskapi.schedules.engine.lease import LEASE_SECONDS
from taskapi.schedules.engine.settling import Ending, settle
from taskapi.schedules.models import milliseconds

log = structlog.get_logger(__name__)
lines = logging.getLogger(__name__)

# So often a process wakes the relay while it has one run after the other.
WAKE_SECONDS = 0.05
# So many schedules may be over before they are closed, while there is one run after the other.
OVER_AT_ONCE = 50
# Connections that a run needs besides that by which runs are claimed and ended.
ACTION_AND_LEASES = 2


class _Kept(threading.local):
    """What this thread has not done yet: write the end of its last run, close schedules, wake the relay."""

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self.over: set[UUID] = set()
        self.owes_waking = False
        self.woke_at = 0.0
        # While there is one run after the other, each asks on the same connection.
        self.line: HeldConnection | None = None


@dataclass(frozen=True, slots=True)
class _Next:
    """The run that is to be claimed with an end."""

    run_id: UUID
    worker: str


_kept = _Kept()


def end(ending: Ending) -> None:
    """Write how an attempt ended; in a work-horse, a success not later than its next step."""
    if ending.failure is not None:
        settle(ending)
    elif is_work_horse():
        before_idle(write_kept, or_another_job=True)
        _kept.ending = ending
    else:
        _write(ending)
        _close_those_over()
        _pay_waking()


def claim(run_id: UUID, *, worker: str) -> Claim | None:
    """Get a run if it is pending; the end of the last one is written with that."""
    following, claimed = _Next(run_id, worker), None
    if _kept.ending is not None:
        try:
            claimed = _write(_kept.ending, following)
        except (SQLAlchemyError, OutcomeUnknown):
            # That end is lost, and its run will be done again; the next one has nothing to do with it.
            log.exception("run.outcome_lost", run_id=str(_kept.ending.claim.id))
        finally:
            _kept.ending = None
        if len(_kept.over) >= OVER_AT_ONCE:
            _close_those_over()
    return claimed or _claim_alone(following)


def write_kept() -> None:
    """Do what was put off until there is nothing else to do."""
    try:
        if _kept.ending is not None:
            _write(_kept.ending)
    finally:
        _kept.ending = None
        if _kept.line is not None:
            _kept.line.give_back()
        _close_those_over()
        _pay_waking()


def _write(ending: Ending, following: _Next | None = None) -> Claim | None:
    """Write an end, and get the following run if that is possible at once.

    What goes wrong with both together is tried with the end alone.
    """
    try:
        ended, claimed = _write_plain(ending, following)
    except (SQLAlchemyError, OutcomeUnknown) as error:
        log.warning("run.settle_waits", error=name_of(error), **ending.bound)
        ended, claimed = False, None
    if not ended:
        with structlog.contextvars.bound_contextvars(**ending.bound):
            settle(ending)
    return claimed


def _write_plain(ending: Ending, following: _Next | None) -> tuple[bool, Claim | None]:
    """Whether the attempt has ended plainly, and the following run, if it has."""
    if db.engine.dialect.name != "postgresql":
        with transaction() as active:
            if not _end_in_steps(ending):
                return False, None
            return True, _claim(following, active.connection()) if following else None
    if is_watched(statements.COMPLETED):
        with transaction():
            return _end_in_steps(ending), None
    return _end_in_one(ending, following)


def _end_in_steps(ending: Ending) -> bool:
    row = session().connection().execute(statements.end(), _values(ending)).one_or_none()
    if row is None:
        return False
    ending.journal.keep_rest()
    took = milliseconds(row.started_at, row.finished_at)
    known = {"schedule_name": row.schedule_name, "notify": row.notify, "duration_ms": took}
    subject = ("run", ending.claim.id)
    record_event(statements.COMPLETED, subject=subject, owner_id=row.owner_id, after=_told(ending) | known)
    counts.count_ended([(row.schedule_id, "completed")])
    admission.wake_if_running_dry(row.owner_id)
    if row.schedule_next_run_at is None:
        _kept.over.add(row.schedule_id)
    on_commit(_note_end, ending.claim, ending.bound, took)
    return True


def _end_in_one(ending: Ending, following: _Next | None) -> tuple[bool, Claim | None]:
    """All that in one statement, which is a transaction by itself: one round trip for a whole run."""
    values = {
        **_values(ending),
        "lines": ending.journal.rest_as_json(),
        "event_id": new_id(),
        "told": _told(ending),
        "told_at": clock.now(),
        "origin": describe_origin(),
        "old_request": ending.bound["run_id"],
        "few": admission.few() + 1,
        "next_id": following and following.run_id,
        "new_worker": following and following.worker,
    }
    ((started_at, finished_at, next_run_at, runs_dry, *claimed),) = _ask(statements.end_and_claim, values)
    if finished_at is None:
        return False, None
    _note_end(ending.claim, ending.bound, milliseconds(started_at, finished_at))
    _wake_relay()
    if runs_dry:
        admission.wake()
    if next_run_at is None:
        _kept.over.add(ending.claim.schedule_id)
    return True, Claim(*claimed) if claimed[0] else None


def _claim_alone(following: _Next) -> Claim | None:
    if db.engine.dialect.name == "postgresql":
        rows = _ask(statements.claim, {"next_id": following.run_id, "new_worker": following.worker})
        if rows:
            return Claim(*rows[0])
        # As when a worker warms up: what its work-horses will ask again and again is made ready.
        numbered(db.engine.dialect, _at_this_time(statements.end_and_claim), (LEASE_SECONDS,))
        return None
    with transaction():
        return _claim(following, session().connection())


def _claim(following: _Next, connection: sa.Connection) -> Claim | None:
    worker = following.worker
    return claims.claim_run(
        following.run_id, worker=worker, lease_seconds=LEASE_SECONDS, connection=connection
    )


def _ask(build: Callable[[float], Any], values: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
    """The rows of a statement that is a transaction by itself: no round trips to begin and to commit."""
    engine, statement = db.engine, _at_this_time(build)
    if not (is_work_horse() and _may_hold_one()):
        return read_at_once(engine, statement, (LEASE_SECONDS,), values)
    before_idle(write_kept, or_another_job=True)
    if _kept.line is None or _kept.line.engine is not engine:
        _kept.line = HeldConnection(engine)
    return _kept.line.rows(statement, (LEASE_SECONDS,), values)


def _may_hold_one() -> bool:
    """Whether the action and the thread of leases have a connection each besides."""
    settings = runtime_settings()
    return settings.db_pool_size + settings.db_max_overflow > ACTION_AND_LEASES


def _at_this_time(build: Callable[[float], Any]) -> Callable[[float], Any]:
    # Under a virtual clock the time stands in the statement: that is another one each time.
    return partial(build) if clock.is_virtual() else build


def _values(ending: Ending) -> dict[str, Any]:
    attempt = {"old_id": ending.claim.id, "old_attempt": ending.claim.attempt}
    return {**attempt, "old_result": ending.result, "old_progress": ending.journal.progress}


def _told(ending: Ending) -> dict[str, Any]:
    """What the event says, as ``outcomes.run_state``, as far as the claim knew it."""
    claim = ending.claim
    return {
        "schedule_id": str(claim.schedule_id),
        "action": claim.action,
        "status": "completed",
        "trigger": claim.trigger,
        "scheduled_for": claim.scheduled_for.isoformat(),
        "attempt": claim.attempt,
        "lag_ms": claim.lag_ms,
        "error": None,
    }


def _note_end(ended: Claim, bound: dict[str, Any], duration_ms: int | None) -> None:
    lag_ms = ended.lag_ms
    meters.count_success(ended.action, lag_ms=lag_ms, duration_ms=duration_ms)
    told = {"status": "completed", "error": None, "ms": duration_ms, "lag_ms": lag_ms}
    log_often(lines, "run.ended", {**bound, **told})


def _close_those_over() -> None:
    over, _kept.over = _kept.over, set()
    if not over:
        return
    try:
        with transaction():
            outcomes.complete_if_over(*over)
    except (SQLAlchemyError, OutcomeUnknown) as error:
        log.warning("schedule.completed_later", count=len(over), error=name_of(error))


def _wake_relay() -> None:
    """Not for each of many runs: whoever is told hears of them together, some milliseconds later."""
    if monotonic() - _kept.woke_at < WAKE_SECONDS:
        _kept.owes_waking = True
        return
    _kept.woke_at, _kept.owes_waking = monotonic(), False
    wake_relay()


def _pay_waking() -> None:
    if _kept.owes_waking:
        _kept.owes_waking = False
        wake_relay()
