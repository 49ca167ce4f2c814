"""What is asked of the database for each run, built once: to build a statement costs more than to ask it.

Tables and not entities: what a worker needs of a run is read with the change that makes it its own.
No parameter is named as a column: SQLAlchemy would set that column in each change of a statement.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from taskapi.core import clock
from taskapi.core.columns import Json, UtcDateTime
from taskapi.core.db import database_now
from taskapi.core.events import Event
from taskapi.schedules.bookkeeping import RunCounts, RunLogLine
from taskapi.schedules.engine.admission import HELD, IN_FLIGHT
from taskapi.schedules.models import Run, Schedule

P = ParamSpec("P")
Statement = TypeVar("Statement")

runs, schedules = cast(sa.Table, Run.__table__), cast(sa.Table, Schedule.__table__)
counts, events = cast(sa.Table, RunCounts.__table__), cast(sa.Table, Event.__table__)
log_lines = cast(sa.Table, RunLogLine.__table__)

COMPLETED = "run.completed"


def _word(word: str) -> sa.ColumnElement[str]:
    """A constant that stands in the statement: each parameter costs its share of every call."""
    return sa.literal_column(f"'{word}'", sa.String())


ZERO, ONE = sa.literal_column("0", sa.Integer()), sa.literal_column("1", sa.Integer())
PENDING, RUNNING = _word("pending"), _word("running")
# By the name of the database.
KEEP_LINES: dict[str, sa.Insert] = {
    "postgresql": postgresql.insert(log_lines).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(log_lines).on_conflict_do_nothing(),
}


def _built_once(build: Callable[P, Statement]) -> Callable[P, Statement]:
    once: Any = cache(build)

    @wraps(build)
    def statement(*args: P.args, **kwargs: P.kwargs) -> Statement:
        # Under a virtual clock the time stands in the statement.
        chosen: Callable[P, Statement] = build if clock.is_virtual() else once
        return chosen(*args, **kwargs)

    return statement


@_built_once
def claim(lease_seconds: float) -> Any:
    """Make run ``next_id`` that of ``new_worker``: it raises ``attempt`` and sets the lease.

    No row if it is not pending, or should have started before now. Who has locked it is waited for.
    """
    this_one = runs.c.id == sa.bindparam("next_id", type_=sa.Uuid())
    return _claim(lease_seconds, this_one, *_may_start(runs))


def _claim(lease_seconds: float, *which: sa.ColumnElement[bool]) -> Any:
    return (
        sa.update(runs)
        .where(*which)
        .values(
            status=RUNNING,
            attempt=runs.c.attempt + ONE,
            # It has started: attempts to come are bound by no such deadline.
            start_by=sa.null(),
            signal_by=sa.null(),
            worker=sa.bindparam("new_worker", type_=sa.String()),
            started_at=database_now(),
            first_started_at=sa.func.coalesce(runs.c.first_started_at, database_now()),
            finished_at=sa.null(),
            lease_until=database_now(lease_seconds),
            error=sa.null(),
            progress=sa.null(),
        )
        .returning(
            *(runs.c.id, runs.c.schedule_id, runs.c.owner_id, runs.c.action, runs.c.params, runs.c.trigger),
            *(runs.c.scheduled_for, runs.c.due_at, runs.c.first_started_at, runs.c.attempt, runs.c.timeout),
            *(_of_schedule(schedules.c.name), _of_schedule(schedules.c.timezone)),
        )
    )


def _may_start(run: Any) -> tuple[sa.ColumnElement[bool], ...]:
    in_time = sa.or_(run.c.start_by.is_(None), run.c.start_by >= database_now())
    return _is(run, PENDING), in_time


def _is(run: Any, status: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    # The run is named by its id, and the words fit no index: a plan made while few runs were open would
    # read all that are open, however many there are by now.
    as_text: sa.ColumnElement[str] = run.c.status.op("||")(_word(""))
    return as_text == status


def _of_schedule(column: sa.Column[Any]) -> Any:
    theirs = sa.select(column).where(schedules.c.id == runs.c.schedule_id).correlate(runs)
    return theirs.scalar_subquery().label(f"schedule_{column.name}")


@_built_once
def end() -> Any:
    """Complete attempt ``old_attempt`` at run ``old_id``, if that concerns nobody else.

    No row if the run is no longer this attempt's, and none if its schedule has to be locked: a turn is
    to be handed on, failures came before, or the next part of a backfill waits. Without a
    ``schedule_next_run_at`` the schedule may be over.
    """
    plain = sa.exists().where(
        schedules.c.id == runs.c.schedule_id,
        schedules.c.failures_in_row == ZERO,
        schedules.c.overlap != _word("queue"),
        schedules.c.overlap != _word("replace"),
    )
    # Literals, so that the partial index is seen to fit.
    waiting = runs.alias("waiting")
    waits = sa.text("waiting.status = 'pending' AND waiting.waits_for_turn")
    behind = sa.exists().where(waiting.c.schedule_id == runs.c.schedule_id, waits)
    return (
        sa.update(runs)
        .where(
            runs.c.id == sa.bindparam("old_id", type_=sa.Uuid()),
            runs.c.attempt == sa.bindparam("old_attempt", type_=sa.Integer()),
            _is(runs, RUNNING),
            runs.c.backfill_id.is_(None),
            plain.correlate(runs),
            sa.not_(behind.correlate(runs)),
        )
        .values(
            status=_word("completed"),
            result=sa.bindparam("old_result", type_=Json),
            progress=sa.bindparam("old_progress", type_=Json),
            finished_at=database_now(),
            lease_until=sa.null(),
        )
        .returning(
            *(runs.c.id, runs.c.schedule_id, runs.c.owner_id, runs.c.notify),
            *(runs.c.started_at, runs.c.finished_at),
            *(_of_schedule(schedules.c.name), _of_schedule(schedules.c.next_run_at)),
        )
    )


@_built_once
def end_and_claim(lease_seconds: float) -> Any:
    """On PostgreSQL: ``end`` with all that belongs to it, and ``claim``, as one statement.

    Gives one row: ``started_at`` and ``finished_at`` of the run that ended, its schedule's next due time,
    whether its owner runs dry, then the columns of ``claim``, which is for an attempt that has ended
    only. Locks are taken in one order: the run that ended, the next one if nobody else has locked it,
    since waiting for it might be waiting in a ring, and the counts.
    """
    ended = end().cte("ended")
    candidate = runs.alias("free")
    free = (
        sa.select(candidate.c.id)
        .where(candidate.c.id == sa.bindparam("next_id", type_=sa.Uuid()), *_may_start(candidate))
        .where(_rows_of(ended) > ZERO)
        .with_for_update(skip_locked=True)
    )
    claimed = _claim(lease_seconds, runs.c.id == free.scalar_subquery()).cte("taken")
    answer = sa.select(sa.literal_column("1").label("one")).subquery("answer").outerjoin(ended, sa.true())
    times = (ended.c.started_at, ended.c.finished_at, ended.c.schedule_next_run_at)
    columns = (*times, _runs_dry(ended.c.owner_id), *claimed.c)
    told = (_count(ended, claimed).cte("counted"), _tell(ended).cte("told"), _keep_lines(ended).cte("kept"))
    return sa.select(*columns).select_from(answer.outerjoin(claimed, sa.true())).add_cte(*told)


def _rows_of(change: sa.CTE) -> sa.ColumnElement[int]:
    """How many rows it changed; who asks comes after it, else the order is PostgreSQL's choice."""
    return sa.select(sa.func.count()).select_from(change).scalar_subquery()


