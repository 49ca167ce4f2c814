"""What is exported comes back by an import, whatever people wrote."""

import json
from typing import Any

import pytest
from flask import Flask

from tests.people import Person
from tests.tasks.importing import counts, import_table, tasks_of
from tests.tasks.making import make_task, path_of

NASTY: list[dict[str, Any]] = [
    {"title": "=1+1", "description": "-2+3\n@SUM(A1)", "tags": ["+plus", "a; b", "[draft]"]},
    {"title": "'=quoted already", "description": "''", "external_id": "=A1"},
    {"title": 'He said "hello", then; left|', "description": '"\n""\r\n,;\t| \r lines\n\n'},
    {"title": "שלום עולם \u202bمرحبا\u202c \u2028!", "description": "\ufeff𝔘𝔫𝔦 e\u0301 é 👩‍👧‍👦 ½"},  # noqa: RUF001
    {"title": "null", "description": "  indented\n  code  ", "city": "Zürich", "notify_overdue": False},
    {"title": "1e9", "description": "x" * 50_000, "priority": "urgent", "status": "in_progress"},
    {"title": "#N/A", "status": "done", "due_date": "2031-05-01T12:34:56.789Z", "tags": ["日本"]},
    {"title": "Late", "status": "cancelled", "due_date": "2001-05-01T00:00:00Z", "priority": "low"},
]
FIELDS = (
    *("title", "description", "status", "priority", "due_date", "notify_overdue", "assignee_id", "city"),
    *("created_at", "completed_at"),
)


def exported(person: Person) -> bytes:
    answer = person.get("/api/analytics/export?format=csv", buffered=True)
    assert answer.status_code == 200
    content: bytes = answer.data
    return content


def contents(person: Person) -> list[dict[str, Any]]:
    """What an import can bring of somebody's tasks."""
    tasks = [
        {**{name: task[name] for name in FIELDS}, "tags": [tag["name"] for tag in task["tags"]]}
        for task in tasks_of(person)
        if task["creator_id"] == str(person.id)
    ]
    return sorted(tasks, key=json.dumps)


@pytest.fixture(autouse=True)
def tasks(owner: Person, teammate: Person) -> None:
    for fields in NASTY:
        make_task(owner, **fields, assignee_id=str(teammate.id) if len(fields) == 3 else None)


def test_somebody_else_gets_the_same_tasks(app: Flask, owner: Person, admin: Person) -> None:
    job = import_table(app, admin, exported(owner))
    assert (counts(job), job["errors"], job["warnings"]) == ({"created": len(NASTY)}, [], [])
    assert job["ignored_columns"] == ["creator", "comment_count", "file_count", "updated_at"]
    assert contents(admin) == contents(owner)


def test_who_imports_their_own_export_changes_nothing(app: Flask, owner: Person) -> None:
    assert counts(import_table(app, owner, exported(owner))) == {"unchanged": len(NASTY)}


def test_who_changed_something_meanwhile_gets_it_back(app: Flask, owner: Person) -> None:
    before, table = contents(owner), exported(owner)
    for task in tasks_of(owner)[:3]:
        owner.patch(path_of(task), {"title": "Another", "tags": ["other"], "assignee_id": None})
    job = import_table(app, owner, table)
    assert counts(job) == {"updated": 3, "unchanged": len(NASTY) - 3}
    assert contents(owner) == before
