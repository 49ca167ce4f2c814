"""GET /api/admin/audit"""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import db, transaction
from taskapi.core.events import record_event
from taskapi.core.paging import PageRequest
from taskapi.events.audit import queries
from taskapi.events.audit.queries import AuditFilter
from taskapi.events.service import relay_events
from tests.people import PASSWORD, Person, make_person
from tests.tasks.making import make_task, path_of
from tests.work import tick


def audit(admin: Person, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get("/api/admin/audit", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def types(admin: Person, **query: Any) -> list[str]:
    return [item["type"] for item in audit(admin, **query)]


def test_it_tells_who_did_what_from_where(app: Flask, admin: Person, owner: Person) -> None:
    task = make_task(owner, title="Tea")
    answer = owner.patch(path_of(task), {"title": "Coffee"}, headers={"User-Agent": "curl/8"})
    with app.app_context():
        relay_events()
    item = audit(admin)[0]
    assert item["actor"] == {"id": str(owner.id), "username": "olivia"}
    assert item["subject"] == {"type": "task", "id": task["id"]}
    assert (item["type"], item["owner_id"]) == ("task.updated", str(owner.id))
    assert (item["before"]["title"], item["after"]["title"]) == ("Tea", "Coffee")
    assert (item["address"], item["via"]) == ("127.0.0.1", "api")
    assert item["context"] == {
        "via": "api",
        "user_agent": "curl/8",
        "session_id": str(owner.actor.session_id),
    }
    assert item["request_id"] == answer.headers["X-Request-ID"]
    assert len(item["hash"]) == 64
    assert item["position"] > 0


@pytest.mark.one_database
def test_what_is_not_linked_yet_is_told_as_well(admin: Person, owner: Person) -> None:
    make_task(owner)
    item = audit(admin)[0]
    assert (item["type"], item["position"], item["hash"]) == ("task.created", None, None)


@pytest.mark.one_database
def test_a_sign_in_tells_from_where(admin: Person, owner: Person) -> None:
    credentials = {"email": owner.email, "password": PASSWORD}
    owner.client.post("/api/auth/login", json=credentials, headers={"User-Agent": "curl/8"})
    item = audit(admin)[0]
    assert (item["type"], item["actor"]["username"]) == ("user.signed_in", "olivia")
    assert (item["address"], item["context"]["user_agent"]) == ("127.0.0.1", "curl/8")


@pytest.mark.one_database
def test_a_personal_token_is_named(admin: Person, owner: Person) -> None:
    made = owner.post("/api/auth/tokens", {"name": "program", "scopes": ["write"]}).json
    owner.client.post(
        "/api/tasks", json={"title": "Tea"}, headers={"Authorization": f"Bearer {made['token']}"}
    )
    assert audit(admin)[0]["context"]["token_id"] == made["id"]


def test_filters_choose(app: Flask, admin: Person, owner: Person, teammate: Person) -> None:
    task = make_task(owner)
    owner.patch(path_of(task), {"title": "Tea"}, headers={"X-Request-ID": "wanted"})
    make_task(teammate)
    with app.app_context(), transaction():
        record_event("run.completed", subject=("run", uuid4()))
    for query, found in (
        ({"type": "task.created"}, ["task.created", "task.created"]),
        ({"type": "TASK.*", "actor": "olivia"}, ["task.updated", "task.created"]),
        ({"type": ["task.updated", "run.*"]}, ["run.completed", "task.updated"]),
        ({"type": "*.signed_in", "actor": str(owner.id)}, ["user.signed_in"]),
        ({"type": "nothing.*"}, []),
        ({"actor": "TARIQ@example.org", "subject_type": "Task"}, ["task.created"]),
        ({"actor": "system", "type": ["run.*", "task.*"]}, ["run.completed"]),
        ({"actor": str(uuid4())}, []),
        ({"subject_id": task["id"]}, ["task.updated", "task.created"]),
        ({"request_id": "wanted"}, ["task.updated"]),
        ({"address": "::ffff:127.0.0.1", "type": "task.updated"}, ["task.updated"]),
        ({"address": "192.0.2.1"}, []),
        ({"subject_type": "task", "sort": "created_at"}, ["task.created", "task.updated", "task.created"]),
    ):
        assert types(admin, **query) == found, query


def test_a_date_means_the_whole_day_where_the_reader_is(app: Flask) -> None:
    ada = make_person(app, "ada@example.org", role="admin", timezone="Pacific/Auckland")
    today = clock.now()
    with app.app_context(), transaction():
        record_event("task.created", subject=("task", uuid4()))
    local = (today + timedelta(hours=13)).date()
    assert types(ada, created_after=str(local - timedelta(days=1)), type="task.*") == ["task.created"]
    assert types(ada, created_before=str(local), type="task.*") == ["task.created"]
    assert types(ada, created_after=str(local + timedelta(days=2))) == []
    assert types(ada, created_before=str(local - timedelta(days=2))) == []


@pytest.mark.parametrize(
    "query", [{}, {"type": ["task.*", "run.*"]}, {"type": "task.*"}, {"subject_type": "task"}]
)
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
def test_pages_hang_together(app: Flask, admin: Person, query: dict[str, Any], sort: str) -> None:
    with app.app_context(), transaction():
        ids = [
            str(record_event(name, subject=("task", uuid4())).id or "")
            for name in ("task.created", "task.updated", "run.started") * 5
        ]
    assert len(ids) == 15
    whole = [item["id"] for item in audit(admin, per_page=100, sort=sort, **query)]
    by_cursor, answer = [], admin.get("/api/admin/audit", query_string={"per_page": 4, "sort": sort, **query})
    total = answer.json["total"]
    while True:
        by_cursor += [item["id"] for item in answer.json["items"]]
        if answer.json["next_cursor"] is None:
            break
        answer = admin.get(
            "/api/admin/audit", query_string={"cursor": answer.json["next_cursor"], "per_page": 4}
        )
    by_number = [
        item["id"] for page in range(1, 7) for item in audit(admin, per_page=4, page=page, sort=sort, **query)
    ]
    assert whole == by_cursor == by_number
    assert total == len(whole)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"type": "task.[a-z]"}, "type.0"),
        ({"actor": "nobody-of-that-name"}, "actor"),
        ({"address": "localhost"}, "address"),
        ({"subject_id": "17"}, "subject_id"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"sort": "type"}, "sort"),
        ({"user": "olivia"}, "user"),
    ],
)
def test_what_cannot_be_meant_is_refused(admin: Person, query: dict[str, str], field: str) -> None:
    answer = admin.get("/api/admin/audit", query_string=query)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


