"""The OpenAPI document says what the API really answers."""

import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.core.db import transaction
from taskapi.core.openapi import BLANKS, CONTROLS, CONTROLS_IN_LINES, NOT_BLANK
from taskapi.notifications.service import remind
from taskapi.notifications.unsubscribe import unsubscribe_url
from tests.files.making import store
from tests.people import PASSWORD, Person
from tests.schedules.making import make
from tests.tasks.making import make_task
from tests.work import tick

DESCRIBED_HEADERS = {"ETag", "Location", "Link", "X-Cache"}
EVERY_ERROR = "default"


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] | None = client.get("/openapi.json").json
    assert found is not None
    return found


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """What the document says of a request; a path without parameters goes first."""
    for template in sorted(document["paths"], key=lambda text: text.count("{")):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            found: dict[str, Any] | None = document["paths"][template].get(method.lower())
            if found is not None:
                return found
    raise AssertionError(f"{method} {path} is not in the document")


def check(document: dict[str, Any], answer: TestResponse) -> None:
    """Compare an answer with what the document says of it."""
    operation = operation_of(document, answer.request.method, answer.request.path)
    status = str(answer.status_code)
    assert status in operation["responses"] or answer.status_code >= 400, (answer.request, status)
    described = operation["responses"].get(status) or operation["responses"][EVERY_ERROR]
    assert set(described.get("headers", {})) >= DESCRIBED_HEADERS & set(answer.headers.keys()), answer.request
    if not answer.data:
        assert "content" not in described, answer.request
        return
    content = described["content"]
    schema = content.get(answer.mimetype, content.get("*/*"))["schema"]
    if answer.is_json:
        jsonschema_rs.validate({**schema, "components": document["components"]}, answer.json)


def of_accounts(owner: Person, app: Flask) -> Iterator[TestResponse]:
    sent = {"email": "nora@example.org", "password": PASSWORD}
    yield owner.client.post("/api/auth/register", json=sent)
    yield owner.client.post("/api/auth/login", json=sent)
    yield owner.client.post("/api/auth/login", json={**sent, "password": "wrong"})
    yield owner.client.post("/api/auth/refresh", headers={"Authorization": f"Bearer {owner.refresh_token}"})
    shown = owner.get("/api/auth/me")
    yield shown
    yield owner.get("/api/auth/me", headers={"If-None-Match": shown.headers["ETag"]})
    yield owner.patch("/api/auth/me", {"full_name": 1})
    yield owner.patch("/api/auth/me", {"avatar_url": "https://a.example/o.png"})
    yield owner.post("/api/auth/logout")
    yield owner.get("/api/auth/me")


def of_tokens(owner: Person, app: Flask) -> Iterator[TestResponse]:
    made = owner.post("/api/auth/tokens", {"name": "script", "scopes": ["READ"]})
    yield made
    yield owner.post("/api/auth/tokens", {"name": "script", "scopes": ["admin"]})
    yield owner.get("/api/auth/tokens?per_page=1")
    yield owner.delete(f"/api/auth/tokens/{made.json['id']}")
    yield owner.delete(f"/api/auth/tokens/{made.json['id']}")
    yield owner.get("/api/auth/sessions")
    yield owner.get("/api/auth/users?q=o&sort=-username")
    yield owner.delete("/api/auth/me", json={"password": "wrong"})
    yield owner.delete("/api/auth/me", json={"password": PASSWORD})


def of_recovery(owner: Person, app: Flask) -> Iterator[TestResponse]:
    passwords = {"current_password": PASSWORD, "new_password": "staple battery horse"}
    yield owner.post("/api/auth/me/password", {**passwords, "current_password": "wrong"})
    yield owner.post("/api/auth/me/password", {**passwords, "new_password": "short"})
    yield owner.post("/api/auth/me/password", passwords)
    yield owner.post("/api/auth/verify-email/resend")
    yield owner.client.get("/api/auth/verify-email")
    yield owner.client.post("/api/auth/verify-email", json={"token": "nonsense"})
    yield owner.client.post("/api/auth/password-reset", json={"email": owner.email})
    yield owner.client.get("/api/auth/password-reset/confirm")
    sent = {"token": "nonsense", "password": PASSWORD}
    yield owner.client.post("/api/auth/password-reset/confirm", json=sent)


def of_second_factor(owner: Person, app: Flask) -> Iterator[TestResponse]:
    path, password = "/api/auth/me/second-factor", {"password": PASSWORD}
    begun = owner.post(path, password)
    yield begun
    yield owner.post(f"{path}/confirm", {"code": "nonsense"})
    yield owner.post(f"{path}/confirm", {"code": pyotp.TOTP(begun.json["secret"]).now()})
    yield owner.get(path)
    yield owner.client.post("/api/auth/login", json={"email": owner.email, **password})
    renewed = owner.post(f"{path}/recovery-codes", password)
    yield renewed
    yield owner.delete(path, json={**password, "code": renewed.json["recovery_codes"][0]})
    yield owner.get(path)


