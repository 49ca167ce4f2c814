"""Tables as CSV (RFC 4180), in pieces: UTF-8 with a mark, so that Excel knows it is."""

import csv
import io
from collections.abc import Generator, Iterable, Sequence
from datetime import datetime

from taskapi.analytics.rows import Value
from taskapi.core.cells import inert
from taskapi.core.json import format_time

MARK = "\ufeff"


def csv_pieces(header: Sequence[str], batches: Iterable[Sequence[Sequence[Value]]]) -> Generator[bytes]:
    """The header and the rows, a piece for each batch; times in UTC (RFC 3339)."""
    beginning = [header]
    for batch in batches:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerows(beginning)
        writer.writerows([_cell(value) for value in row] for row in batch)
        yield f"{MARK if beginning else ''}{text.getvalue()}".encode()
        beginning = []


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    return inert(value) if isinstance(value, str) else str(value)
