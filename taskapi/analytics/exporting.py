"""Exports: tasks with all columns, which the import reads again, and figures."""

from collections import Counter
from collections.abc import Generator, Iterable
from datetime import datetime
from typing import Any, BinaryIO

from taskapi.analytics import service
from taskapi.analytics.csv_text import csv_pieces
from taskapi.analytics.rows import Row, task_rows
from taskapi.analytics.workbook import Book, Sheet, new_book, opened
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.tasks.models import OPEN_STATUSES, PRIORITIES, STATUSES
from taskapi.tasks.tabular import COLUMNS

WIDTHS = {
    "id": 38,
    "title": 50,
    "description": 60,
    "tags": 24,
    "external_id": 20,
    "city": 18,
    **dict.fromkeys(("due_date", "created_at", "updated_at", "completed_at"), 20),
}
MEASURES = ("assigned", "completed", "rate", "median_seconds_to_done")
GROUPS = ("by_status", "by_priority")
STATUS, PRIORITY, DUE_DATE = (COLUMNS.index(name) for name in ("status", "priority", "due_date"))


class Summary:
    """What the second sheet tells of the rows of the first."""

    def __init__(self) -> None:
        self.by_status: Counter[Any] = Counter()
        self.by_priority: Counter[Any] = Counter()
        self.overdue = 0
        self._now = clock.now()

    def add(self, row: Row) -> None:
        self.by_status[row[STATUS]] += 1
        self.by_priority[row[PRIORITY]] += 1
        due = row[DUE_DATE]
        self.overdue += isinstance(due, datetime) and due < self._now and row[STATUS] in OPEN_STATUSES

    def figures(self) -> dict[str, Any]:
        """In the shape of ``service.overview``."""
        return {
            "total": self.by_status.total(),
            "overdue": self.overdue,
            "by_status": {status: self.by_status[status] for status in STATUSES},
            "by_priority": {priority: self.by_priority[priority] for priority in PRIORITIES},
        }


def csv_of_tasks(*, actor: Actor, **filters: Any) -> Generator[bytes]:
    """The tasks as CSV, in pieces that are read when they are asked for; see ``task_rows``."""
    return csv_pieces(COLUMNS, task_rows(actor=actor, **filters))


def xlsx_of_tasks(*, actor: Actor, **filters: Any) -> BinaryIO:
    """The tasks as a workbook, in a file that has no name any more: closing it removes it.

    Raises:
        StorageFull, StorageUnavailable
    """
    with new_book(actor.timezone) as (book, path):
        summary = Summary()
        first = book.sheet("Tasks", COLUMNS, WIDTHS)
        second = book.plain_sheet("Overview")
        _write_tasks(book, first, summary, task_rows(actor=actor, **filters))
        write_overview(book, second, summary.figures())
        book.close()
        return opened(path)


def csv_of_figures(*, actor: Actor, interval: str = "day", **dates: Any) -> Generator[bytes]:
    """All figures as CSV, one in each row, so that any program can pick what it wants."""
    figures = service.overview(actor=actor)
    rows: list[Row] = [
        ["overview", name, "", value] for name, value in figures.items() if isinstance(value, int)
    ]
    rows += [["overview", name, word, figures[name][word]] for name in GROUPS for word in figures[name]]
    for person in service.performance(actor=actor, **dates):
        rows += [["performance", name, person.username, getattr(person, name)] for name in MEASURES]
    for item in service.list_trends(actor=actor, interval=interval, **dates).items:
        rows += [["trends", name, str(item["period"]), item[name]] for name in ("created", "completed")]
    return csv_pieces(("table", "figure", "of", "value"), [rows])


def xlsx_of_figures(*, actor: Actor, interval: str = "day", **dates: Any) -> BinaryIO:
    """All figures as a workbook with a sheet for each table; otherwise as ``xlsx_of_tasks``."""
    with new_book(actor.timezone) as (book, path):
        write_overview(book, book.plain_sheet("Overview"), service.overview(actor=actor))
        people = book.sheet("Performance", ("username", *MEASURES))
        for person in service.performance(actor=actor, **dates):
            people.add([person.username, *(getattr(person, name) for name in MEASURES)])
        people.finish()
        trends = book.sheet("Trends", ("period", "created", "completed"))
        for item in service.list_trends(actor=actor, interval=interval, **dates).items:
            trends.add([item["period"], item["created"], item["completed"]])
        trends.finish()
        book.close()
        return opened(path)


def _write_tasks(book: Book, sheet: Sheet, summary: Summary, batches: Iterable[list[Row]]) -> None:
    number = 1
    for batch in batches:
        for row in batch:
            if sheet.is_full:
                number += 1
                sheet.finish()
                sheet = book.sheet(f"Tasks {number}", COLUMNS, WIDTHS)
            sheet.add(row)
            summary.add(row)
    sheet.finish()


def write_overview(book: Book, sheet: Sheet, figures: dict[str, Any]) -> None:
    """Write the figures of an overview, and draw those by status."""
    for name, value in figures.items():
        if not isinstance(value, dict):
            sheet.add([name, value])
    for name in GROUPS:
        sheet.add([])
        sheet.add([name, "tasks"], is_head=True)
        rows = [sheet.add([word, count]) for word, count in figures[name].items()]
        if name == "by_status":
            book.chart(sheet, title="Tasks by status", rows=(rows[0], rows[-1]), at="D2")
