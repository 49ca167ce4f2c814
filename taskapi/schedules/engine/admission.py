"""Whose runs may go to the workers now: each user has a window, so that nobody's backlog is everybody's.

A run beyond its owner's window is *held*: pending, not in Redis, and waiting for nothing else.
The scheduler lets held runs go, oldest first, when the window has room.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.background.enqueue import WAKE_DISPATCH, wake_scheduler
from taskapi.background.names import Queue
from taskapi.core.db import once_on_commit, read_database_clock, session
from taskapi.core.runtime import runtime_settings
from taskapi.core.upserts import insert_into
from taskapi.schedules.bookkeeping import RunAllowance
from taskapi.schedules.models import Run

# So many runs of a user that are in flight go ahead of everybody's bulk.
FIRST_LANE = 10
MINUTE = timedelta(minutes=1)
# Looked at in one round; the next round goes on behind them.
OWNERS_PER_ROUND = 100
BEFORE_ALL = UUID(int=0)

# Literals, the words of the partial indexes: else neither database sees that they fit.
HELD = sa.text(
    "runs.status || '' = 'pending' AND runs.queued_at IS NULL AND runs.retry_at IS NULL"
    " AND NOT runs.waits_for_turn"
)
# A run that waits for a signal occupies no worker.
IN_FLIGHT = sa.text(
    "((runs.status = 'running' AND runs.signal_by IS NULL)"
    " OR (runs.status = 'pending' AND runs.queued_at IS NOT NULL))"
)


@dataclass(slots=True)
class _Turns:
    """Where this process's last round over the owners ended."""

    last: UUID = BEFORE_ALL


_turns = _Turns()


def admit(wanted: Mapping[UUID, int], *, held: bool = False) -> dict[UUID, Iterator[Queue]]:
    """The queues that the next runs of each owner go to now; where they end, the rest is held.

    Args:
        wanted: how many runs each owner would queue.
        held: these are the ones that were held; others stay behind those.
    """
    ours = _lock_windows(wanted)
    # Behind the lock, so that nobody else changes it.
    in_flight, holders = _look_into(ours)
    if not held:
        ours -= holders
    rooms = _rooms(ours, in_flight)
    granted = {owner: min(wanted[owner], room) for owner, room in rooms.items() if room > 0}
    _note_released(granted)
    return {owner: _lanes(in_flight.get(owner, 0), granted.get(owner, 0)) for owner in wanted}


def _lanes(in_flight: int, count: int) -> Iterator[Queue]:
    return (lane(in_flight + position) for position in range(count))


def lane(position: int) -> Queue:
    """The queue of a run that has so many of its owner's before it."""
    return Queue.RUNS if position < FIRST_LANE else Queue.RUNS_BULK


