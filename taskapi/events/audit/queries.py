"""Looking into the audit log: each filter has an index, in whose order the events are listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.paging import Page, PageRequest, count_up_to, fetch_page, read_cursor

Conditions = list[sa.ColumnElement[bool]]
Attribute = InstrumentedAttribute[str]
# Counting them all would read the whole log.
MOST_COUNTED = 10_000
# Ids tell the time of the machine that wrote them, which may be a little off.
CLOCKS_DIFFER_BY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are wanted; what is left out does not matter.

    Attributes:
        types: patterns such as ``task.*``, one of which must fit.
        by_system: what nobody in particular did.
        created_after, created_before: the first moment, and the one after the last.
    """

    types: Sequence[str] = ()
    actor_id: UUID | None = None
    by_system: bool = False
    subject_type: str | None = None
    subject_id: UUID | None = None
    address: str | None = None
    request_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def page_of_events(wanted: AuditFilter, page: PageRequest) -> Page[Event]:
    """A page, in the order of the ids, which is that of time."""
    types, fitting = _known_types(wanted.types), _conditions(wanted)
    return fetch_page(
        session(),
        _narrowed(wanted, types, fitting, page),
        request_=page,
        sorts={"created_at": Event.id},
        default_sort="-created_at",
        key=Event.id,
        count=lambda: _count(_of_types(types).where(*fitting)),
    )


def newest_events(wanted: AuditFilter, limit: int) -> Sequence[Event]:
    page = PageRequest(per_page=limit)
    statement = _narrowed(wanted, _known_types(wanted.types), _conditions(wanted), page)
    return session().scalars(statement.order_by(Event.id.desc()).limit(limit)).all()


def placed_events(wanted: AuditFilter, *, after: int, limit: int) -> Sequence[Event]:
    """The next events after a position, in the order of the chain."""
    statement = _of_types(_known_types(wanted.types)).where(*_conditions(wanted), Event.position > after)
    return session().scalars(statement.order_by(Event.position).limit(limit)).all()


def _conditions(wanted: AuditFilter) -> Conditions:
    """All but the types."""
    equal = {
        Event.actor_id: wanted.actor_id,
        Event.address: wanted.address,
        Event.request_id: wanted.request_id,
    }
    found: Conditions = [column == value for column, value in equal.items() if value]
    found += _subject_conditions(wanted)
    if wanted.by_system:
        found.append(Event.actor_id.is_(None))
    if wanted.created_after is not None:
        found += [
            Event.created_at >= wanted.created_after,
            Event.id >= _first_id(wanted.created_after - CLOCKS_DIFFER_BY),
        ]
    if wanted.created_before is not None:
        found += [
            Event.created_at < wanted.created_before,
            Event.id < _first_id(wanted.created_before + CLOCKS_DIFFER_BY),
        ]
    return found


def _subject_conditions(wanted: AuditFilter) -> Conditions:
    kind = wanted.subject_type
    if wanted.subject_id is not None:
        # The index begins with the kind.
        kinds = [kind] if kind else _distinct(Event.subject_type)
        return [Event.subject_type.in_(kinds), Event.subject_id == wanted.subject_id]
    if kind is None:
        return []
    of_kind = Event.subject_type == kind
    if count_up_to(session(), sa.select(Event.id).where(of_kind), MOST_COUNTED + 1) <= MOST_COUNTED:
        return [of_kind]
    # Of so many the newest are soon found in the order of the ids: SQLite would sort all that its index has.
    return [sa.func.coalesce(Event.subject_type, "") == kind]


def _first_id(moment: datetime) -> UUID:
    """The least UUIDv7 of that millisecond (RFC 9562, 5.7)."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def _narrowed(
    wanted: AuditFilter, types: list[str] | None, fitting: Conditions, page: PageRequest
) -> sa.Select[Event]:
    """The events that fit, or those of them that the page may show."""
    has_index = any((wanted.actor_id, wanted.subject_id, wanted.address, wanted.request_id))
    if types is None or len(types) < 2 or has_index:
        return _of_types(types).where(*fitting)
    return _first_of_each(types, fitting, page)


def _of_types(types: list[str] | None) -> sa.Select[Event]:
    statement = sa.select(Event)
    return statement if types is None else statement.where(Event.type.in_(types))


def _first_of_each(types: list[str], fitting: Conditions, page: PageRequest) -> sa.Select[Event]:
    """The same page, found among the first events of each type: all of them would have to be sorted."""
    descending = (page.sort or "-").startswith("-")
    limit, beyond = page.page * page.per_page + 1, []
    if page.cursor is not None:
        last = UUID(read_cursor(page.cursor)["k"])
        limit, beyond = page.per_page + 1, [Event.id < last if descending else Event.id > last]
    order = Event.id.desc() if descending else Event.id.asc()
    firsts = []
    for name in types:
        of_type = sa.select(Event.id).where(Event.type == name, *fitting, *beyond)
        firsts.append(sa.select(of_type.order_by(order).limit(limit).subquery().c.id))
    return sa.select(Event).where(Event.id.in_(sa.union_all(*firsts)))


def _count(statement: sa.Select[Event]) -> int | None:
    found = count_up_to(session(), statement, MOST_COUNTED + 1)
    return found if found <= MOST_COUNTED else None


def _known_types(patterns: Sequence[str]) -> list[str] | None:
    """The types that events have and that fit one of the patterns; None if any will do."""
    if not patterns:
        return None
    known = _distinct(Event.type)
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _distinct(column: Attribute) -> Sequence[str]:
    """The values of a column: from each to the next by its index, however many events have it."""
    values = sa.select(sa.func.min(column).label("value")).cte("known", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > values.c.value).scalar_subquery()
    values = values.union_all(sa.select(following).where(values.c.value.is_not(None)))
    return session().scalars(sa.select(values.c.value).where(values.c.value.is_not(None))).all()
