"""Figures over tasks and runs: each user over what they see, an administrator over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.analytics import queries
from taskapi.analytics.periods import periods
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.paging import Page, PageRequest, page_of_list, whole_page
from taskapi.schedules import figures
from taskapi.schedules.figures import ActionFigures
from taskapi.tasks.models import PRIORITIES, STATUSES

DEFAULT_SORT = "username"


@dataclass(slots=True, kw_only=True)
class Performance:
    """What became of the tasks that somebody was given."""

    user_id: UUID
    username: str
    assigned: int
    completed: int
    median_seconds_to_done: float | None = None

    @property
    def rate(self) -> float | None:
        return self.completed / self.assigned if self.assigned else None


def count_created(
    *, actor: Actor, start_date: datetime | None = None, end_date: datetime | None = None
) -> dict[str, dict[str, int]]:
    """How many tasks were created in a period, by status and by the username of their creator."""
    rows = queries.count_by_status_and_creator(actor, (start_date, end_date))
    names = accounts.usernames(user_ids={creator_id for _status, creator_id, _count in rows})
    by_status, by_user = dict.fromkeys(STATUSES, 0), dict.fromkeys(sorted(names.values()), 0)
    for status, creator_id, count in rows:
        by_status[status] += count
        by_user[names[creator_id]] += count
    return {"by_status": by_status, "by_user": by_user}


def overview(*, actor: Actor) -> dict[str, Any]:
    """How things are now: counts by status and priority, and what is pressing."""
    rows = queries.count_by_status_and_priority(actor, _today(actor))
    by_status, by_priority = dict.fromkeys(STATUSES, 0), dict.fromkeys(PRIORITIES, 0)
    for row in rows:
        by_status[row.status] += row.total
        by_priority[row.priority] += row.total
    pressing = {
        name: sum(getattr(row, name) for row in rows) for name in ("overdue", "due_today", "unassigned")
    }
    return {"total": sum(by_status.values()), "by_status": by_status, "by_priority": by_priority, **pressing}


def list_performance(
    *,
    actor: Actor,
    page: PageRequest,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
) -> Page[Performance]:
    """What became of the tasks of each person who was given some, and of the actor's in any case.

    Args:
        start_date, end_date: when the tasks were created.
    """
    people = _people(actor, (start_date, end_date))
    found = page_of_list(_sorted(people, page.sort or DEFAULT_SORT), request_=page)
    return found.with_items(_with_medians(actor, (start_date, end_date), found.items))


def performance(
    *, actor: Actor, start_date: datetime | None = None, end_date: datetime | None = None
) -> Sequence[Performance]:
    """The same of all people, by name."""
    created = (start_date, end_date)
    return _with_medians(actor, created, _sorted(_people(actor, created), DEFAULT_SORT))


def _people(actor: Actor, created: queries.Range) -> list[Performance]:
    counts = {actor.user_id: (0, 0)} | queries.count_by_assignee(actor, created)
    names = accounts.usernames(user_ids=counts)
    return [
        Performance(user_id=user_id, username=names[user_id], assigned=assigned, completed=completed)
        for user_id, (assigned, completed) in counts.items()
        if user_id in names
    ]


def _with_medians(
    actor: Actor, created: queries.Range, people: Sequence[Performance]
) -> Sequence[Performance]:
    medians = queries.median_seconds(actor, created, [person.user_id for person in people])
    for person in people:
        median = medians.get(person.user_id)
        person.median_seconds_to_done = None if median is None else round(median, 3)
    return people


def list_trends(
    *,
    actor: Actor,
    interval: str = "day",
    start_date: datetime | None = None,
    end_date: datetime | None = None,
) -> Page[Mapping[str, Any]]:
    """How many tasks were created and completed in each day, week or month of the actor's calendar.

    Raises:
        ValidationFailed: these are too many periods.
    """
    found = periods(interval, zone=actor.timezone, now=clock.now(), start=start_date, end=end_date)
    counts = queries.count_in_periods(actor, found) if found else ()
    items = [
        {"period": found[number].first, "created": created, "completed": completed}
        for number, created, completed in counts
    ]
    return whole_page(items)


def list_run_figures(
    *,
    actor: Actor,
    page: PageRequest,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
) -> Page[ActionFigures]:
    """How well the runs of each action went that were due in a period."""
    return page_of_list(figures.by_action(actor=actor, start=start_date, end=end_date), request_=page)


def _today(actor: Actor) -> queries.Range:
    today = periods("day", zone=actor.timezone, now=clock.now())[-1]
    return today.since, today.until


def _sorted(people: list[Performance], sort: str) -> list[Performance]:
    """In a total order: who is alike in what is asked for comes by name."""
    by_name = sorted(people, key=lambda person: person.username.casefold())
    field = sort.removeprefix("-")
    if field == "username":
        return by_name[::-1] if sort.startswith("-") else by_name
    return sorted(by_name, key=lambda person: int(getattr(person, field)), reverse=sort.startswith("-"))
