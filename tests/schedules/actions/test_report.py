"""The action report"""

import csv
import io
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from openpyxl import load_workbook

from taskapi.accounts.models import User
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.db import session, transaction
from taskapi.notifications import reports as told
from taskapi.notifications.attachments import read_attachment
from taskapi.notifications.models import Email
from tests.accounts.helpers import code
from tests.analytics.making import insert_tasks
from tests.people import Person, make_person, program_of, set_role
from tests.schedules.actions.calling import run_now, run_of
from tests.schedules.making import at, make
from tests.settings import settings_changed
from tests.work import run_jobs, tick


def plan(person: Person, **params: Any) -> dict[str, Any]:
    action = {"action": "report", "params": {"kind": "tasks", **params}}
    return make(person, **action, name="All we do", cron="0 0 1 1 *", retry={"max_attempts": 1})


def reported(app: Flask, person: Person, **params: Any) -> dict[str, Any]:
    run = run_now(app, person, plan(person, **params))
    assert run["status"] == "completed", run["error"]
    result: dict[str, Any] = run["result"]
    return result


def content_of(person: Person, result: dict[str, Any]) -> bytes:
    answer = person.get(f"/api/files/{result['file_id']}/content", buffered=True)
    assert answer.status_code == 200, answer.text
    content: bytes = answer.data
    return content


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def emails(app: Flask) -> list[Email]:
    with app.app_context():
        return list(session().scalars(sa.select(Email).where(Email.kind == "report").order_by(Email.id)))


def mailed(app: Flask) -> list[str]:
    with app.app_context():
        folder = current_storage().incoming.parents[1] / "mail"
    return [path.read_text() for path in sorted(folder.glob("*.eml"))] if folder.is_dir() else []


def test_it_tells_what_the_owner_sees_and_nothing_else(app: Flask, owner: Person, teammate: Person) -> None:
    (own,) = insert_tasks(app, [{"creator_id": owner.id, "title": "Own"}])
    insert_tasks(app, [{"creator_id": teammate.id, "title": "Secret"}])
    result = reported(app, owner, format="csv")
    assert [row["id"] for row in table(content_of(owner, result))] == [str(own["id"])]
    assert teammate.get(f"/api/files/{result['file_id']}").status_code == 404


def test_one_that_a_program_made_tells_no_more_than_the_program_sees(
    app: Flask, owner: Person, admin: Person
) -> None:
    for person in (owner, admin):
        insert_tasks(app, [{"creator_id": person.id, "title": person.email}])
    told = []
    for scopes in (["read", "write"], ["read", "write", "admin"]):
        result = reported(app, program_of(admin, *scopes), format="csv")
        told.append({row["title"] for row in table(content_of(admin, result))})
    assert told == [{admin.email}, {owner.email, admin.email}]


def test_a_program_without_the_scope_has_nobody_told_what_administrators_see(
    app: Flask, admin: Person
) -> None:
    path = f"/api/schedules/{plan(admin, format='csv')['id']}"
    program = program_of(admin, "read", "write")
    params = {"kind": "tasks", "format": "csv", "to": "eve@example.org"}
    reminder = {"action": "reminder", "params": {"message": "Tea"}}
    for answer in (
        program.patch(path, {"params": params}),
        program.patch(path, reminder),
        program.post(f"{path}/run", {"params": params}),
    ):
        assert code(answer) == (403, "missing_scope")
    same = {"action": "report", "params": {"kind": "tasks", "format": "csv"}}
    assert program.patch(path, {**same, "name": "Another", "cron": "0 1 1 1 *"}).status_code == 200
    assert program.post(f"{path}/pause").status_code == 200
    assert admin.get(path).json["params"] == {"kind": "tasks", "format": "csv"}


def test_what_was_changed_by_who_is_no_administrator_tells_no_more_when_they_are_one_again(
    app: Flask, owner: Person, admin: Person
) -> None:
    insert_tasks(app, [{"creator_id": owner.id}])
    schedule = plan(admin, format="csv")
    params = {"kind": "tasks", "format": "csv", "filters": {"status": "todo"}}
    for role, change in (("user", {"params": params}), ("admin", {"name": "Another"})):
        with app.app_context(), transaction():
            set_role(admin.email, role)
        assert admin.patch(f"/api/schedules/{schedule['id']}", change).status_code == 200
    assert table(content_of(admin, run_now(app, admin, schedule)["result"])) == []


