"""How many runs ended how, kept beside each schedule so that nobody counts a long history.

Whoever ends a run, opens it again or deletes it says so here, in the same transaction. Locks
are taken in one order: the schedule, then its runs, then its counts. So this comes last.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.core.upserts import insert_into
from taskapi.schedules.bookkeeping import RunCounts
from taskapi.schedules.engine.claims import IS_OPEN
from taskapi.schedules.models import Run, Schedule

ENDS = ("completed", "failed", "cancelled", "skipped")
# The schedule of a run and its status.
End = tuple[UUID, str]


def count_ended(ends: Iterable[End]) -> None:
    """Runs of these schedules came to these ends; what is still open is left out."""
    _change(ends, by=1)


def uncount(ends: Iterable[End]) -> None:
    """Runs that had come to these ends are open again, or deleted."""
    _change(ends, by=-1)


def counted(schedule_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """How many runs of each status each schedule has, without those statuses that none has."""
    found: dict[UUID, dict[str, int]] = {}
    rows = session().scalars(
        sa.select(RunCounts)
        .where(RunCounts.schedule_id.in_(schedule_ids))
        .execution_options(populate_existing=True)
    )
    for row in rows:
        found[row.schedule_id] = {end: getattr(row, end) for end in ENDS if getattr(row, end)}
    for schedule_id, status, number in _open_runs(schedule_ids):
        found.setdefault(schedule_id, {})[status] = number
    return found


def counted_in_all(owner_id: UUID | None) -> dict[str, int]:
    """How many runs of each status a user has, or everybody together."""
    ends = sa.select(*(sa.func.sum(getattr(RunCounts, end)).label(end) for end in ENDS))
    opened = sa.select(Run.status, sa.func.count()).where(IS_OPEN)
    if owner_id is not None:
        ends = ends.join(Schedule, Schedule.id == RunCounts.schedule_id).where(Schedule.owner_id == owner_id)
        opened = opened.where(Run.owner_id == owner_id)
    numbers = session().execute(ends).one()._mapping
    still_open = {status: number for status, number in session().execute(opened.group_by(Run.status))}  # noqa: C416
    return {**{end: int(numbers[end] or 0) for end in ENDS}, **still_open}


def _open_runs(schedule_ids: Sequence[UUID]) -> Sequence[sa.Row[UUID, str, int]]:
    statement = sa.select(Run.schedule_id, Run.status, sa.func.count())
    statement = statement.where(Run.schedule_id.in_(schedule_ids), IS_OPEN)
    return session().execute(statement.group_by(Run.schedule_id, Run.status)).all()


def _change(ends: Iterable[End], *, by: int) -> None:
    numbers: dict[UUID, Counter[str]] = {}
    for schedule_id, status in ends:
        if status in ENDS:
            numbers.setdefault(schedule_id, Counter())[status] += by
    if not numbers:
        return
    insert = insert_into(RunCounts)
    sums = {end: getattr(RunCounts, end) + insert.excluded[end] for end in ENDS}
    # Sorted, so that two never wait for each other.
    rows = [{"schedule_id": id_, **{end: numbers[id_][end] for end in ENDS}} for id_ in sorted(numbers)]
    statement = insert.on_conflict_do_update(index_elements=[RunCounts.schedule_id], set_=sums)
    session().connection().execute(statement, rows)
