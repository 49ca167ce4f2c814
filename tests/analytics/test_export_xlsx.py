"""GET /api/analytics/export?format=xlsx"""

import errno
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openpyxl import Workbook, load_workbook
from openpyxl.utils.escape import unescape
from xlsxwriter.worksheet import Worksheet

from taskapi.analytics import workbook
from taskapi.clients.storage import current_storage
from tests.analytics.conftest import Team
from tests.analytics.making import insert_tasks
from tests.analytics.test_export_csv import HEADER, NASTY
from tests.people import Person, make_person
from tests.schedules.making import at

COLUMNS = HEADER.split(",")


def exported(person: Person, **query: Any) -> Workbook:
    answer = person.get("/api/analytics/export", query_string=query, buffered=True)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    return load_workbook(io.BytesIO(answer.data))


def rows_of(book: Workbook, sheet: str = "Tasks") -> list[dict[str, Any]]:
    header, *rows = book[sheet].iter_rows(values_only=True)
    return [dict(zip(map(str, header), row, strict=True)) for row in rows]


def left_behind(app: Flask) -> list[Path]:
    with app.app_context():
        return list(current_storage().incoming.iterdir())


@pytest.mark.parametrize("name", ["owner", "teammate", "admin"])
def test_everybody_exports_what_they_see_oldest_first(team: Team, name: str) -> None:
    seen = sorted(team.seen_by(name), key=lambda task: (task["created_at"], task["id"]))
    rows = rows_of(exported(team.people[name]))
    assert list(rows[0]) == COLUMNS
    assert [(row["id"], row["status"]) for row in rows] == [
        (str(task["id"]), task["status"]) for task in seen
    ]


@pytest.mark.one_database
def test_the_header_stays_in_sight_and_has_filters(app: Flask, owner: Person) -> None:
    insert_tasks(app, [{"creator_id": owner.id}] * 3)
    sheet = exported(owner)["Tasks"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:Q4")
    widths = [sheet.column_dimensions[letter].width for letter in "ABC"]
    assert widths == sorted(widths)
    assert sheet["A1"].font.bold


@pytest.mark.one_database
def test_times_are_those_of_the_wall_where_the_caller_is(app: Flask) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    insert_tasks(app, [{"creator_id": paul.id, "due_date": at("2026-03-29 01:30")}])
    cell = exported(paul)["Tasks"]["F2"]
    assert (cell.value, cell.is_date, cell.number_format) == (
        datetime.fromisoformat("2026-03-29T03:30:00"),
        True,
        "yyyy-mm-dd hh:mm:ss",
    )


@pytest.mark.one_database
@pytest.mark.parametrize("text", [*NASTY, "http://example.org", "{=1}", "_x0041_", "12", "true", "NaN"])
def test_each_text_stays_a_text(app: Flask, owner: Person, text: str) -> None:
    insert_tasks(app, [{"creator_id": owner.id, "title": "Tea", "description": text}])
    cell = exported(owner)["Tasks"]["C2"]
    assert (cell.data_type, cell.hyperlink) in [("s", None), ("inlineStr", None)]
    assert unescape(str(cell.value)) == text


@pytest.mark.one_database
def test_a_text_is_cut_where_a_cell_ends(app: Flask, owner: Person) -> None:
    long, wide = "x" * 40_000, "🌍" * 20_000
    insert_tasks(app, [{"creator_id": owner.id, "description": text} for text in (long, wide)])
    cells = sorted((row["description"] for row in rows_of(exported(owner))), key=len)
    assert cells == [wide[: 32_767 // 2], long[:32_767]]


@pytest.mark.one_database
def test_the_second_sheet_has_the_figures_and_a_chart(team: Team) -> None:
    book = exported(team.people["owner"], priority="high")
    assert book.sheetnames == ["Tasks", "Overview"]
    told = {row[0]: row[1] for row in book["Overview"].iter_rows(values_only=True) if row[0]}
    seen = [task for task in team.seen_by("owner") if task["priority"] == "high"]
    assert (told["total"], told["high"], told["low"]) == (len(seen), len(seen), 0)
    assert told["done"] == sum(task["status"] == "done" for task in seen)
    assert len(book["Overview"]._charts) == 1  # type: ignore[attr-defined]


@pytest.mark.one_database
def test_what_exceeds_a_sheet_goes_on_in_another(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 4)
    made = insert_tasks(app, [{"creator_id": owner.id}] * 5)
    book = exported(owner)
    assert book.sheetnames == ["Tasks", "Overview", "Tasks 2"]
    ids = [row["id"] for sheet in ("Tasks", "Tasks 2") for row in rows_of(book, sheet)]
    assert ids == sorted(str(task["id"]) for task in made)


@pytest.mark.one_database
def test_nothing_of_it_is_left_on_the_disk(app: Flask, owner: Person) -> None:
    exported(owner)
    assert left_behind(app) == []


@pytest.mark.one_database
@pytest.mark.parametrize("place", ["row", "end"])
def test_a_full_disk_is_told_before_anything_is_sent(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if place == "row":
        monkeypatch.setattr(Worksheet, "write_string", full)
    else:
        monkeypatch.setattr("xlsxwriter.workbook.ZipFile", full)
    answer = owner.get("/api/analytics/export?format=xlsx")
    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert left_behind(app) == []


def test_an_export_without_tasks_has_a_header(owner: Person) -> None:
    assert [cell.value for cell in exported(owner)["Tasks"][1]] == COLUMNS
