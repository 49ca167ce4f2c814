"""GET /api/analytics/export?format=csv"""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from taskapi.analytics import rows
from taskapi.core import clock
from taskapi.core.cells import inert, plain
from taskapi.core.db import db
from tests.analytics.conftest import Team
from tests.analytics.making import insert_tasks
from tests.people import Person, make_person
from tests.schedules.making import at

if TYPE_CHECKING:
    from tests.people import Answer

HEADER = (
    "id,title,description,status,priority,due_date,assignee,creator,tags,city,external_id,notify_overdue,"
    "comment_count,file_count,created_at,updated_at,completed_at"
)
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'=1",
    "''-quoted",
    "'just quoted",
    'He said "no", twice; then\r\nleft',
    "שלום 🌍 e\u0301",
    " blanks ",
]


def export(person: Person, **query: Any) -> "Answer":
    answer = person.get("/api/analytics/export", query_string={"format": "csv", **query})
    assert answer.status_code == 200, answer.text
    return answer


def read(answer: "Answer") -> list[dict[str, str]]:
    text = answer.data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_it_is_a_file_to_save_that_excel_reads_as_unicode(owner: Person) -> None:
    answer = export(owner)
    assert answer.data.decode() == f"\ufeff{HEADER}\r\n"
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tasks-20')


def test_all_columns_come_out_as_they_are(owner: Person, teammate: Person) -> None:
    sent = {
        "title": "Tea",
        "description": "Two\nlines",
        "status": "done",
        "priority": "high",
        "due_date": "2030-04-01T09:00:00Z",
        "assignee_id": str(teammate.id),
        "external_id": "T-1",
        "notify_overdue": False,
        "tags": ["hot", "drinks"],
    }
    task = owner.post("/api/tasks", sent).json
    (row,) = read(export(owner))
    same = ("id", "title", "description", "status", "priority", "due_date", "external_id", "created_at")
    assert row == {
        **{name: task[name] for name in (*same, "updated_at", "completed_at")},
        "assignee": teammate.actor.username,
        "creator": owner.actor.username,
        "tags": "drinks; hot",
        "city": "",
        "notify_overdue": "false",
        "comment_count": "0",
        "file_count": "0",
    }


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.one_database
def test_no_text_is_a_formula_and_each_can_be_read_again(owner: Person, text: str) -> None:
    made = owner.post("/api/tasks", {"title": text.split("\r")[0], "description": text}).json
    (row,) = read(export(owner))
    assert not row["description"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert [plain(row[name]) for name in ("title", "description")] == [made["title"], made["description"]]


@pytest.mark.one_database
@pytest.mark.parametrize("text", [*NASTY, "\t=1", "\r=1", "'", "", "'\t"])
def test_a_cell_gives_its_text_back(text: str) -> None:
    assert plain(inert(text)) == text
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("name", ["owner", "teammate", "admin"])
def test_everybody_exports_what_they_see_oldest_first(
    team: Team, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 7)
    seen = sorted(team.seen_by(name), key=lambda task: (task["created_at"], task["id"]))
    assert [row["id"] for row in read(export(team.people[name]))] == [str(task["id"]) for task in seen]


def test_a_batch_that_is_just_full_is_the_last_when_no_more_come(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 2)
    insert_tasks(app, [{"creator_id": owner.id}] * 4)
    assert len(read(export(owner))) == 4


@pytest.mark.parametrize(
    "query",
    [
        {"status": ["todo", "done"]},
        {"priority": "high", "overdue": "true"},
        {"q": "task 12"},
        {"created_after": "2026-04-01"},
    ],
)
def test_the_filters_are_those_of_the_list(team: Team, query: dict[str, Any]) -> None:
    owner = team.people["owner"]
    exported = {row["id"] for row in read(export(owner, **query))}
    listed = owner.get("/api/tasks", query_string={**query, "per_page": 100}).json["items"]
    assert exported == {task["id"] for task in listed}


@pytest.mark.one_database
@pytest.mark.parametrize("query", [{"format": "pdf"}, {"statuss": "todo"}, {"sort": "title"}])
def test_what_is_misspelt_is_refused(owner: Person, query: dict[str, str]) -> None:
    assert owner.get("/api/analytics/export", query_string=query).status_code == 422


def pieces(person: Person) -> Iterator[bytes]:
    answer = person.get("/api/analytics/export?format=csv", buffered=False)
    return answer.iter_encoded()


def test_no_connection_is_held_while_a_client_reads(
    app: Flask, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 20)
    coming = pieces(team.people["admin"])
    with app.app_context():
        pool: Any = db.engine.pool
    held = [pool.checkedout() for _piece in coming]
    assert len(held) > 10
    assert set(held) == {0}


def test_a_failure_at_the_beginning_is_a_problem(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    monkeypatch.setattr(rows, "_read", away)
    answer = owner.get("/api/analytics/export?format=csv")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")


@pytest.mark.one_database
def test_ten_times_the_tasks_take_hardly_more_memory(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 100)

    def peak() -> int:
        tracemalloc.start()
        lines = sum(piece.count(b"\n") for piece in pieces(owner))
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert lines % 500 == 1
        return most

    insert_tasks(app, [{"creator_id": owner.id}] * 500)
    peak()
    few = peak()
    insert_tasks(app, [{"creator_id": owner.id}] * 4_500)
    assert peak() < few * 1.3


def test_a_tag_with_a_separator_is_told_from_two(owner: Person) -> None:
    owner.post("/api/tasks", {"title": "Tea", "tags": ["hot; strong", "a, b"]})
    (row,) = read(export(owner))
    assert row["tags"] == '["a, b", "hot; strong"]'


def test_the_name_has_the_callers_date(app: Flask) -> None:
    aroha = make_person(app, "aroha@example.org", timezone="Pacific/Auckland")
    with clock.use(lambda: at("2026-04-15 13:00")):
        assert 'filename="tasks-2026-04-16.csv"' in export(aroha).headers["Content-Disposition"]