def of_schedules(owner: Person, app: Flask) -> Iterator[TestResponse]:
    every = {"action": "reminder", "params": {"message": "Tea"}, "every": "PT1M", "retry": {"delay": "PT5S"}}
    path = f"/api/schedules/{make(owner, every=60)['id']}"
    yield owner.post("/api/schedules", every)
    yield owner.post("/api/schedules", {**every, "cron": "* * * * *"})
    yield owner.get("/api/schedules?per_page=1")
    shown = owner.get(path)
    yield shown
    yield owner.get(path, headers={"If-None-Match": shown.headers["ETag"]})
    yield owner.get("/api/actions")
    yield owner.post("/api/schedules/preview", {"every": 60})
    yield owner.get(f"{path}/preview")
    run = owner.post(f"{path}/run")
    yield run
    tick(app)
    yield owner.get("/api/runs")
    yield owner.get(f"{path}/runs")
    yield owner.get(f"/api/runs/{run.json['id']}")
    yield owner.get(f"/api/runs/{run.json['id']}/log")
    yield from (owner.post(f"{path}/{verb}") for verb in ("pause", "resume", "cancel", "resume"))
    yield owner.delete(path)
    yield owner.get(path)


def of_notifications(owner: Person, app: Flask) -> Iterator[TestResponse]:
    with app.app_context():
        with transaction():
            remind(user_id=owner.id, title="Tea", message="At four.", to=None, key="k")
        link = urlsplit(unsubscribe_url(user_id=owner.id, address=owner.email, kind="reminder")).path
    listed = owner.get("/api/notifications")
    yield listed
    yield owner.put(f"/api/notifications/{listed.json['items'][0]['id']}/read")
    yield owner.get("/api/notifications/unread-count")
    yield owner.put("/api/notifications/read-all")
    yield owner.client.get(link)
    yield owner.client.post(link)
    yield owner.client.get("/api/notifications/unsubscribe/nonsense")


def of_tasks(owner: Person, app: Flask) -> Iterator[TestResponse]:
    made = owner.post("/api/tasks", {"title": "Tea", "due_date": "2030-01-01", "tags": ["home"]})
    yield made
    path = f"/api/tasks/{made.json['id']}"
    yield owner.post("/api/tasks/bulk", {"tasks": [{"title": "Milk"}]})
    yield owner.post("/api/tasks/bulk?partial=true", {"tasks": [{"title": "Milk"}, {"title": ""}]})
    for outside_id in ("a", "a"):
        yield owner.put(f"/api/tasks/by-external-id/{outside_id}", {"title": "Sugar"})
    for _ in range(2):
        yield owner.get("/api/tasks?per_page=1")
    shown = owner.get(path)
    yield shown
    yield owner.get(path, headers={"If-None-Match": shown.headers["ETag"]})
    yield owner.patch(path, {"external_id": "a"})
    yield owner.patch(path, {"status": "done"})
    yield owner.delete(path)
    yield owner.post(f"{path}/restore")
    yield owner.get(f"{path}/history")


def of_what_hangs_on_tasks(owner: Person, app: Flask) -> Iterator[TestResponse]:
    task = f"/api/tasks/{owner.post('/api/tasks', {'title': 'Tea'}).json['id']}"
    for collection, sent in ((f"{task}/comments", {"content": "*Well*"}), ("/api/tags", {"name": "home"})):
        made = owner.post(collection, sent)
        yield made
        path = f"{collection}/{made.json['id']}"
        yield owner.get(path, headers={"If-None-Match": made.headers["ETag"]})
        yield owner.patch(path, sent)
        yield owner.get(collection)
        yield owner.get(task)
        yield owner.delete(path)
        yield owner.get(path)
    owner.delete(task)
    for collection in ("comments", "files", "history"):
        yield owner.get(f"{task}/{collection}")


def of_files(owner: Person, app: Flask) -> Iterator[TestResponse]:
    path = f"/api/files/{store(owner)}"
    yield owner.get("/api/files?per_page=1")
    shown = owner.get(path)
    yield shown
    yield owner.get(path, headers={"If-None-Match": shown.headers["ETag"]})
    content = owner.get(f"{path}/content", buffered=True)
    yield content
    yield owner.get(f"{path}/content", headers={"Range": "bytes=1-2"}, buffered=True)
    yield owner.get(f"{path}/content", headers={"Range": "bytes=99999-"})
    yield owner.get(f"{path}/content", headers={"If-None-Match": content.headers["ETag"]})
    yield owner.delete(path)
    yield owner.get(path)


def of_health(owner: Person, app: Flask) -> Iterator[TestResponse]:
    yield owner.client.get("/health")
    yield owner.client.get("/api/health")
    yield owner.client.get("/api/health/ready")
    yield owner.client.get("/metrics")


def of_pings(owner: Person, app: Flask) -> Iterator[TestResponse]:
    checked = make(owner, action="expect_ping", params={"grace": 60}, every=60, start_deadline=None)
    path = urlsplit(checked["ping_url"]).path
    yield owner.get(f"/api/schedules/{checked['id']}")
    yield owner.post(f"/api/schedules/{checked['id']}/run")
    yield owner.client.post(path, data="done", content_type="text/plain")
    yield owner.client.get(path)
    yield owner.client.get(f"{path}/fail")
    yield owner.client.get("/ping/nonsense")


