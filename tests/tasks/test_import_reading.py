"""How tables are written, found out by reading them."""

import io

import pytest

from taskapi.tasks.importing.columns import find_columns
from taskapi.tasks.importing.errors import InvalidImport
from taskapi.tasks.importing.reading import MAX_FIELD, find_dialect, reading

TABLE = "title;due;notes\nTée, green;2031-01-01;a|b\n"


def read(content: bytes) -> tuple[str, str, list[list[str]]]:
    file = io.BytesIO(content)
    dialect = find_dialect(file)
    with reading(file, dialect) as records:
        return dialect.encoding, dialect.delimiter, [record.cells for record in records]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_is_found(encoding: str) -> None:
    found, _delimiter, records = read(TABLE.encode(encoding))
    assert found == encoding
    assert records == [["title", "due", "notes"], ["Tée, green", "2031-01-01", "a|b"]]


def test_an_encoding_that_shows_late_is_found() -> None:
    encoding, _delimiter, records = read(b"title\n" + b"Tea\n" * 30_000 + "Tée\n".encode("cp1252"))
    assert (encoding, records[-1]) == ("cp1252", ["Tée"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    table = [["Task Name", "Due Date", "Labels"], ['Tea, "green"; hot', "x|y", "1\t2"], ["", "2,5", ""]]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in table]
    text = "\n".join(delimiter.join(row) for row in quoted)
    assert read(text.encode()) == ("utf-8", delimiter, table)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way_and_cells_keep_theirs(ending: str) -> None:
    text = f'title,notes{ending}Tea,"one\r\ntwo\nthree"{ending}{ending}Milk,x'
    records = read(text.encode())[2]
    assert records == [["title", "notes"], ["Tea", "one\r\ntwo\nthree"], ["Milk", "x"]]


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    file = io.BytesIO(b'\ntitle\n"a\nb"\n\n  \nTea\n')
    with reading(file, find_dialect(file)) as records:
        assert [record.number for record in records] == [2, 3, 6]


@pytest.mark.parametrize("ending", ['Tea,"hot', 'Tea,"hot\n', 'Tea,"hot\nMilk,cold\n', 'Tea,"""'])
def test_a_quote_that_is_never_closed_is_told(ending: str) -> None:
    with pytest.raises(InvalidImport, match="Row 2 has a quote that is not closed"):
        read(f"title,notes\n{ending}".encode())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_line_that_tells_excel_of_the_delimiter_is_no_row(delimiter: str) -> None:
    file = io.BytesIO(f"sep={delimiter}\r\ntitle{delimiter}notes\r\nTea{delimiter}x\r\n".encode())
    dialect = find_dialect(file)
    with reading(file, dialect) as records:
        found = [(record.number, record.cells) for record in records]
    assert (dialect.delimiter, found) == (delimiter, [(1, ["title", "notes"]), (2, ["Tea", "x"])])


@pytest.mark.parametrize("letters", ["x", "x\n"])
def test_a_cell_may_be_long_but_not_endless(letters: str) -> None:
    longest = letters * (MAX_FIELD // len(letters))
    assert read(f'title\n"{longest}"'.encode())[2] == [["title"], [longest]]
    with pytest.raises(InvalidImport, match="Row 2 has a field of more than 200,000"):
        read(f'title\n"{longest}x"'.encode())


@pytest.mark.parametrize(
    "row", [b"x" * 5_000_000, b"x," * 2_000_000, b'"a\n",' * 1_000_000], ids=["cell", "cells", "lines"]
)
def test_a_row_without_an_end_is_not_gathered(row: bytes) -> None:
    with pytest.raises(InvalidImport, match="Row 2"):
        read(b"title,notes\n" + row)


def test_columns_are_known_by_many_names() -> None:
    header = ["ID", "Aufgabe", "Title", "task_name", "Due-Date", "ASSIGNED_TO", "is completed", "Labels"]
    columns = find_columns(header)
    places = {name: [header[place] for place in found] for name, found in columns.places.items()}
    assert places == {
        "title": ["Title"],
        "completed": ["is completed"],
        "due_date": ["Due-Date"],
        "assignee": ["ASSIGNED_TO"],
        "tags": ["Labels"],
        "external_id": ["ID"],
    }
    assert columns.ignored == ["Aufgabe", "task_name"]


def test_an_outside_id_wins_over_an_id_where_there_is_one() -> None:
    columns = find_columns(["id", "title", "external_id"])
    assert columns.cell(["1", "Tea", "A"], "external_id") == "A"
    assert columns.cell(["1", "Tea", " "], "external_id") == "1"
    assert columns.cell(["1", "Tea", " "], "city") is None
