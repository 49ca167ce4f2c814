"""GET /api/files"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.files.models import StoredFile
from tests.files.making import store
from tests.people import Person
from tests.schedules.making import at

FILES = "/api/files"
TASK = UUID("01999999-0000-7000-8000-000000000001")


def names(person: Person, **query: Any) -> list[str]:
    answer = person.get(FILES, query_string=query)
    assert answer.status_code == 200, answer.text
    return [item["filename"] for item in answer.json["items"]]


def add_rows(app: Flask, person: Person, *rows: dict[str, Any]) -> None:
    """Rows without contents, which a list does not ask for."""
    usual = {
        "owner_id": person.id,
        "content_type": "text/plain",
        "size": 1,
        "sha256": "0" * 64,
        "blocks": b"",
    }
    with app.app_context(), transaction():
        for row in rows:
            session().add(StoredFile(**{**usual, "storage_key": uuid4().hex, **row}))


def test_one_sees_ones_own_and_an_admin_sees_all(owner: Person, teammate: Person, admin: Person) -> None:
    mine = store(owner)
    theirs = store(teammate)
    assert [item["id"] for item in owner.get(FILES).json["items"]] == [str(mine)]
    assert {item["id"] for item in admin.get(FILES).json["items"]} == {str(mine), str(theirs)}


@pytest.fixture
def three(app: Flask, owner: Person) -> Person:
    """The owner, with three files."""
    png = {"filename": "Übersicht 100%.PNG", "content_type": "image/png", "size": 30}
    pdf = {"filename": "b.pdf", "content_type": "application/pdf", "size": 10, "damage": "missing"}
    txt = {"filename": "A_notes.txt", "size": 20, "task_id": TASK}
    days = (at("2026-11-18 09:00"), at("2026-11-19 09:00"), at("2026-11-20 09:00"))
    rows = zip((png, pdf, txt), days, strict=True)
    add_rows(app, owner, *({**row, "created_at": day} for row, day in rows))
    return owner


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "txt pdf PNG"),
        ({"q": "NOTES"}, "txt"),
        ({"q": "üBERSICHT"}, "PNG"),
        ({"q": "ubersicht 100"}, "PNG"),
        ({"q": "%"}, "PNG"),
        ({"q": "_"}, "txt"),
        ({"q": "nothing like it"}, ""),
        ({"content_type": "image/png"}, "PNG"),
        ({"content_type": ["Image/PNG", "application/pdf"]}, "pdf PNG"),
        ({"task_id": str(TASK)}, "txt"),
        ({"damaged": "true"}, "pdf"),
        ({"damaged": "False"}, "txt PNG"),
        ({"created_before": "2026-11-19T09:00:00Z"}, "PNG"),
        ({"created_before": "2026-11-19"}, "pdf PNG"),
        ({"created_after": "2026-11-19T09:00:00Z"}, "txt pdf"),
        ({"created_after": "2026-11-20"}, "txt"),
        ({"sort": "created_at"}, "PNG pdf txt"),
        ({"sort": "size"}, "pdf txt PNG"),
        ({"sort": "-size"}, "PNG txt pdf"),
        ({"page": 9}, ""),
    ],
)
def test_filters_choose_and_sorts_order(three: Person, query: dict[str, Any], found: str) -> None:
    assert [name.rpartition(".")[2] for name in names(three, **query)] == found.split()


def test_an_admin_chooses_an_owner(owner: Person, teammate: Person, admin: Person) -> None:
    store(owner, filename="mine.txt")
    store(teammate, filename="theirs.txt")
    assert names(admin, owner_id=str(teammate.id)) == ["theirs.txt"]
    assert names(owner, owner_id=str(teammate.id)) == []


def test_a_page_past_the_end_is_empty(three: Person) -> None:
    page = three.get(f"{FILES}?page=2").json
    assert (page["items"], page["total"], page["next_cursor"]) == ([], 3, None)


@pytest.mark.one_database
@pytest.mark.parametrize(
    "query",
    [
        *("q=", "q=%00", f"q={'x' * 256}", "damaged=maybe", "task_id=1", "owner_id=1", "sort=sha256"),
        *("created_after=yesterday", "filename=x", "content_type=%00"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(owner: Person, query: str) -> None:
    answer = owner.get(f"{FILES}?{query}")
    assert answer.status_code == 422
    assert [field.partition(".")[0] for field in answer.json["errors"]] == [query.partition("=")[0]]


def test_a_thousand_files_come_by_cursor_without_loss(app: Flask, owner: Person) -> None:
    start = at("2026-11-20 09:00")
    rows = (
        # Names in all cases, and ten of each name at one moment.
        {
            "id": new_id(),
            "filename": f"{'aAbBäÄ_.'[n % 8]}{n // 10}.txt",
            "created_at": start + timedelta(n // 10),
        }
        for n in range(1000)
    )
    add_rows(app, owner, *rows)
    seen: list[str] = []
    page = owner.get(FILES, query_string={"sort": "filename", "per_page": 100}).json
    while True:
        seen += [item["id"] for item in page["items"]]
        if not page["next_cursor"]:
            break
        page = owner.get(FILES, query_string={"cursor": page["next_cursor"], "per_page": 100}).json
    assert len(seen) == len(set(seen)) == 1000