def of_calendar(owner: Person, app: Flask) -> Iterator[TestResponse]:
    feeds = "/api/calendar/feeds"
    made = owner.post(feeds, {"name": "Work"})
    yield made
    yield owner.post(feeds, {"name": ""})
    yield owner.get(feeds)
    yield owner.get(f"{feeds}/{made.json['id']}")
    make_task(owner, due_date="2026-11-27T16:00:00Z")
    path = urlsplit(made.json["url"]).path
    read = owner.client.get(path)
    yield read
    yield owner.client.get(path, headers={"If-None-Match": read.headers["ETag"]})
    yield owner.client.get(f"{path}?as=nonsense")
    yield owner.delete(f"{feeds}/{made.json['id']}")
    yield owner.client.get(path)


@pytest.mark.one_database
@pytest.mark.parametrize(
    "family",
    [
        *(of_accounts, of_tokens, of_recovery, of_second_factor),
        *(of_schedules, of_notifications, of_tasks, of_what_hangs_on_tasks),
        *(of_files, of_health, of_pings, of_calendar),
    ],
)
def test_every_answer_is_as_described(
    app: Flask, owner: Person, document: dict[str, Any], family: Any
) -> None:
    for answer in family(owner, app):
        check(document, answer)


def parameters_in_queries(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()) if method != "parameters" else ():
                if parameter["in"] == "query":
                    yield f"{method.upper()} {path}", parameter


def test_times_durations_and_addresses_have_types(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    request = schemas["NewSchedule"]["properties"]
    assert request["starts_at"] == {"type": "string", "format": "date-time"}
    assert [kind["type"] for kind in request["every"]["anyOf"]] == ["number", "string", "null"]
    assert request["every"]["anyOf"][0]["minimum"] == 1
    assert schemas["FireTime"]["properties"]["local"]["format"] == "date-time"
    assert schemas["Problem"]["properties"]["type"]["format"] == "uri"


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("NewSchedule", ["run_at", "cron", "every", "rrule"]),
        ("Preview", ["run_at", "cron", "every", "rrule"]),
        ("Login", ["email", "username"]),
    ],
)
def test_it_says_where_exactly_one_field_is_sent(
    document: dict[str, Any], schema: str, names: list[str]
) -> None:
    choices = {"oneOf": document["components"]["schemas"][schema]["oneOf"]}
    for sent, fits in (
        ([], False),
        (names[:1], True),
        (names[1:2], True),
        (names[:2], False),
        (names, False),
    ):
        assert jsonschema_rs.is_valid(choices, dict.fromkeys(sent, "x")) == fits, sent


def test_a_trigger_that_is_null_is_as_if_it_were_not_sent(document: dict[str, Any], owner: Person) -> None:
    schema = {"$ref": "#/components/schemas/NewSchedule", "components": document["components"]}
    of_reminder = {"action": "reminder", "params": {"message": "Tea"}}
    for triggers, status in (({"cron": None, "every": 3600}, 201), ({"cron": None}, 422), ({}, 422)):
        sent = {**of_reminder, **triggers}
        assert jsonschema_rs.is_valid(schema, sent) == (status == 201), triggers
        assert owner.post("/api/schedules", sent).status_code == status


def test_it_says_of_every_text_in_a_query_that_it_has_no_nul(document: dict[str, Any]) -> None:
    texts = {
        f"{operation} {parameter['name']}": parameter["schema"].get("items", parameter["schema"])
        for operation, parameter in parameters_in_queries(document)
    }
    taking = [
        name for name, text in texts.items() if jsonschema_rs.is_valid(text, "a\0b", validate_formats=True)
    ]
    assert len(texts) > 100
    assert taking == []


@pytest.mark.parametrize("controls", [CONTROLS, CONTROLS_IN_LINES])
def test_it_says_which_texts_are_blank(controls: str) -> None:
    printable = re.findall(f"[^{controls}]", "".join(map(chr, range(sys.maxunicode + 1))))
    blank = {letter for letter in printable if not re.search(NOT_BLANK.format(controls, BLANKS), letter)}
    assert blank == {letter for letter in printable if letter.isspace()}


@pytest.mark.parametrize(
    ("operation", "status", "headers"),
    [
        ("get /api/schedules/{schedule_id}", "200", {"ETag"}),
        ("get /api/schedules/{schedule_id}", "304", {"ETag"}),
        ("post /api/schedules", "201", {"ETag", "Location"}),
        ("get /api/schedules", "200", {"Link"}),
        ("get /api/tasks", "200", {"Link", "X-Cache"}),
        ("get /api/analytics/overview", "200", {"X-Cache"}),
    ],
)
def test_it_describes_headers(
    document: dict[str, Any], operation: str, status: str, headers: set[str]
) -> None:
    method, _, path = operation.partition(" ")
    assert document["paths"][path][method]["responses"][status]["headers"].keys() == headers


def test_it_names_404_wherever_a_path_names_something(document: dict[str, Any]) -> None:
    without = {
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "{" in path and method != "parameters" and operation["security"]
        if "404" not in operation["responses"]
    }
    assert without == set()
