"""What is due: the dispatcher's claims of schedules and retries, locked so that one dispatcher gets them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.columns import UtcDateTime
from taskapi.core.db import database_moment, database_now, note_database_clock, session
from taskapi.schedules.models import Run, Schedule

# So many times a batch of due schedules is looked at, since others may hold a part. Only among
# those, the oldest, owners take turns: ranking a long backlog costs more than working it off.
CANDIDATES = 4
# So long before it is due a schedule may be claimed: what a dispatch takes between due time and commit.
LEAD_SECONDS = 0.025
# In a long backlog the batch in which so many are full takes turns among all, so that nobody is hidden
# for long.
ALL_EACH = 64_000

Moment = sa.ColumnElement[datetime]


class DueSchedule(NamedTuple):
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
_TIME = sa.DateTime(timezone=True)
_OF_THEIR_OWN: dict[str, sa.ColumnElement[Any]] = {
    **{name: sa.cast(getattr(Schedule, name), _ReadOnce()) for name in ("dst", "exclude")},
    "is_special": sa.or_(
        Schedule.overlap == "replace",
        sa.cast(Schedule.skips, sa.Text) != "[]",
        Schedule.early_ping.is_not(None),
    ),
}


def _column(name: str) -> sa.ColumnElement[Any]:
    column = _OF_THEIR_OWN[name] if name in _OF_THEIR_OWN else getattr(Schedule, name)
    # PostgreSQL's connections speak UTC: there is nothing to convert.
    return sa.type_coerce(column, _TIME) if isinstance(column.type, UtcDateTime) else column


_COLUMNS = [_column(name) for name in DueSchedule._fields]


@dataclass(slots=True)
class _Backlog:
    """How many schedules this process has claimed in full batches one after the other."""

    claimed: int = 0

    def note(self, claimed: int, limit: int) -> None:
        self.claimed = self.claimed + claimed if claimed == limit else 0

    def seen_at_once(self, limit: int) -> int | None:
        """Among how many due schedules, the oldest, the next batch is chosen; None for all."""
        return None if self.claimed % ALL_EACH >= ALL_EACH - limit else limit * CANDIDATES


_backlog = _Backlog()


def has_backlog() -> bool:
    """Whether the last batch of this process was a full one, so that more is likely to be due."""
    return _backlog.claimed > 0


def forget_backlog() -> None:
    """The last batch failed."""
    _backlog.claimed = 0


def claim_due(limit: int) -> list[DueSchedule]:
    """On PostgreSQL: due schedules, locked, as far as the ordinary way needs them.

    They come in turn as from ``claim_due_schedules``.
    """
    # Under a virtual clock the time stands in the statement.
    build = _claim_one_by_one if clock.is_virtual() else _built_once
    claimed, now = _claimed(build(limit, _backlog.seen_at_once(limit)), {})
    if now is not None:
        note_database_clock(now)
    _backlog.note(len(claimed), limit)
    return claimed


def claim_ahead(limit: int, until: datetime) -> tuple[list[DueSchedule], float]:
    """The same for what is due ``until`` then, which is about to come: for the transaction it has.

    Returns:
        The schedules, and when it will have come by the monotonic clock of the process.
    """
    claimed, now = _claimed(_built_once(limit, _backlog.seen_at_once(limit), is_ahead=True), {"until": until})
    # From when the answer came: a moment after the database looked at its clock.
    has_come = time.monotonic()
    if now is not None:
        # No later than what was claimed, should that clock have been set back.
        until = max(min(until, now + timedelta(seconds=2 * LEAD_SECONDS)), now)
        has_come += (until - now).total_seconds()
        note_database_clock(until)
    _backlog.note(len(claimed), limit)
    return claimed, has_come


def _claimed(
    statement: sa.Select[Any], values: Mapping[str, Any]
) -> tuple[list[DueSchedule], datetime | None]:
    """What was claimed, and the database's clock, if anything was."""
    rows = session().connection().execute(statement, values).all()
    return [DueSchedule._make(columns) for *columns, _ in rows], rows[-1][-1] if rows else None


def claim_due_schedules(limit: int) -> list[Schedule]:
    """Due schedules, locked: the oldest of each owner first, then the second …; no backlog hides another's.

    Those that other schedulers hold are left out, and there are enough candidates for several.
    """
    moment = database_now()
    first = _first(limit, _backlog.seen_at_once(limit), moment)
    statement = (
        sa.select(Schedule)
        .join_from(first, Schedule, first.c.id == Schedule.id)
        .where(_is_still_due(moment))
        .order_by(first.c.place, first.c.dispatch_at)
        .limit(limit)
        .with_for_update(of=Schedule, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def _claim_one_by_one(limit: int, bound: int | None, *, is_ahead: bool = False) -> sa.Select[Any]:
    """Look each candidate up by its key, until enough are locked.

    A join would read and sort all candidates, or, where a planner thinks the table small, the table.
    """
    moment = _ahead() if is_ahead else database_now()
    first = _first(limit, bound, moment)
    locked = sa.select(*_COLUMNS).where(Schedule.id == first.c.id, _is_still_due(moment))
    one = locked.with_for_update(skip_locked=True).lateral("one")
    now = sa.type_coerce(database_moment(), UtcDateTime()) if is_ahead else database_now()
    return sa.select(one, now.label("now")).join_from(first, one, sa.true()).limit(limit)


_built_once = cache(_claim_one_by_one)


def _first(limit: int, bound: int | None, moment: Moment) -> sa.Subquery:
    """Candidates, in turn: ``id``, ``dispatch_at`` and their ``place`` among those of their owner."""
    oldest = sa.select(Schedule.id, Schedule.owner_id, Schedule.dispatch_at)
    oldest = oldest.where(Schedule.status == "active", *_is_due(moment))
    if bound is not None:
        oldest = oldest.order_by(Schedule.dispatch_at).limit(bound)
    seen = oldest.subquery("seen")
    place = sa.func.row_number().over(partition_by=seen.c.owner_id, order_by=seen.c.dispatch_at)
    due = sa.select(seen.c.id, seen.c.dispatch_at, place.label("place")).subquery("due")
    return sa.select(due).order_by(due.c.place, due.c.dispatch_at).limit(limit * CANDIDATES).subquery("first")


def _is_due(moment: Moment) -> tuple[sa.ColumnElement[bool], ...]:
    return Schedule.dispatch_at <= moment, is_not_set_aside()


def _ahead() -> Moment:
    """``until``, unless the database's clock was set back since somebody looked at it."""
    # Twice, as a busy machine may have taken long to tell what it saw.
    return sa.func.least(sa.bindparam("until", type_=UtcDateTime()), database_now(2 * LEAD_SECONDS))


def _is_still_due(moment: Moment) -> sa.ColumnElement[bool]:
    """Asked once more, for a row that changed before it was locked.

    In words that fit no index: with statistics that know of nothing due, a planner would walk all that
    is due for each row.
    """
    return sa.and_(Schedule.status.concat("") == "active", *_is_due(moment))


def claim_unsettled_schedules(limit: int) -> list[Schedule]:
    """Cancelled schedules with due times before their end that have no run yet, locked."""
    statement = (
        sa.select(Schedule)
        .where(Schedule.unsettled_from.is_not(None), is_not_set_aside())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def is_not_set_aside() -> sa.ColumnElement[bool]:
    """Of a schedule: whether it is not one that could not be planned a while ago."""
    return sa.or_(Schedule.set_aside_until.is_(None), Schedule.set_aside_until <= database_now())


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
