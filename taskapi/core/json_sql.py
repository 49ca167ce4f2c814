"""JSON that the database writes: objects of the names that a schema declares, without blanks.

Both databases write what ``Schema.dump`` and ``dump_json`` would, at a fraction of their price.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from taskapi.core.columns import Ranked, UtcDateTime
from taskapi.core.schemas import Schema


class JsonObject(FunctionElement[Any]):
    """An object of these members, in their order."""

    type = sa.JSON()
    inherit_cache = True

    def __init__(self, members: Mapping[str, sa.ColumnElement[Any]]) -> None:
        named: Iterator[tuple[sa.ColumnElement[Any], ...]]
        named = ((sa.literal_column(name), _as_json(value)) for name, value in members.items())
        super().__init__(*chain.from_iterable(named))


class JsonList(FunctionElement[Any]):
    """The list of what ``select`` finds in its only column, in its order."""

    type = sa.JSON()
    inherit_cache = True

    def __init__(self, select: sa.Select[Any]) -> None:
        (column,) = select.selected_columns
        rows = select.with_only_columns(column.label("item"), maintain_column_froms=True)
        super().__init__(rows.scalar_subquery())


class _JsonTime(FunctionElement[str]):
    """A time as ``format_time`` writes it; a session with PostgreSQL is in UTC."""

    type = sa.Text()
    inherit_cache = True


class _JsonId(FunctionElement[str]):
    """A UUID with its hyphens."""

    type = sa.Text()
    inherit_cache = True


class _JsonValue(FunctionElement[Any]):
    """What is JSON already."""

    type = sa.JSON()
    inherit_cache = True


class _JsonFlag(FunctionElement[Any]):
    """true or false."""

    type = sa.JSON()
    inherit_cache = True


class _JsonWord(FunctionElement[str]):
    """A word that is kept as its place among all."""

    type = sa.Text()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[str], words: tuple[str, ...]) -> None:
        cases = " ".join(f"WHEN {number} THEN '{word}'" for number, word in enumerate(words, 1))
        super().__init__(column, sa.literal_column(cases))


def object_of(
    schema: type[Schema], columns: sa.ColumnCollection[str, Any], **made: sa.ColumnElement[Any]
) -> JsonObject:
    """What ``schema`` makes of a row: each field is the column of its name, or what is ``made`` for it."""
    return JsonObject({name: made[name] if name in made else columns[name] for name in schema().dump_fields})


def or_null(condition: sa.ColumnElement[bool], value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value if the condition holds, else null."""
    return sa.case((condition, value))


def member(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    """A member of the object in a JSON column, as it stands there."""
    return sa.type_coerce(column.op("->")(sa.literal_column(f"'{name}'")), sa.JSON())


def text_member(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[str]:
    """The same of one that is a text, however its letters were escaped when it was stored."""
    return sa.type_coerce(column.op("->>")(sa.literal_column(f"'{name}'")), sa.Text())


def _as_json(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    kind = value.type
    if isinstance(kind, UtcDateTime):
        return _JsonTime(value)
    if isinstance(kind, sa.Uuid):
        return _JsonId(value)
    if isinstance(kind, Ranked):
        return _JsonWord(value, kind.words)
    if isinstance(kind, sa.JSON):
        return _JsonValue(value)
    return _JsonFlag(value) if isinstance(kind, sa.Boolean) else value


@compiles(JsonObject, "postgresql")
def _object_on_postgresql(element: JsonObject, compiler: SQLCompiler, **options: Any) -> str:
    members = ", ".join(f'{value} AS "{name}"' for name, value in _members(element, compiler, options))
    return f'(SELECT row_to_json("row") FROM (SELECT {members}) AS "row")'  # noqa: S608


@compiles(JsonObject, "sqlite")
def _object_on_sqlite(element: JsonObject, compiler: SQLCompiler, **options: Any) -> str:
    members = ", ".join(f"'{name}', {value}" for name, value in _members(element, compiler, options))
    return f"json_object({members})"


def _members(
    element: JsonObject, compiler: SQLCompiler, options: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    words = [compiler.process(clause, **options) for clause in element.clauses]
    return zip(words[::2], words[1::2], strict=True)


@compiles(JsonList, "postgresql")
def _list_on_postgresql(element: JsonList, compiler: SQLCompiler, **options: Any) -> str:
    rows = compiler.process(element.clauses, **options)
    # json_agg would part the elements with blanks.
    items = "coalesce('[' || string_agg(\"rows\".item::text, ',') || ']', '[]')::json"
    return f'(SELECT {items} FROM {rows} AS "rows")'  # noqa: S608


@compiles(JsonList, "sqlite")
def _list_on_sqlite(element: JsonList, compiler: SQLCompiler, **options: Any) -> str:
    rows = compiler.process(element.clauses, **options)
    return f"(SELECT json_group_array(json(item)) FROM {rows})"  # noqa: S608


@compiles(_JsonTime, "postgresql")
def _time_on_postgresql(element: _JsonTime, compiler: SQLCompiler, **options: Any) -> str:
    text = f"{compiler.process(element.clauses, **options)}::text"
    # Without its offset, "+00", and where it has a fraction with three digits of it, as rpad() cuts, too.
    padded = f"rpad(left({text}, -3), 23, '0')"
    return f"replace(CASE length({text}) WHEN 22 THEN left({text}, 19) ELSE {padded} END, ' ', 'T') || 'Z'"


@compiles(_JsonTime, "sqlite")
def _time_on_sqlite(element: _JsonTime, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    fraction = f"CASE substr({text}, 21) WHEN '000000' THEN '' ELSE substr({text}, 20, 4) END"
    return f"substr({text}, 1, 10) || 'T' || substr({text}, 12, 8) || {fraction} || 'Z'"


@compiles(_JsonId, "postgresql")
@compiles(_JsonValue, "postgresql")
@compiles(_JsonFlag, "postgresql")
def _as_it_is(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_JsonId, "sqlite")
def _id_on_sqlite(element: _JsonId, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({text}, {start}, {length})" for start, length in parts)


@compiles(_JsonValue, "sqlite")
def _value_on_sqlite(element: _JsonValue, compiler: SQLCompiler, **options: Any) -> str:
    return f"json({compiler.process(element.clauses, **options)})"


@compiles(_JsonFlag, "sqlite")
def _flag_on_sqlite(element: _JsonFlag, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"json(CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"


@compiles(_JsonWord)
def _word(element: _JsonWord, compiler: SQLCompiler, **options: Any) -> str:
    column, cases = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CASE {column} {cases} END"