def _count(ended: sa.CTE, claimed: sa.CTE) -> postgresql.Insert:
    row = sa.select(ended.c.schedule_id, *map(sa.literal_column, "1000")).where(_rows_of(claimed) >= ZERO)
    names = ["schedule_id", "completed", "failed", "cancelled", "skipped"]
    insert = postgresql.insert(counts).from_select(names, row, include_defaults=False)
    more = {"completed": counts.c.completed + ONE}
    return insert.on_conflict_do_update(index_elements=[counts.c.schedule_id], set_=more)


def _tell(ended: sa.CTE) -> sa.Insert:
    took: sa.ColumnElement[float] = sa.cast(
        sa.extract("epoch", ended.c.finished_at - ended.c.started_at), sa.Double()
    )
    known = sa.func.jsonb_build_object(
        *(_word("schedule_name"), ended.c.schedule_name, _word("notify"), ended.c.notify),
        *(_word("duration_ms"), sa.cast(sa.func.round(took * sa.literal_column("1000")), sa.BigInteger())),
    )
    values: dict[str, Any] = {
        "id": sa.bindparam("event_id", type_=sa.Uuid()),
        "number": sa.Sequence("event_numbers").next_value(),
        "type": _word(COMPLETED),
        "owner_id": ended.c.owner_id,
        "subject_type": _word("run"),
        "subject_id": ended.c.id,
        "after": sa.bindparam("told", type_=postgresql.JSONB()).op("||")(known),
        "context": sa.bindparam("origin", type_=Json),
        "request_id": sa.bindparam("old_request", type_=sa.String()),
        "created_at": sa.bindparam("told_at", type_=UtcDateTime()),
    }
    return sa.insert(events).from_select([*values], sa.select(*values.values()), include_defaults=False)


def _keep_lines(ended: sa.CTE) -> postgresql.Insert:
    kinds: dict[str, Any] = {
        "id": sa.Uuid(),
        "at": sa.DateTime(timezone=True),
        "level": sa.Text(),
        "message": sa.Text(),
    }
    told = sa.func.jsonb_to_recordset(sa.bindparam("lines", type_=Json))
    line = told.table_valued(*(sa.column(name, kind) for name, kind in kinds.items()))
    line = line.render_derived(name="line", with_types=True)
    whose = (ended.c.id, sa.bindparam("old_attempt", type_=sa.Integer()))
    rows = sa.select(*whose, *line.c).select_from(ended.join(line, sa.true()))
    insert = postgresql.insert(log_lines).from_select(["run_id", "attempt", *kinds], rows)
    return insert.on_conflict_do_nothing()


def _runs_dry(owner_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """As ``admission.wake_if_running_dry``; the run that ended still counts, as it was when this began."""
    held = sa.exists().where(runs.c.owner_id == owner_id, HELD)
    in_flight = sa.select(runs.c.id).where(runs.c.owner_id == owner_id, IN_FLIGHT)
    # One more than when it has ended.
    few = sa.bindparam("few", type_=sa.Integer())
    counted = sa.select(sa.func.count()).select_from(in_flight.limit(few).subquery()).scalar_subquery()
    return sa.case((held, counted < few), else_=sa.false()).label("runs_dry")
