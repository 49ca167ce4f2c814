"""What there is to do and when: as a look tells, and from then on by the monotonic clock of the process."""

import math
import time
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.arrays import uses_arrays
from taskapi.core.db import database_moment, session
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine import admission
from taskapi.schedules.engine.due import LEAD_SECONDS, is_not_set_aside
from taskapi.schedules.models import Run, Schedule

# A literal, so that the partial index is seen to fit.
BACKFILL_IS_OPEN = sa.text("backfills.status = 'running'")
# What is due at any moment is waited for: 0.0 would say that it is there.
LEAST_WAIT_SECONDS = 0.0001


@dataclass(frozen=True, slots=True)
class Ahead:
    """What there is to do, and when.

    Attributes:
        looked_at: when this was known, by the monotonic clock of the process.
        seconds: from then until the next due time or retry, by the database's clock; None when there is none.
        next_at: the next due time, by the database's clock, if none has come.
        schedule_in: from then until that.
        schedules, retries: whether any is due.
        unsettled: whether a cancelled schedule still accounts for its due times.
        held: whether runs wait for room.
        backfills: whether any is open.
    """

    looked_at: float
    seconds: float | None
    next_at: datetime | None
    schedule_in: float | None
    schedules: bool
    retries: bool
    unsettled: bool
    held: bool
    backfills: bool


def look_ahead() -> Ahead:
    """All that the dispatcher looks for, in one statement: this is what waiting costs."""
    due = sa.select(sa.func.min(Schedule.dispatch_at)).where(Schedule.status == "active", is_not_set_aside())
    retry = sa.select(sa.func.min(Run.retry_at)).where(Run.status == "pending", Run.queued_at.is_(None))
    row = session().execute(
        sa.select(
            due.scalar_subquery(),
            retry.scalar_subquery(),
            sa.type_coerce(database_moment(), Run.retry_at.type),
            sa.exists().where(Schedule.unsettled_from.is_not(None), is_not_set_aside()),
            sa.exists(sa.select(Run.id).where(admission.HELD)),
            sa.exists(sa.select(Backfill.id).where(BACKFILL_IS_OPEN)),
        )
    )
    next_run_at, retry_at, now, unsettled, held, backfills = row.one()
    looked_at = time.monotonic()
    next_at = next_run_at if next_run_at and next_run_at > now else None
    moments = [now] * unsettled + [moment for moment in (next_run_at, retry_at) if moment is not None]
    return Ahead(
        looked_at=looked_at,
        seconds=max((min(moments) - now).total_seconds(), 0.0) if moments else None,
        next_at=next_at,
        schedule_in=(next_at - now).total_seconds() if next_at else None,
        schedules=next_run_at is not None and next_run_at <= now,
        retries=retry_at is not None and retry_at <= now,
        unsettled=unsettled,
        held=held,
        backfills=backfills,
    )


class Expected:
    """When this process expects a schedule to be due."""

    def __init__(self) -> None:
        self._at = math.inf
        self._moment: datetime | None = None
        # What was tried ahead and is still there is special, or another's.
        self._tried: datetime | None = None

    def note(self, ahead: Ahead) -> None:
        """Remember what a look has told."""
        self._at = math.inf if ahead.schedule_in is None else ahead.looked_at + ahead.schedule_in
        self._moment = ahead.next_at

    def forget(self) -> None:
        """What was expected is done."""
        self._at, self._moment = math.inf, None

    def is_near(self) -> bool:
        """Whether it is time to begin with it."""
        return time.monotonic() >= self._at - self._lead()

    def try_ahead(self) -> datetime | None:
        """The due time that is to be waited for, once; None when it has come."""
        if time.monotonic() >= self._at:
            return None
        self._tried = self._moment
        return self._moment

    def seconds_left(self, ahead: Ahead) -> float | None:
        """The seconds until there is something to do: some have passed since that was known."""
        if ahead.seconds is None or clock.is_virtual():
            return ahead.seconds
        until = min(ahead.looked_at + ahead.seconds, self._at - self._lead())
        return max(until - time.monotonic(), LEAST_WAIT_SECONDS)

    def _lead(self) -> float:
        """How long before it is due to begin: SQLite has one writer, whom nobody should wait for."""
        if self._moment == self._tried or clock.is_virtual() or not uses_arrays():
            return 0.0
        return LEAD_SECONDS


def wait_until(moment: float) -> None:
    """Return at a moment of the monotonic clock."""
    time.sleep(max(moment - time.monotonic(), 0.0))
