"""Pages of tasks by when they were made, of somebody's own: what most people ask for most of the time.

One statement walks along the indexes of whom tasks were made by and given to, and counts them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.columns import UtcDateTime
from taskapi.core.paging import Page, PageRequest, page_of_rows, position_in
from taskapi.core.reading import read
from taskapi.core.visibility import sees_everything
from taskapi.tasks import queries
from taskapi.tasks.models import Task
from taskapi.tasks.written import TASKS, row_of_list

BY_TIME = ("created_at", "-created_at")
# Of any other filter so few tasks may be left that walking along all of somebody's takes longest.
WALKED = {"status": Task.status, "priority": Task.priority}


def page_of_tasks(actor: Actor, page: PageRequest, *, deleted: bool = False, **filters: Any) -> Page[str]:
    """One page of the tasks that the actor sees, as JSON; see ``queries.page_of_tasks``."""
    sort = page.sort or queries.DEFAULT_SORT
    is_walked = filters.keys() <= WALKED.keys() and sort in BY_TIME
    if sees_everything(actor) or deleted or not is_walked:
        shown = row_of_list(TASKS)
        return queries.page_of_tasks(actor, page, shown=shown, deleted=deleted, **filters)
    return _page_of_own(actor.user_id, page, sort == "-created_at", filters)


def _page_of_own(me: UUID, page: PageRequest, newest_first: bool, filters: dict[str, Any]) -> Page[str]:
    words = {name: sorted(set(given)) for name, given in sorted(filters.items())}
    wanted = {f"{name}_{place}": word for name, some in words.items() for place, word in enumerate(some)}
    numbers = tuple((name, len(some)) for name, some in words.items())
    skipped, more = (page.page - 1) * page.per_page, page.per_page + 1
    if page.cursor is not None:
        since, key = position_in(page.cursor, Task.created_at.type)
        place: dict[str, Any] = {"since": since, "key": key}
        skipped = 0
    else:
        place = {}
    asked = {"me": me, "skipped": skipped, "more": more, "reached": skipped + more, **wanted, **place}
    rows = read(_walk, newest_first, bool(place), numbers, **asked)
    total = rows[0][-1] if rows else 0
    if not rows and skipped:
        ((total,),) = read(_count, numbers, me=me, **wanted)
    return page_of_rows(_positioned(rows, page.per_page), request_=page, total=total)


def _positioned(rows: Sequence[tuple[Any, ...]], last: int) -> list[tuple[Any, ...]]:
    """The rows; that with which a page ends, of so many, with its position, which only a cursor tells."""
    found = [tuple(row) for row in rows]
    if len(found) >= last:
        item, since, key, _ = found[last - 1]
        # SQLite keeps times in UTC without saying so.
        found[last - 1] = item, datetime.fromisoformat(since).replace(tzinfo=UTC), UUID(key)
    return found


def _walk(newest_first: bool, goes_on: bool, numbers: tuple[tuple[str, int], ...]) -> sa.Select[Any]:
    """The rows of a page, and the next one, each with how many tasks there are unless a cursor goes on."""
    parts = [_part(mine, newest_first, goes_on, numbers) for mine in _made_or_given()]
    page = sa.union_all(*(sa.select(part) for part in parts)).subquery()
    total: sa.ColumnElement[Any] = sa.null() if goes_on else _total(numbers)
    position = (sa.cast(page.c.created_at, sa.Text).label("since"), sa.cast(page.c.id, sa.Text).label("key"))
    statement = sa.select(row_of_list(page.c).label("item"), *position, total.label("total"))
    # As parameters: to a number that it knows, PostgreSQL would not fit the plan it keeps.
    statement = statement.limit(_number("more")).offset(_number("skipped"))
    return statement.order_by(*_order(page.c, newest_first))


def _count(numbers: tuple[tuple[str, int], ...]) -> sa.Select[Any]:
    return sa.select(_total(numbers).label("total"))


def _part(
    mine: sa.ColumnElement[bool], newest_first: bool, goes_on: bool, numbers: tuple[tuple[str, int], ...]
) -> sa.Subquery:
    """As many rows as are needed at most, along an index."""
    statement = sa.select(Task).where(mine, *_conditions(numbers))
    if goes_on:
        here = sa.tuple_(Task.created_at, Task.id)
        there = sa.tuple_(sa.bindparam("since", type_=UtcDateTime()), sa.bindparam("key", type_=sa.Uuid()))
        statement = statement.where(here < there if newest_first else here > there)
    return statement.order_by(*_order(TASKS, newest_first)).limit(_number("reached")).subquery()


def _total(numbers: tuple[tuple[str, int], ...]) -> sa.ColumnElement[int]:
    made, given = (
        sa.select(sa.func.count()).select_from(Task).where(mine, *_conditions(numbers)).scalar_subquery()
        for mine in _made_or_given()
    )
    return made + given


def _made_or_given() -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    me = sa.bindparam("me", type_=sa.Uuid())
    # In the words of the indexes of what others have given.
    return Task.creator_id == me, sa.and_(Task.assignee_id == me, Task.creator_id != Task.assignee_id)


def _conditions(numbers: tuple[tuple[str, int], ...]) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [Task.deleted_at.is_(None)]
    for name, number in numbers:
        column = WALKED[name]
        words = [sa.bindparam(f"{name}_{place}", type_=column.type) for place in range(number)]
        # An index goes on being in order behind one word, but not behind several.
        found.append(column == words[0] if number == 1 else column.in_(words))
    return found


def _order(columns: sa.ColumnCollection[str, Any], newest_first: bool) -> tuple[Any, Any]:
    by = (columns.created_at, columns.id)
    return (by[0].desc(), by[1].desc()) if newest_first else (by[0].asc(), by[1].asc())


def _number(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.Integer())
