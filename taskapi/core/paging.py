"""Lists in pages: by number as people expect, and by cursor at constant cost at any depth.

A cursor is signed and carries the position, the sort, the filters and the size of a page, and belongs
to one list and one caller.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

import marshmallow as ma
import orjson
import sqlalchemy as sa
from flask import g, request
from marshmallow import fields, validate
from sqlalchemy.orm import Session

from taskapi.core.columns import UtcDateTime
from taskapi.core.errors import InvalidCursor, ValidationFailed
from taskapi.core.schemas import WITHOUT_NUL, QueryNumber, Schema
from taskapi.core.signing import SealBroken, sign, signed_content

T = TypeVar("T")
U = TypeVar("U")
MAX_PER_PAGE = 100
# OFFSET reads and throws away all rows before the page; beyond this use the cursor.
MAX_PAGE = 100_000
PURPOSE = "cursor"
# A cursor of so many bytes is compressed.
LONG = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which page of a list is wanted; ``cursor`` wins over ``page``."""

    page: int = 1
    per_page: int = 20
    sort: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page; ``page`` and ``total`` are unknown when a cursor asked for it."""

    items: Sequence[T]
    per_page: int
    page: int | None = None
    total: int | None = None
    next_cursor: str | None = None

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        """The same page of what ``function`` makes of each item."""
        return self.with_items([function(item) for item in self.items])

    def with_items(self, items: Sequence[U]) -> "Page[U]":
        """The same page of what stands for its items, in their order."""
        return Page(
            items=items,
            per_page=self.per_page,
            page=self.page,
            total=self.total,
            next_cursor=self.next_cursor,
        )


def whole_page(items: Sequence[T]) -> Page[T]:
    """A list that is always short, as its only page."""
    return Page(items=items, page=1, per_page=max(len(items), 1), total=len(items))


def page_of_list(items: Sequence[T], *, request_: PageRequest) -> Page[T]:
    """One page of a list that is at hand; its cursor is a position in it."""
    by_number = request_.cursor is None
    start = (request_.page - 1) * request_.per_page if by_number else read_cursor(str(request_.cursor))["v"]
    end = start + request_.per_page
    return Page(
        items=items[start:end],
        per_page=request_.per_page,
        page=request_.page if by_number else None,
        total=len(items) if by_number else None,
        next_cursor=_write_cursor(end, None) if end < len(items) else None,
    )


class PageQuery(Schema):
    """Query parameters of every list; subclasses add filters and say what can be sorted by."""

    page = QueryNumber(minimum=1, maximum=MAX_PAGE, load_default=1)
    per_page = QueryNumber(minimum=1, maximum=MAX_PER_PAGE, load_default=20)
    cursor = fields.String(
        validate=validate.Length(max=4000),
        metadata={**WITHOUT_NUL, "description": "Goes on from `next_cursor`; `page` does not count then"},
    )

    @ma.post_load
    def _gather(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        names = ("page", "per_page", "cursor", "sort")
        return {"page": PageRequest(**{name: data.pop(name) for name in names if name in data}), **data}


def sort_field(*names: str) -> fields.String:
    """The ``sort`` parameter for these fields, each also descending with a leading minus."""
    return fields.String(validate=validate.OneOf([f"{sign}{name}" for name in names for sign in ("", "-")]))


@cache
def page_schema(item: type[Schema]) -> type[Schema]:
    """The schema of a page of ``item``."""
    name = f"{item.__name__.removesuffix('Schema')}Page"
    return Schema.from_dict(  # type: ignore[return-value]
        {
            "items": fields.List(fields.Nested(item), required=True),
            "page": fields.Integer(required=True, allow_none=True),
            "per_page": fields.Integer(required=True),
            "total": fields.Integer(
                required=True, allow_none=True, metadata={"description": "null where it is not known"}
            ),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=name,
    )


def fetch_page(
    session: Session | sa.Connection,
    statement: sa.Select[T],
    *,
    request_: PageRequest,
    sorts: Mapping[str, sa.ColumnElement[Any] | Any],
    default_sort: str,
    key: Any,
    count: Callable[[], int | None] | None = None,
) -> Page[T]:
    """One page of ``statement`` in a total order: the sort column, then ``key``.

    Args:
        sorts: what each word of ``sort`` stands for; expressions must never be NULL.
        key: the unique column that breaks ties.
        count: says how many there are, or None if that is unknown, where counting all would be slow.
    """
    sort = request_.sort or default_sort
    column = sorts[sort.removeprefix("-")]
    descending = sort.startswith("-")
    ordered = statement.order_by(*((column.desc(), key.desc()) if descending else (column.asc(), key.asc())))
    position = ordered.add_columns(
        sa.type_coerce(column, column.type).label("sort_value"), key.label("sort_key")
    )
    if request_.cursor is not None:
        after = _read_position(request_.cursor, column)
        here = sa.tuple_(column, key)
        position = position.where(here < sa.tuple_(*after) if descending else here > sa.tuple_(*after))
    else:
        position = position.offset((request_.page - 1) * request_.per_page)
    rows = session.execute(position.limit(request_.per_page + 1)).all()
    total = None
    if request_.cursor is None:
        total = count() if count else count_up_to(session, statement)
    return page_of_rows(rows, request_=request_, total=total)


def page_of_rows(rows: Sequence[Any], *, request_: PageRequest, total: int | None) -> Page[Any]:
    """The page whose rows these are, of item, sort value and key each; one more says that there is a next."""
    next_cursor = None
    if len(rows) > request_.per_page:
        _, value, key, *_ = rows[request_.per_page - 1]
        next_cursor = _write_cursor(value, key)
    by_number = request_.cursor is None
    return Page(
        items=[row[0] for row in rows[: request_.per_page]],
        per_page=request_.per_page,
        page=request_.page if by_number else None,
        total=total if by_number else None,
        next_cursor=next_cursor,
    )


def count_up_to(session: Session | sa.Connection, statement: sa.Select[Any], limit: int | None = None) -> int:
    """How many rows ``statement`` finds; it stops looking after ``limit``."""
    rows: sa.Select[Any]
    rows = statement.order_by(None).with_only_columns(sa.literal_column("1"), maintain_column_froms=True)
    found = rows.limit(limit).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _scope() -> str:
    actor = g.get("actor")
    return f"{request.endpoint} {actor.user_id if actor else ''}"


def _write_cursor(value: Any, key: UUID | str | None) -> str:
    query = {name: texts for name, texts in query_lists().items() if name not in ("page", "cursor")}
    text = value.isoformat() if isinstance(value, datetime) else value
    text = str(text) if isinstance(text, UUID) else text
    content = orjson.dumps({"l": _scope(), "q": query, "v": text, "k": str(key)})
    # It comes back in a URL, beside nothing else, but takes more than the filters did.
    return sign(zlib.compress(content) if len(content) > LONG else content, PURPOSE)


def read_cursor(token: str) -> dict[str, Any]:
    """What a cursor of this list and caller holds.

    Raises:
        InvalidCursor: it was altered, or is another list's or caller's.
    """
    try:
        data = signed_content(token, PURPOSE)
    except SealBroken as error:
        raise InvalidCursor("The cursor is not one that this API gave out.") from error
    content: dict[str, Any] = orjson.loads(data if data.startswith(b"{") else zlib.decompress(data))
    if content["l"] != _scope():
        raise InvalidCursor("The cursor belongs to another list or caller.")
    return content


def _read_position(token: str, column: Any) -> tuple[Any, Any]:
    value, key = position_in(token, column.type)
    return sa.bindparam(None, value, column.type, unique=True), sa.literal(key, sa.Uuid())


def position_in(token: str, type_: sa.types.TypeEngine[Any]) -> tuple[Any, UUID]:
    """After which sort value, of this type, and key a cursor goes on."""
    content = read_cursor(token)
    value = content["v"]
    if isinstance(type_, UtcDateTime):
        value = datetime.fromisoformat(value)
    elif isinstance(type_, sa.Uuid):
        value = UUID(value)
    return value, UUID(content["k"])


def query_lists() -> dict[str, list[str]]:
    """The query as name → values; a cursor brings back sort, filters and size of page it was made with.

    Raises:
        InvalidCursor: the request names a filter that differs from the cursor's.
    """
    given = {name: values for name, values in request.args.lists()}  # noqa: C416 - a plain dict
    if "cursor" not in given:
        return given
    if len(given["cursor"]) > 1:
        raise ValidationFailed({"cursor": ["Send it once."]})
    stored: dict[str, list[str]] = read_cursor(given["cursor"][0])["q"]
    for name, values in given.items():
        if name not in ("cursor", "per_page", "page") and stored.get(name) != values:
            raise InvalidCursor(f"The cursor was made with another '{name}'.")
    return {**stored, **given}
