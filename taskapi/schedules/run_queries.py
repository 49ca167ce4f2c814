"""Pages of the history of runs, at a cost that does not grow with it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, count_up_to, fetch_page
from taskapi.schedules.bookkeeping import RunLogLine
from taskapi.schedules.engine import counts
from taskapi.schedules.models import Run, Schedule

# A total beyond this is not counted out, but added up from what is kept beside the schedules.
COUNTED_OUT = 10_000
# Schedules whose names fit a search are looked up first; their runs are found by their ids.
MAX_NAMED = 200
# What most runs are: the others have a small index of their own.
USUAL_TRIGGER = "schedule"


def visible_runs(actor: Actor | None) -> sa.Select[Run]:
    """Those of the actor; all for an administrator, and for the operator, who is nobody."""
    statement = sa.select(Run)
    return statement if actor is None or actor.is_admin else statement.where(Run.owner_id == actor.user_id)


def find_run(actor: Actor | None, run_id: UUID) -> Run | None:
    return session().scalar(visible_runs(actor).where(Run.id == run_id))


def page_of_runs(actor: Actor, page: PageRequest, **filters: Any) -> Page[Run]:
    """Runs newest first, or by due time where a range of due times is asked for.

    Args:
        filters: see ``filtered``.
    """
    statement = filtered(visible_runs(actor), actor, **filters)
    in_a_range = not {"scheduled_before", "scheduled_after"}.isdisjoint(filters)
    return fetch_page(
        session(),
        statement,
        request_=page,
        sorts={"created_at": Run.created_at, "scheduled_for": Run.scheduled_for},
        default_sort="-scheduled_for" if in_a_range else "-created_at",
        key=Run.id,
        count=lambda: _total(statement, actor, **filters),
    )


def filtered(
    statement: sa.Select[Run],
    actor: Actor | None,
    *,
    schedule_id: UUID | None = None,
    owner_id: Sequence[UUID] = (),
    status: Sequence[str] = (),
    action: Sequence[str] = (),
    trigger: Sequence[str] = (),
    reason: Sequence[str] = (),
    q: str | None = None,
    scheduled_before: datetime | None = None,
    scheduled_after: datetime | None = None,
) -> sa.Select[Run]:
    """Those of the runs that fit; a sequence means 'any of', ``q`` words of the schedule's name."""
    if schedule_id is not None:
        statement = statement.where(Run.schedule_id == schedule_id)
    for column, values in ((Run.owner_id, owner_id), (Run.status, status), (Run.action, action)):
        if values:
            statement = statement.where(column.in_(values))
    if trigger:
        statement = statement.where(Run.trigger.in_(trigger))
        if USUAL_TRIGGER not in trigger:
            # A literal, so that the partial index is seen to fit.
            statement = statement.where(sa.text("runs.trigger <> 'schedule'"))
    if reason:
        statement = statement.where(Run.reason.in_(reason), Run.reason.is_not(None))
    if q:
        statement = statement.where(Run.schedule_id.in_(_named(actor, q)))
    if scheduled_before is not None:
        statement = statement.where(Run.scheduled_for < scheduled_before)
    if scheduled_after is not None:
        statement = statement.where(Run.scheduled_for >= scheduled_after)
    return statement


def last_completed_at(schedule_id: UUID, *, before: UUID) -> datetime | None:
    """When the run of a schedule that was completed last, not counting this one, was due."""
    others = (Run.schedule_id == schedule_id, Run.status == "completed", Run.id != before)
    return session().scalar(sa.select(sa.func.max(Run.scheduled_for)).where(*others))


def page_of_log(run_id: UUID, page: PageRequest) -> Page[RunLogLine]:
    statement = sa.select(RunLogLine).where(RunLogLine.run_id == run_id)
    sorts = {"at": RunLogLine.at}
    return fetch_page(session(), statement, request_=page, sorts=sorts, default_sort="at", key=RunLogLine.id)


def _named(actor: Actor | None, words: str) -> Sequence[UUID] | sa.Select[UUID]:
    """The schedules whose names hold all of the words: their ids, or a query of them if they are many."""
    statement = sa.select(Schedule.id).where(
        *(Schedule.name.icontains(word, autoescape=True) for word in words.split())
    )
    if actor is not None and not actor.is_admin:
        statement = statement.where(Schedule.owner_id == actor.user_id)
    ids = session().scalars(statement.limit(MAX_NAMED + 1)).all()
    return ids if len(ids) <= MAX_NAMED else statement


def _total(statement: sa.Select[Run], actor: Actor, **filters: Any) -> int | None:
    """How many runs fit: counted out up to a bound, else from the counts where they can tell."""
    counted_out = count_up_to(session(), statement, limit=COUNTED_OUT + 1)
    if counted_out <= COUNTED_OUT:
        return counted_out
    if not {name for name, value in filters.items() if value} <= {"schedule_id", "status"}:
        return None
    numbers = _counted(actor, filters.get("schedule_id"))
    return sum(number for status, number in numbers.items() if status in (filters.get("status") or numbers))


def _counted(actor: Actor, schedule_id: UUID | None) -> dict[str, int]:
    if schedule_id is not None:
        return counts.counted([schedule_id]).get(schedule_id, {})
    return counts.counted_in_all(None if actor.is_admin else actor.user_id)