def test_a_run_that_was_asked_for_by_who_is_no_administrator_is_not_done_again_as_one(
    app: Flask, owner: Person, admin: Person
) -> None:
    insert_tasks(app, [{"creator_id": owner.id}])
    path = f"/api/schedules/{plan(admin, format='csv')['id']}"
    with app.app_context(), transaction():
        set_role(admin.email, "user")
    params = {"kind": "tasks", "format": "csv", "to": "eve@example.org"}
    run = admin.post(f"{path}/run", {"params": params}).json
    admin.post(f"/api/runs/{run['id']}/cancel")
    with app.app_context(), transaction():
        set_role(admin.email, "admin")
    assert admin.post(f"/api/runs/{run['id']}/retry").status_code == 200
    run_jobs(app)
    assert table(content_of(admin, run_of(admin, run["id"])["result"])) == []


@pytest.mark.one_database
def test_who_may_not_read_has_it_mailed_to_nobody_else(owner: Person) -> None:
    body = {"action": "report", "params": {"kind": "tasks"}, "cron": "0 0 1 1 *"}
    to_eve = {**body, "params": {"kind": "tasks", "to": "eve@example.org"}}
    assert code(program_of(owner, "write").post("/api/schedules", to_eve)) == (403, "missing_scope")
    assert program_of(owner, "write").post("/api/schedules", body).status_code == 201
    assert program_of(owner, "read", "write").post("/api/schedules", to_eve).status_code == 201


def test_it_is_kept_mailed_and_told_of(app: Flask, owner: Person) -> None:
    result = reported(app, owner, format="xlsx")
    assert result["filename"].startswith("tasks-20")
    assert result["sent_to"] == [owner.email]
    file = owner.get(f"/api/files/{result['file_id']}").json
    assert (file["filename"], file["size"]) == (result["filename"], result["size"])
    (email,) = emails(app)
    assert (email.subject, email.file_id, email.status) == (
        "Report: All we do",
        UUID(result["file_id"]),
        "sent",
    )
    (message,) = [text for text in mailed(app) if str(email.id) in text]
    assert f'filename="{result["filename"]}"' in message or f"filename={result['filename']}" in message
    types = [item["type"] for item in owner.get("/api/notifications").json["items"]]
    assert "report" in types
    assert load_workbook(io.BytesIO(content_of(owner, result))).sheetnames == ["Tasks", "Overview"]


def test_its_mail_says_what_there_is(app: Flask, owner: Person) -> None:
    statuses = ("todo", "in_progress", "in_progress", "done")
    insert_tasks(app, [{"creator_id": owner.id, "status": status} for status in statuses])
    reported(app, owner, format="csv")
    reported(app, owner, format="csv", filters={"status": "todo"})
    reported(app, owner, format="csv", filters={"status": "cancelled"})
    reported(app, owner, kind="analytics", format="csv")
    everything = "4 tasks: 2 in progress, 1 done, 1 todo."
    told_of = [email.text.splitlines()[2] for email in emails(app)]
    assert told_of == [everything, "1 task: 1 todo.", "No tasks.", everything]
    assert everything in emails(app)[0].html


def test_filters_are_those_of_the_list_of_tasks(app: Flask) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    times = {"in": "2026-03-31 22:00", "out": "2026-03-31 21:59"}
    insert_tasks(
        app, [{"creator_id": paul.id, "title": name, "created_at": at(time)} for name, time in times.items()]
    )
    filters = {"status": "TODO", "created_after": "2026-04-01"}
    assert [
        row["title"] for row in table(content_of(paul, reported(app, paul, format="csv", filters=filters)))
    ] == ["in"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"kind": "weather"}, "kind"),
        ({"format": "pdf"}, "format"),
        ({"filters": {"statuss": "todo"}}, "filters.statuss"),
        ({"filters": {"status": ["late"]}}, "filters.status.0"),
        ({"kind": "analytics", "filters": {"status": "todo"}}, "filters.status"),
        ({"kind": "analytics", "filters": {"interval": "hour"}}, "filters.interval"),
        ({"to": "nobody"}, "to"),
    ],
)
def test_what_cannot_be_reported_is_refused(owner: Person, params: dict[str, Any], field: str) -> None:
    body = {"action": "report", "params": {"kind": "tasks", **params}, "cron": "0 0 1 1 *"}
    answer = owner.post("/api/schedules", body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [f"params.{field}"])