@pytest.mark.one_database
def test_of_very_many_nobody_knows_how_many(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_COUNTED", 1)
    assert admin.get("/api/admin/audit").json["total"] is None


@pytest.mark.one_database
def test_it_is_for_administrators(owner: Person) -> None:
    for path in ("/api/admin/audit", "/api/admin/audit/export"):
        assert owner.get(path).status_code == 403


WANTED = {
    "everything": AuditFilter(),
    "a type": AuditFilter(types=["task.created"]),
    "types": AuditFilter(types=["task.*"]),
    "an actor": AuditFilter(actor_id=UUID(int=7)),
    "an actor and types": AuditFilter(actor_id=UUID(int=7), types=["task.*"]),
    "an address": AuditFilter(address="192.0.2.7"),
    "a request": AuditFilter(request_id="wanted"),
    "a subject": AuditFilter(subject_type="task", subject_id=UUID(int=7)),
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_nothing_of_the_log_is_read_but_what_is_shown(wanted: AuditFilter) -> None:
    with transaction():
        for name in ("task.created", "task.updated"):
            record_event(name, subject=("task", uuid4()))
    plans: list[str] = []

    def explain(connection: sa.Connection, clause: Any, *_args: Any) -> None:
        if isinstance(clause, sa.Select) and "FROM events" in str(clause) and "EXPLAIN" not in str(clause):
            plans.append(plan_of(connection, clause))

    sa.event.listen(db.engine, "before_execute", explain)
    try:
        queries.page_of_events(wanted, PageRequest())
    finally:
        sa.event.remove(db.engine, "before_execute", explain)
    assert plans
    for plan in plans:
        assert "Seq Scan on events" not in plan, plan
        assert "SCAN events\n" not in f"{plan}\n", plan


def plan_of(connection: sa.Connection, clause: sa.Select[Any]) -> str:
    text = str(clause.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "postgresql":
        # Of a small table it would read all.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}"))
    return "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


def test_an_export_has_the_filters_of_the_list(app: Flask, owner: Person, admin: Person) -> None:
    for person in (owner, admin):
        person.post("/api/tags", {"name": person.email})
    tick(app)
    answer = admin.get("/api/admin/audit/export", query_string={"actor": "olivia", "type": "tag.*"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(line["type"], line["actor_id"]) for line in lines] == [("tag.created", str(owner.id))]
