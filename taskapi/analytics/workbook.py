"""Tables as a workbook for spreadsheet programs (Office Open XML, ECMA-376), written row by row.

Texts stay texts, whatever they begin with: nobody's title becomes a formula or a link.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO
from zoneinfo import ZoneInfo

from taskapi.analytics.rows import Value
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.local import WORKSHOP_PREFIX, disk_errors

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

# What a cell and a sheet hold (Excel's specifications and limits); the length counts UTF-16.
LONGEST_TEXT = 32_767
MOST_ROWS = 1_048_576
USUAL_WIDTH = 14


class Book:
    """A workbook that is being written; times appear as they are on the wall of a time zone."""

    def __init__(self, path: Path, zone: str) -> None:
        # Here, as few processes ever write one.
        from xlsxwriter import Workbook

        self._zone = ZoneInfo(zone)
        # Row by row through files in the same directory, so that no size needs memory.
        self._book = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        # Only where a part is larger than 4 GiB; without, that would be an error.
        self._book.use_zip64()
        self._head = self._book.add_format({"bold": True, "bg_color": "#E5E7EB", "bottom": 1})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._date = self._book.add_format({"num_format": "yyyy-mm-dd"})

    def sheet(self, name: str, header: Sequence[str], widths: Mapping[str, int] | None = None) -> "Sheet":
        """A new sheet whose header stays in sight and has filters."""
        return Sheet(self, self._book.add_worksheet(name), header, widths or {})

    def plain_sheet(self, name: str) -> "Sheet":
        """A new sheet for several small tables."""
        return Sheet(self, self._book.add_worksheet(name), (), {})

    def chart(self, sheet: "Sheet", *, title: str, rows: tuple[int, int], at: str) -> None:
        """Draw columns of the numbers in the second column of some rows, named in the first.

        Args:
            rows: the first and the last, from 0.
        """
        chart = self._book.add_chart({"type": "column"})
        first, last = rows
        name = sheet.name
        chart.add_series(
            {
                "name": title,
                "categories": [name, first, 0, last, 0],
                "values": [name, first, 1, last, 1],
                "data_labels": {"value": True},
            }
        )
        chart.set_title({"name": title})
        chart.set_legend({"none": True})
        sheet.insert(at, chart)

    def write(self, sheet: "Worksheet", row: int, column: int, value: Any, *, is_head: bool = False) -> None:
        """Put a value into a cell, by what it is."""
        if isinstance(value, str):
            sheet.write_string(row, column, _cut(value), self._head if is_head else None)
        elif isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, datetime):
            # Spreadsheets know no time zones.
            local = value.astimezone(self._zone).replace(tzinfo=None)
            sheet.write_datetime(row, column, local, self._time)
        elif isinstance(value, date):
            sheet.write_datetime(row, column, value, self._date)
        elif value is not None:
            sheet.write_number(row, column, value)

    def close(self) -> None:
        """
        Raises:
            OSError: the disk does not take it.
        """
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from error

    def let_go(self) -> None:
        """Close what was opened: a book that could not be finished leaves that to others."""
        for sheet in self._book.worksheets():
            sheet._opt_close()


class Sheet:
    """A sheet that is written from the top."""

    def __init__(
        self, book: Book, sheet: "Worksheet", header: Sequence[str], widths: Mapping[str, int]
    ) -> None:
        self._book, self._sheet, self._columns = book, sheet, len(header)
        self.row = 0
        if header:
            sheet.freeze_panes(1, 0)
            self.add(header, is_head=True)
        for column, name in enumerate(header or ("", "")):
            sheet.set_column(column, column, widths.get(name, USUAL_WIDTH))

    @property
    def name(self) -> str:
        return str(self._sheet.get_name())

    @property
    def is_full(self) -> bool:
        return self.row >= MOST_ROWS

    def add(self, values: Sequence[Value | date], *, is_head: bool = False) -> int:
        """Write the next row; its number, from 0."""
        for column, value in enumerate(values):
            self._book.write(self._sheet, self.row, column, value, is_head=is_head)
        self.row += 1
        return self.row - 1

    def insert(self, at: str, chart: Any) -> None:
        self._sheet.insert_chart(at, chart)

    def finish(self) -> None:
        """All rows are there: they can be filtered."""
        self._sheet.autofilter(0, 0, self.row - 1, self._columns - 1)


@contextmanager
def new_book(zone: str) -> Iterator[tuple[Book, Path]]:
    """A workbook, and where it lies once it is closed; gone after the block, however that ends.

    Raises:
        StorageFull, StorageUnavailable
    """
    with disk_errors(), TemporaryDirectory(prefix=WORKSHOP_PREFIX, dir=current_storage().incoming) as folder:
        path = Path(folder) / "export.xlsx"
        book = Book(path, zone)
        try:
            yield book, path
        finally:
            book.let_go()


def opened(path: Path) -> BinaryIO:
    """The file, which stays readable when its name is gone."""
    return path.open("rb")


def _cut(text: str) -> str:
    if len(text) * 2 <= LONGEST_TEXT:
        return text
    return text.encode("utf-16-le")[: LONGEST_TEXT * 2].decode("utf-16-le", errors="ignore")