def test_figures_are_those_of_the_api(app: Flask, owner: Person) -> None:
    insert_tasks(app, [{"creator_id": owner.id, "assignee_id": owner.id, "created_at": at("2026-04-01")}] * 3)
    filters = {"interval": "month", "start_date": "2026-03-01", "end_date": "2026-04-30"}
    result = reported(app, owner, kind="analytics", format="csv", filters=filters)
    values = {
        (row["table"], row["figure"], row["of"]): row["value"] for row in table(content_of(owner, result))
    }
    assert values["overview", "total", ""] == "3"
    assert values["overview", "by_status", "todo"] == "3"
    assert values["performance", "assigned", owner.actor.username] == "3"
    assert [values["trends", "created", month] for month in ("2026-03-01", "2026-04-01")] == ["0", "3"]


@pytest.mark.one_database
def test_figures_make_a_workbook(app: Flask, owner: Person) -> None:
    result = reported(app, owner, kind="analytics")
    book = load_workbook(io.BytesIO(content_of(owner, result)))
    assert book.sheetnames == ["Overview", "Performance", "Trends"]
    assert book["Performance"]["A2"].value == owner.actor.username
    assert book["Trends"].max_row == 31


def test_another_address_gets_it_instead(app: Flask, owner: Person) -> None:
    result = reported(app, owner, to="boss@example.com")
    assert result["sent_to"] == ["boss@example.com"]
    assert [email.recipient for email in emails(app)] == ["boss@example.com"]
    assert "/api/files/" not in emails(app)[0].text


def test_reports_to_others_are_limited_like_reminders(app: Flask, owner: Person) -> None:
    with settings_changed(app, user_mails_per_hour=1):
        reported(app, owner, to="boss@example.com")
        run = run_now(app, owner, plan(owner, to="boss@example.com"))
        assert (run["status"], run["error"]["code"]) == ("failed", "mail_limit_reached")
        # It was asked before there was a file of it.
        assert owner.get("/api/files").json["total"] == 1
    assert [email.recipient for email in emails(app)] == ["boss@example.com"]


@pytest.mark.one_database
def test_what_is_too_large_for_an_email_is_not_attached(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "MAX_ATTACHMENT_BYTES", 10)
    result = reported(app, owner)
    (email,) = emails(app)
    assert (email.file_id, email.status) == (None, "sent")
    assert "too large for an e-mail" in email.text
    assert f"/api/files/{result['file_id']}/content" in email.text


def test_a_second_attempt_makes_no_second_file_and_no_second_mail(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = "taskapi.analytics.report.tell_of_report"
    monkeypatch.setattr(telling, lambda **_facts: 1 / 0)
    schedule = plan(owner, format="csv")
    run = run_now(app, owner, schedule)
    assert (run["status"], owner.get("/api/files").json["total"], emails(app)) == ("failed", 1, [])
    monkeypatch.setattr(telling, told.tell_of_report)
    assert owner.post(f"/api/runs/{run['id']}/retry").status_code == 200
    tick(app)
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "completed"
    assert (owner.get("/api/files").json["total"], len(emails(app))) == (1, 1)


def test_a_report_beyond_the_quota_fails_for_good(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=50):
        run = run_now(app, owner, plan(owner, format="csv"))
    assert (run["status"], run["error"]["code"]) == ("failed", "quota_exceeded")
    assert owner.get("/api/files").json["total"] == 0


def test_a_store_that_is_away_fails_the_attempt_and_leaves_nothing(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> None:
        raise StorageUnavailable

    with app.app_context():
        monkeypatch.setattr(type(current_storage()), "put", away)
        incoming = current_storage().incoming
    run = run_now(app, owner, plan(owner, format="csv"))
    assert (run["status"], run["error"]["code"]) == ("failed", "storage_unavailable")
    assert list(incoming.iterdir()) == []


@pytest.mark.one_database
def test_a_file_that_was_deleted_before_the_mail_left_is_left_out(app: Flask, owner: Person) -> None:
    result = reported(app, owner, format="csv")
    with app.app_context():
        attachment = read_attachment(UUID(result["file_id"]))
        assert attachment is not None
        assert attachment.content == content_of(owner, result)
    assert owner.delete(f"/api/files/{result['file_id']}").status_code == 204
    with app.app_context():
        assert read_attachment(UUID(result["file_id"])) is None


def test_an_owner_who_left_gets_no_report(app: Flask, owner: Person, admin: Person) -> None:
    run_id = owner.post(f"/api/schedules/{plan(owner)['id']}/run").json["id"]
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    run_jobs(app)
    run = admin.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["error"]["code"]) == ("failed", "owner_inactive")
