"""Makes of each record of a table what a task shall be, or says why it cannot be one."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma

from taskapi.core.cells import plain
from taskapi.core.schemas import flatten_messages
from taskapi.tasks.importing import values
from taskapi.tasks.importing.columns import Columns
from taskapi.tasks.importing.reading import Record
from taskapi.tasks.importing.values import WrongValue
from taskapi.tasks.schemas import TaskFieldsSchema

Note = dict[str, Any]

TEXTS = TaskFieldsSchema(only=("title", "description", "external_id", "city", "tags"))
# What an empty cell says of these fields; it says nothing of the others.
NOTHING: dict[str, Any] = {"description": "", "tags": [], "due_date": None, "city": None}
READERS: dict[str, Callable[[str], Any]] = {
    "status": values.status,
    "completed": values.completed,
    "priority": values.priority,
    "notify_overdue": values.flag,
    "tags": values.tags,
    "external_id": str,
    "city": str,
}
BREAKS = re.compile(r"[\t\n\v\f\r]+")
# Rows of Todoist that are no tasks.
OTHER_KINDS = {
    "section": "This is a section, no task: it is left out.",
    "note": "This is a comment, no task: it is left out.",
    "meta": "This is a setting, no task: it is left out.",
}
# When something happened, which is worth keeping and not worth losing the row.
PAST = ("created_at", "completed_at")
BATCH_ROWS = 200


@dataclass(slots=True)
class Row:
    """What a row of the file says.

    Attributes:
        number: as a spreadsheet shows it.
        fields: of the task, as far as they are right.
        person: who is to do it, as the file calls them; None if it names nobody.
        is_task: else nothing is made of it, and a warning tells what it is.
        errors, warnings: ``{row, field, message}``; with an error, no task is made or changed.
    """

    number: int
    fields: dict[str, Any] = field(default_factory=dict)
    person: str | None = None
    errors: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    is_task: bool = True

    @property
    def external_id(self) -> str | None:
        found: str | None = self.fields.get("external_id")
        return found

    def copy(self) -> "Row":
        return replace(self, fields=dict(self.fields), errors=list(self.errors), warnings=list(self.warnings))


class RowReader:
    """Reads the rows below a header, for somebody in a time zone."""

    def __init__(self, columns: Columns, zone: ZoneInfo) -> None:
        self._columns, self._zone = columns, zone

    def read(self, record: Record) -> Row:
        row = Row(record.number)
        cells, expected = record.cells, len(self._columns.header)
        # Some programs write more separators than there are columns.
        if len(cells) < expected or any(cells[expected:]):
            row.errors.append(self.note(row, None, f"The row has {len(cells)} cells, the header {expected}."))
            return row
        kind = (self._columns.cell(cells, "kind") or "").strip().casefold()
        if kind in OTHER_KINDS:
            row.is_task = False
            row.warnings.append(self.note(row, "kind", OTHER_KINDS[kind]))
            return row
        for name in self._columns.of_tasks:
            self._read_cell(row, name, plain(self._columns.cell(cells, name) or ""))
        if "completed" in row.fields:
            row.fields["status"] = row.fields.pop("completed")
        if row.fields.get("status") != "done":
            row.fields.pop("completed_at", None)
        self._check_texts(row)
        return row

    def external_id_of(self, record: Record) -> str | None:
        """The outside id alone, for who has read the rest before."""
        if len(record.cells) < len(self._columns.header):
            return None
        return plain(self._columns.cell(record.cells, "external_id") or "").strip() or None

    def note(self, row: Row, name: str | None, message: str) -> Note:
        """Something to tell of a field, under the name that the file gives it."""
        return {"row": row.number, "field": name and self._columns.name_of(name), "message": message}

    def _read_cell(self, row: Row, name: str, raw: str) -> None:
        cell = raw.strip()
        if name == "assignee":
            row.person = cell or None
        elif not cell:
            self._read_nothing(row, name)
        else:
            try:
                value = self._value(name, cell, raw)
            except WrongValue as wrong:
                notes = row.warnings if name in PAST else row.errors
                notes.append(self.note(row, name, str(wrong)))
                return
            # An overdue task is one to do whose due date is past.
            if value is not None:
                row.fields[name] = value

    def _read_nothing(self, row: Row, name: str) -> None:
        if name == "title":
            row.errors.append(self.note(row, name, "The title is missing."))
        elif name in NOTHING:
            row.fields[name] = NOTHING[name]

    def _value(self, name: str, cell: str, raw: str) -> Any:
        if name == "title":
            # A title is a single line.
            return BREAKS.sub(" ", cell)
        if name == "description":
            return raw
        if name == "due_date":
            return values.due_date(cell, self._zone)
        if name in PAST:
            return values.past_time(cell, self._zone)
        return READERS[name](cell)

    def _check_texts(self, row: Row) -> None:
        texts = {name: row.fields[name] for name in TEXTS.fields if name in row.fields}
        try:
            row.fields.update(TEXTS.load(texts))
        except ma.ValidationError as error:
            for path, messages in flatten_messages(error.messages).items():
                row.errors.append(self.note(row, path.partition(".")[0], " ".join(messages)))


def in_batches(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    """The rows in portions for a transaction each, in none of which an outside id comes twice."""
    batch: list[Row] = []
    seen: set[str] = set()
    for row in rows:
        if len(batch) == BATCH_ROWS or row.external_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append(row)
        seen |= {row.external_id} if row.external_id else set()
    if batch:
        yield batch
