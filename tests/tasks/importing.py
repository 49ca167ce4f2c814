"""Short ways to import tables in tests."""

from typing import TYPE_CHECKING, Any

from flask import Flask

from tests.files.uploading import BOUNDARY, END, part, send
from tests.people import Person
from tests.work import run_jobs

if TYPE_CHECKING:
    from tests.people import Answer

HEADER = "title,description,status,priority,due_date,assignee,tags,external_id,city,notify_overdue"


def send_table(
    person: Person,
    content: bytes | str,
    filename: str = "tasks.csv",
    *,
    dry_run: bool = False,
    form: dict[str, str] | None = None,
    **options: Any,
) -> "Answer":
    """Ask for an import of a table; no worker has begun with it."""
    table = content if isinstance(content, bytes) else content.encode()
    fields = [part(f'name="{name}"', value.encode()) for name, value in (form or {}).items()]
    body = b"".join([part(f'name="file"; filename="{filename}"', table), *fields, END])
    query = {"dry_run": "true"} if dry_run else {}
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return send(person, "/api/tasks/import", body, content_type=kind, query_string=query, **options)


def import_table(app: Flask, person: Person, content: bytes | str, **options: Any) -> dict[str, Any]:
    """Import a table to its end; the import."""
    answer = send_table(person, content, **options)
    assert answer.status_code == 202, answer.text
    run_jobs(app)
    return found(person, answer.json["id"])


def found(person: Person, import_id: str) -> dict[str, Any]:
    """An import as it is now."""
    answer = person.get(f"/api/tasks/imports/{import_id}")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json
    return result


def tasks_of(person: Person) -> list[dict[str, Any]]:
    """The tasks that somebody sees, oldest first."""
    answer = person.get("/api/tasks", query_string={"per_page": 100, "sort": "created_at"})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def counts(job: dict[str, Any]) -> dict[str, Any]:
    """What came of the rows, as far as anything did."""
    names = ("created", "updated", "unchanged", "failed")
    return {name: job[name] for name in names if job[name]}
