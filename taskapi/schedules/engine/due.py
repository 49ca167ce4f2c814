"""What is due: the dispatcher's claims of schedules and retries, locked so that one dispatcher gets them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine import admission
from taskapi.schedules.models import Run, Schedule

# So many times a batch of due schedules is looked at, since others may hold a part. Only among
# those, the oldest, owners take turns: ranking a long backlog costs more than working it off.
CANDIDATES = 4
# A literal, so that the partial index is seen to fit.
BACKFILL_IS_OPEN = sa.text("backfills.status = 'running'")
# In a long backlog each so manieth batch takes turns among all, so that nobody is hidden for long.
ALL_EACH = 128


@dataclass(slots=True)
class DueSchedule:
    """What the ordinary way needs to know of a due schedule, in the words of the table."""

    id: UUID
    owner_id: UUID
    action: str
    timeout: float
    run_at: datetime | None
    cron: str | None
    every: float | None
    rrule: str | None
    timezone: str
    dst: Mapping[str, Any]
    starts_at: datetime
    starts_at_given: bool
    ends_at: datetime | None
    exclude: Sequence[str]
    jitter: float
    max_runs: int | None
    run_count: int
    catch_up: str
    catch_up_window: float
    catch_up_limit: int
    overlap: str
    start_deadline: float | None
    finish_deadline: float | None
    paused_at: datetime | None
    resumed_at: datetime | None
    next_run_at: datetime
    is_special: bool

    @property
    def skips(self) -> Sequence[str]:
        """None: those that have some are special."""
        return ()


class _ReadOnce(sa.types.TypeDecorator[Any]):
    """The text of JSON that is nearly always the same, and that nobody changes."""

    impl = sa.Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> object:
        return None if value is None else _read_json(value)


_read_json = lru_cache(maxsize=1024)(json.loads)
_OF_THEIR_OWN: dict[str, sa.ColumnElement[Any]] = {
    **{name: sa.cast(getattr(Schedule, name), _ReadOnce()) for name in ("dst", "exclude")},
    "is_special": sa.or_(
        Schedule.overlap == "replace",
        sa.cast(Schedule.skips, sa.Text) != "[]",
        Schedule.early_ping.is_not(None),
    ),
}
_COLUMNS = [
    _OF_THEIR_OWN.get(field.name, getattr(Schedule, field.name, None)) for field in fields(DueSchedule)
]


@dataclass(slots=True)
class _Backlog:
    """How many full batches this process has claimed one after the other."""

    batches: int = 0

    def note(self, claimed: int, limit: int) -> None:
        self.batches = self.batches + 1 if claimed == limit else 0

    def seen_at_once(self, limit: int) -> int | None:
        """Among how many due schedules, the oldest, the next batch is chosen; None for all."""
        return None if self.batches % ALL_EACH == ALL_EACH - 1 else limit * CANDIDATES


_backlog = _Backlog()


def claim_due(limit: int) -> list[DueSchedule]:
    """Due schedules, locked, as far as the ordinary way needs them; in turn as ``claim_due_schedules``."""
    claimed = [DueSchedule(*row) for row in session().execute(_claim(limit, _COLUMNS))]
    _backlog.note(len(claimed), limit)
    return claimed


def claim_due_schedules(limit: int) -> list[Schedule]:
    """Due schedules, locked: the oldest of each owner first, then the second …; no backlog hides another's.

    Those that other schedulers hold are left out, and there are enough candidates for several.
    """
    return list(session().scalars(_claim(limit, [Schedule])))


def _claim(limit: int, what: Sequence[Any]) -> sa.Select[Any]:
    is_due = (Schedule.dispatch_at <= database_now(), _is_not_set_aside())
    oldest = sa.select(Schedule.id, Schedule.owner_id, Schedule.dispatch_at)
    oldest = oldest.where(Schedule.status == "active", *is_due)
    if (bound := _backlog.seen_at_once(limit)) is not None:
        oldest = oldest.order_by(Schedule.dispatch_at).limit(bound)
    seen = oldest.subquery("seen")
    place = sa.func.row_number().over(partition_by=seen.c.owner_id, order_by=seen.c.dispatch_at)
    due = sa.select(seen.c.id, seen.c.dispatch_at, place.label("place")).subquery("due")
    order = (due.c.place, due.c.dispatch_at)
    first = sa.select(due).order_by(*order).limit(limit * CANDIDATES).subquery("first")
    return (
        sa.select(*what)
        .join_from(first, Schedule, first.c.id == Schedule.id)
        # Once more, for a row that changed before it was locked. In words that fit no index: with
        # statistics that know of nothing due, a planner would walk all that is due for each row.
        .where(Schedule.status.concat("") == "active", *is_due)
        .order_by(first.c.place, first.c.dispatch_at)
        .limit(limit)
        .with_for_update(of=Schedule, skip_locked=True)
        .execution_options(populate_existing=True)
    )


def claim_unsettled_schedules(limit: int) -> list[Schedule]:
    """Cancelled schedules with due times before their end that have no run yet, locked."""
    statement = (
        sa.select(Schedule)
        .where(Schedule.unsettled_from.is_not(None), _is_not_set_aside())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def _is_not_set_aside() -> sa.ColumnElement[bool]:
    return sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now())


@dataclass(frozen=True, slots=True)
class Ahead:
    """What there is to do, and when.

    Attributes:
        seconds: until the next due time or retry, by the database's clock; None when there is none.
        schedules, retries: whether any is due.
        unsettled: whether a cancelled schedule still accounts for its due times.
        held: whether runs wait for room.
        backfills: whether any is open.
    """

    seconds: float | None
    schedules: bool
    retries: bool
    unsettled: bool
    held: bool
    backfills: bool


def look_ahead() -> Ahead:
    """All that the dispatcher looks for, in one statement: this is what waiting costs."""
    due = sa.select(sa.func.min(Schedule.dispatch_at)).where(Schedule.status == "active", _is_not_set_aside())
    retry = sa.select(sa.func.min(Run.retry_at)).where(Run.status == "pending", Run.queued_at.is_(None))
    row = session().execute(
        sa.select(
            due.scalar_subquery(),
            retry.scalar_subquery(),
            sa.type_coerce(database_now(), Run.retry_at.type),
            sa.exists().where(Schedule.unsettled_from.is_not(None), _is_not_set_aside()),
            sa.exists(sa.select(Run.id).where(admission.HELD)),
            sa.exists(sa.select(Backfill.id).where(BACKFILL_IS_OPEN)),
        )
    )
    next_run_at, retry_at, now, unsettled, held, backfills = row.one()
    moments = [now] * unsettled + [moment for moment in (next_run_at, retry_at) if moment is not None]
    return Ahead(
        seconds=max((min(moments) - now).total_seconds(), 0.0) if moments else None,
        schedules=next_run_at is not None and next_run_at <= now,
        retries=retry_at is not None and retry_at <= now,
        unsettled=unsettled,
        held=held,
        backfills=backfills,
    )


def claim_due_retries(limit: int) -> list[Run]:
    """Pending runs that are to be queued now; those that others hold are left out."""
    statement = (
        sa.select(Run)
        .where(Run.status == "pending", Run.queued_at.is_(None))
        .where(Run.retry_at <= database_now())
        .order_by(Run.retry_at, Run.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))
