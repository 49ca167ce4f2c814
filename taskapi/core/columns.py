"""Column types and mixins that every model is built from."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.ids import new_id


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware time in UTC on both databases; SQLite keeps it as text, which sorts alike."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without an offset cannot be stored")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Ranked(sa.types.TypeDecorator[str]):
    """One of a few words, kept as its place among them (from 1), so that it sorts as they are given."""

    impl = sa.SmallInteger
    cache_ok = True

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else self.words.index(value) + 1

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.words[value - 1]

    def __repr__(self) -> str:
        return f"Ranked{self.words!r}"


# JSON that PostgreSQL keeps parsed, so that it can be indexed later.
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

PrimaryKey = Annotated[UUID, mapped_column(sa.Uuid, primary_key=True, default=new_id)]
ShortText = Annotated[str, mapped_column(sa.String(200))]
JsonObject = Annotated[dict[str, Any], mapped_column(Json)]


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index of the rows that fit a condition, on both databases."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


class HasId:
    """A UUIDv7 key made by the application, so that it is known before the insert."""

    id: Mapped[PrimaryKey]


class HasTimestamps:
    """When the row was made and last changed, by the application's clock."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now, onupdate=clock.now)
