"""Reads tables as programs write them (CSV, RFC 4180, and what differs from it), a record at a time."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from taskapi.tasks.importing.columns import count_known
from taskapi.tasks.importing.errors import InvalidImport

# What a table is judged by before it is read.
HEAD_BYTES = 65_536
MAX_FIELD, MAX_RECORD = 200_000, 1_000_000
UTF_8, WESTERN = "utf-8", "cp1252"
DELIMITERS = (",", ";", "\t", "|")
# By such a first line Excel is told of the delimiter; it does not show it, nor count it.
SEPARATOR_LINES = {"sep=", *(f"sep={delimiter}" for delimiter in DELIMITERS)}
# Records that show how well a delimiter fits.
SAMPLE_RECORDS = 20
BINARY = (
    (re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0"), "This is an Excel file, or an archive: save it as CSV."),
    (re.compile(rb"%PDF-"), "This is a PDF document, no table: save it as CSV."),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|\x1f\x8b"), "This is a picture or an archive, no table."),
)
# Control characters, which no text has many of; not those that part lines and fields.
CONTROLS = bytes({*range(32)} - {*b"\t\n\v\f\r\x1a\x1b"})
NO_TEXT = "This is no text: save the table as CSV."
UNREADABLE = "The text is neither UTF-8 nor UTF-16 nor Windows-1252: save the table as CSV in UTF-8."
# A mark at the beginning says how a text is encoded (Unicode 23.8).
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written."""

    encoding: str
    delimiter: str


@dataclass(frozen=True, slots=True)
class Record:
    """A row as a spreadsheet numbers it: the first of the file is 1, blank ones count."""

    number: int
    cells: list[str]


def check_head(head: bytes) -> None:
    """Refuse at once what is no table.

    Args:
        head: the first ``HEAD_BYTES`` of it.

    Raises:
        InvalidImport
    """
    if not head.strip():
        raise InvalidImport("The file is empty.")
    for signature, message in BINARY:
        if signature.match(head):
            raise InvalidImport(message)
    has_mark = any(head.startswith(mark) for mark, _encoding in MARKS)
    controls = len(head) - len(head.translate(None, CONTROLS))
    # A stray one is the fault of its row.
    if not has_mark and controls > max(8, len(head) // 20):
        raise InvalidImport(NO_TEXT)


def find_dialect(file: BinaryIO) -> Dialect:
    """How the table in a file is written; all of it is read once.

    Raises:
        InvalidImport: it cannot be decoded.
    """
    file.seek(0)
    encoding = _find_encoding(file)
    file.seek(0)
    return dialect_of_head(file.read(HEAD_BYTES), encoding)


def dialect_of_head(head: bytes, encoding: str | None = None) -> Dialect:
    """How a table that begins so seems to be written.

    Raises:
        InvalidImport: it cannot be decoded.
    """
    encoding = encoding or _find_encoding(io.BytesIO(head), is_cut=len(head) == HEAD_BYTES)
    text = codecs.getincrementaldecoder(encoding)().decode(head)
    best = max(DELIMITERS, key=lambda delimiter: _fit(text, delimiter))
    return Dialect(encoding, best)


def header_of(head: bytes, dialect: Dialect) -> list[str]:
    """The names of the columns of a table that begins so; none if it has no row.

    Raises:
        InvalidImport
    """
    text = codecs.getincrementaldecoder(dialect.encoding)().decode(head)
    header = next(_records(io.StringIO(text, newline=""), dialect.delimiter), None)
    return header.cells if header else []


@contextmanager
def reading(file: BinaryIO, dialect: Dialect) -> Iterator[Iterator[Record]]:
    """The records of a file from its beginning, without blank ones; the file stays open.

    Raises:
        InvalidImport: it breaks what the format allows, so that nothing after it is sure.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=dialect.encoding, newline="")
    try:
        yield _records(text, dialect.delimiter)
    except UnicodeDecodeError as error:
        raise InvalidImport(UNREADABLE) from error
    finally:
        text.detach()


def _records(text: io.TextIOBase, delimiter: str) -> Iterator[Record]:
    # The limit is one for the whole process; nothing else in it reads CSV.
    csv.field_size_limit(MAX_FIELD)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    number = 0
    while True:
        number, lines.room = number + 1, MAX_RECORD
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidImport(
                f"Row {number} has a field of more than {MAX_FIELD:,} characters: is a quote not closed?"
            ) from error
        if lines.are_over:
            # Only within quotes does a record ask for a line after the last.
            raise InvalidImport(f"Row {number} has a quote that is not closed: the file seems to be cut off.")
        if number == 1 and "".join(cells).casefold() in SEPARATOR_LINES:
            number = 0
            continue
        if any(cell.strip() for cell in cells):
            yield Record(number, cells)


class _Lines:
    """Lines of a text, of which one record takes no more than there is room for."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self.room = MAX_RECORD
        self.are_over = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(self.room + 1)
        self.room -= len(line)
        if not line:
            self.are_over = True
            raise StopIteration
        if self.room < 0:
            raise csv.Error
        return line


def _find_encoding(file: BinaryIO, *, is_cut: bool = False) -> str:
    """By the mark at the beginning, or by trying.

    Raises:
        InvalidImport
    """
    start = file.read(4)
    marked = next((encoding for mark, encoding in MARKS if start.startswith(mark)), None)
    for encoding in (marked,) if marked else (UTF_8, WESTERN):
        file.seek(0)
        if _decodes(file, encoding, is_cut=is_cut):
            return encoding
    raise InvalidImport(UNREADABLE)


def _decodes(file: BinaryIO, encoding: str, *, is_cut: bool) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(HEAD_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", not is_cut)
    except UnicodeDecodeError:
        return False
    return True


def _fit(text: str, delimiter: str) -> tuple[int, int, int]:
    """How well a delimiter parts the text: known columns, rows as long as the header, columns."""
    records: list[list[str]] = []
    try:
        for record in _records(io.StringIO(text, newline=""), delimiter):
            records.append(record.cells)
            if len(records) > SAMPLE_RECORDS:
                break
    except InvalidImport:
        # What is wrong is said when the table is read.
        pass
    if not records:
        return 0, 0, 0
    header, *rows = records
    return count_known(header), sum(len(row) == len(header) for row in rows), len(header)