def held_runs_with_room(limit: int) -> tuple[dict[UUID, int], bool]:
    """How many held runs each owner might let go now, and whether any run is held at all.

    Reads only. Owners take turns, and those of one round share ``limit``.
    """
    owners = _next_holders()
    if not owners:
        return {}, False
    in_flight, _ = _look_into(owners)
    rooms = _rooms(owners, in_flight)
    able = [owner for owner in owners if rooms[owner] > 0]
    share = max(limit // max(len(able), 1), 1)
    return {owner: min(rooms[owner], share) for owner in able}, True


def claim_held(owner_id: UUID, limit: int) -> list[Run]:
    """The oldest held runs of an owner, locked; those that others hold are left out."""
    statement = (
        sa.select(Run)
        .where(Run.owner_id == owner_id, HELD)
        .order_by(Run.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session().scalars(statement))


def wake_if_running_dry(owner_id: UUID) -> None:
    """After a run has ended: have held runs follow at once if few of the owner's are in flight.

    A full window is looked after by the scheduler's own rounds, which cost less.
    """
    in_flight = sa.select(Run.id).where(Run.owner_id == owner_id, IN_FLIGHT).limit(few()).subquery()
    count = sa.select(sa.func.count()).select_from(in_flight).scalar_subquery()
    held = sa.exists().where(Run.owner_id == owner_id, HELD)
    if session().scalar(sa.select(sa.and_(held, count < few()))):
        once_on_commit(wake)


def few() -> int:
    """With less than so many in flight an owner runs dry."""
    return min(FIRST_LANE, runtime_settings().user_runs_at_once)


def wake() -> None:
    """Have the scheduler look at held runs at once."""
    wake_scheduler(WAKE_DISPATCH)


def _lock_windows(owner_ids: Collection[UUID]) -> set[UUID]:
    """Those of the owners whose window nobody else is filling.

    Not waited for: what is left out is held for a moment, and nobody can stand in a ring.
    """
    statement = sa.select(RunAllowance.owner_id).where(RunAllowance.owner_id.in_(owner_ids))
    ours = set(session().scalars(statement.with_for_update(skip_locked=True)))
    if unknown := sorted(set(owner_ids) - ours):
        now = read_database_clock()
        rows = [{"owner_id": owner, "since": now, "released": 0} for owner in unknown]
        insert = insert_into(RunAllowance).on_conflict_do_nothing().returning(RunAllowance.owner_id)
        ours |= set(session().connection().execute(insert, rows).scalars())
    return ours


def _look_into(owner_ids: Collection[UUID]) -> tuple[dict[UUID, int], set[UUID]]:
    """How many runs of these owners are in flight, of those who have any; and who of them holds runs."""
    if not owner_ids:
        return {}, set()
    # One probe for each: PostgreSQL would make a join of an EXISTS, and read whole backlogs.
    theirs = Run.owner_id == RunAllowance.owner_id
    any_held = sa.select(Run.id).where(theirs, HELD).limit(1).correlate(RunAllowance).scalar_subquery()
    flying = sa.select(sa.func.count()).select_from(Run).where(theirs, IN_FLIGHT)
    statement = sa.select(
        RunAllowance.owner_id, flying.correlate(RunAllowance).scalar_subquery(), any_held.is_not(None)
    )
    rows = session().execute(statement.where(RunAllowance.owner_id.in_(owner_ids))).all()
    return {owner: count for owner, count, _ in rows if count}, {owner for owner, _, holds in rows if holds}


def _rooms(owner_ids: Collection[UUID], in_flight: Mapping[UUID, int]) -> dict[UUID, int]:
    """How many runs of each owner may go now."""
    settings = runtime_settings()
    rooms = {owner: settings.user_runs_at_once - in_flight.get(owner, 0) for owner in owner_ids}
    if settings.user_runs_per_minute:
        released = _released_this_minute(owner_ids)
        left = {owner: settings.user_runs_per_minute - released.get(owner, 0) for owner in owner_ids}
        rooms = {owner: min(room, left[owner]) for owner, room in rooms.items()}
    return rooms


def _released_this_minute(owner_ids: Collection[UUID]) -> dict[UUID, int]:
    begun_after = read_database_clock() - MINUTE
    statement = sa.select(RunAllowance.owner_id, RunAllowance.released).where(
        RunAllowance.owner_id.in_(owner_ids), RunAllowance.since > begun_after
    )
    return {owner: released for owner, released in session().execute(statement)}  # noqa: C416


def _note_released(granted: Mapping[UUID, int]) -> None:
    """Count against the minute that began with the first run of it."""
    if not granted or not runtime_settings().user_runs_per_minute:
        return
    now = read_database_clock()
    same_minute = RunAllowance.since > now - MINUTE
    count = sa.bindparam("count", type_=sa.Integer())
    statement = (
        sa.update(RunAllowance.__table__)  # type: ignore[arg-type]
        .where(RunAllowance.owner_id == sa.bindparam("owner"))
        .values(
            since=sa.case((same_minute, RunAllowance.since), else_=now),
            released=sa.case((same_minute, RunAllowance.released + count), else_=count),
        )
    )
    rows = [{"owner": owner, "count": number} for owner, number in granted.items()]
    session().connection().execute(statement, rows)


def _next_holders() -> list[UUID]:
    """The owners whose turn it is to let held runs go, ``OWNERS_PER_ROUND`` of them at most."""
    owners = _holders(after=_turns.last)
    if not owners and _turns.last != BEFORE_ALL:
        owners = _holders(after=BEFORE_ALL)
    _turns.last = owners[-1] if len(owners) == OWNERS_PER_ROUND else BEFORE_ALL
    return owners


def _holders(*, after: UUID) -> list[UUID]:
    """Owners that hold runs, found by leaping from one to the next: their backlogs cost nothing."""
    leaps = sa.select(_holder_after(sa.literal(after, sa.Uuid())).label("owner_id"))
    holders = leaps.cte("holders", recursive=True)
    following = sa.select(_holder_after(holders.c.owner_id)).select_from(holders)
    holders = holders.union_all(following.where(holders.c.owner_id.is_not(None)))
    statement = sa.select(holders.c.owner_id).where(holders.c.owner_id.is_not(None))
    return list(session().scalars(statement.limit(OWNERS_PER_ROUND)))


def _holder_after(owner_id: sa.ColumnElement[UUID]) -> sa.ScalarSelect[UUID]:
    beyond = sa.select(Run.owner_id).where(Run.owner_id > owner_id, HELD)
    return beyond.order_by(Run.owner_id).limit(1).correlate_except(Run).scalar_subquery()
