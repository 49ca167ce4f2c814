"""Refusals: told in the log, few of them at a time, and never at the cost of an answer."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.core.refusals import IN_ALL, MAX_WAITING, PER_ADDRESS, WINDOW_SECONDS, Refusal, Refusals
from taskapi.environment import Rate
from taskapi.events.audit import refusals
from taskapi.events.audit.refusals import NOBODY, refusals_written, write_refusals
from tests.events.live.listening import UPGRADE, Listening, WebSocketClient, ask, take_of
from tests.people import PASSWORD, Person
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of

REFUSED, FAILED = "access.refused", "sign_in.failed"
ADDRESS, FROM = "192.0.2.7", {"X-Request-ID": "the-request-that-was-refused"}


@pytest.fixture(autouse=True)
def fresh(app: Flask) -> Iterator[None]:
    """Nothing of earlier tests waits."""
    before = app.extensions["taskapi_refusals"]
    app.extensions["taskapi_refusals"] = Refusals()
    yield
    app.extensions["taskapi_refusals"] = before


def written(app: Flask) -> list[Event]:
    """What the log has of refusals, once what waits is written."""
    with app.app_context():
        write_refusals()
        found = sa.select(Event).where(Event.type.in_([REFUSED, FAILED])).order_by(Event.id)
        return list(session().scalars(found))


def only(app: Flask) -> Event:
    (event,) = written(app)
    return event


def told(event: Event) -> tuple[Any, ...]:
    assert event.after is not None
    return tuple(event.after[name] for name in ("method", "route", "status", "code"))


def test_a_request_without_a_token_is_told(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/api/tasks?q=private", headers={"User-Agent": "curl/8"})
    event = only(app)
    assert told(event) == ("GET", "/api/tasks", 401, "unauthorized")
    assert (event.address, event.context) == ("127.0.0.1", {"via": "api", "user_agent": "curl/8"})
    assert (event.actor_id, event.owner_id, event.request_id) == (None, None, answer.headers["X-Request-ID"])
    assert (event.subject_type, event.subject_id) == ("request", NOBODY)


def test_who_was_refused_is_told(app: Flask, owner: Person, teammate: Person, admin: Person) -> None:
    admin.patch(path_of(make_task(owner)), {"title": "Tea"})
    teammate.get("/api/admin/audit")
    event = only(app)
    assert told(event) == ("GET", "/api/admin/audit", 403, "admin_only")
    assert event.actor_id == event.owner_id == event.subject_id == teammate.id
    assert event.context is not None
    assert event.context["session_id"] == str(teammate.actor.session_id)


@dataclass(frozen=True)
class Refused:
    """A request that is refused, and how."""

    request: str
    status: int
    code: str
    # Whose token is shown; anybody else's name is shown itself.
    token: str = ""
    basic: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    type: str = REFUSED

    def send(self, app: Flask, tokens: dict[str, str]) -> Any:
        """From an address and under an id that no other request has."""
        method, path = self.request.split(" ")
        shown = {"Authorization": f"Bearer {tokens.get(self.token, self.token)}"} if self.token else {}
        with settings_changed(app, **self.settings):
            return app.test_client().open(
                path,
                method=method,
                json=self.json,
                auth=("ada", self.basic) if self.basic else None,
                headers={**FROM, **shown, **self.headers},
                environ_overrides={"REMOTE_ADDR": ADDRESS},
            )


KINDS = {
    "no token": Refused("GET /api/tasks", 401, "unauthorized"),
    "a bad token": Refused("GET /api/tasks", 401, "invalid_token", token="nonsense"),
    "a missing scope": Refused(
        "POST /api/tasks", 403, "missing_scope", token="reader", json={"title": "Tea"}
    ),
    "a program": Refused("GET /api/auth/sessions", 403, "session_required", token="reader"),
    "no administrator": Refused("GET /api/admin/users", 403, "admin_only", token="owner"),
    "another site": Refused(
        "GET /ws", 403, "foreign_origin", headers={**UPGRADE, "Origin": "https://evil.example"}
    ),
    "a calendar": Refused("GET /calendar/tac_nonsense.ics", 404, "not_found"),
    "a check": Refused("GET /ping/tapi_nonsense", 404, "not_found"),
    "a link in a mail": Refused(
        "GET /api/notifications/unsubscribe/nonsense", 404, "unknown_unsubscribe_link"
    ),
    "a mailed token": Refused(
        "POST /api/auth/password-reset/confirm",
        400,
        "invalid_one_time_token",
        json={"token": "nonsense", "password": "a new one, long"},
    ),
    "a refresh token": Refused("POST /api/auth/refresh", 401, "invalid_token", token="tar_nonsense"),
    "a wrong password": Refused(
        "DELETE /api/auth/me", 403, "wrong_password", token="owner", json={"password": "wrong password"}
    ),
    "a sign-in": Refused(
        "POST /api/auth/login",
        401,
        "invalid_credentials",
        json={"username": "olivia", "password": "wrong password"},
        type=FAILED,
    ),
    "figures": Refused(
        "GET /metrics", 401, "unauthorized", token="nonsense", settings={"metrics_token": "of the operator"}
    ),
    "queues without a password": Refused("GET /admin/rq", 401, "administrator_required"),
    "queues": Refused("GET /admin/rq", 401, "administrator_required", basic="nonsense"),
    "a page of queues": Refused("GET /admin/rq/queues.json", 401, "administrator_required", basic="nonsense"),
    "a foreign host": Refused(
        "GET /api/tasks",
        400,
        "unknown_host",
        headers={"Host": "evil.example"},
        settings={"allowed_hosts": ("tasks.example",)},
    ),
    "too many requests": Refused(
        "GET /api/tasks", 429, "rate_limited", token="owner", settings={"rate_limit_default": Rate(0, 3600)}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_refusal_is_told(app: Flask, owner: Person, kind: str) -> None:
    token = owner.post("/api/auth/tokens", {"name": "reader", "scopes": ["read"]}).json["token"]
    refused = KINDS[kind]
    answer = refused.send(app, {"reader": token, "owner": owner.access_token})
    assert answer.status_code == refused.status, answer.text
    event = only(app)
    assert (event.type, told(event)[2:]) == (refused.type, (refused.status, refused.code))
    assert (event.address, event.request_id) == (ADDRESS, FROM["X-Request-ID"])


@pytest.mark.parametrize("way", ["in the path", "in a header", "in the first message"])
def test_a_live_connection_that_is_closed_for_its_token_is_told(
    app: Flask, listening: Listening, way: str
) -> None:
    path = "/ws/nonsense" if way == "in the path" else "/ws"
    shown = {"Authorization": "Bearer nonsense"} if way == "in a header" else {}
    sent = {**UPGRADE, **FROM, **shown}
    answer = ask(app, path, sent, environ_overrides={"REMOTE_ADDR": ADDRESS})
    client = WebSocketClient(take_of(answer))
    if way == "in the first message":
        assert written(app) == []
        client.send("nonsense")
    assert client.end() == (4401, "invalid_token")
    client.close()
    event = only(app)
    assert told(event)[2:] == (101, "invalid_token")
    assert (event.address, event.request_id) == (ADDRESS, FROM["X-Request-ID"])


@pytest.mark.one_database
def test_what_is_not_refused_is_not_told(app: Flask, owner: Person, teammate: Person) -> None:
    for path in (f"/api/tasks/{uuid4()}", "/api/nowhere", "/api/tasks?page=0", "/api/health"):
        owner.get(path)
    teammate.get(path_of(make_task(owner)))
    assert written(app) == []


@pytest.mark.parametrize("name", ["olivia", "OLIVIA@example.org"])
def test_a_failed_sign_in_names_the_account(
    app: Flask, client: FlaskClient, owner: Person, name: str
) -> None:
    client.post("/api/auth/login", json={"username": name, "password": "a wrong password"})
    event = only(app)
    assert (event.type, event.subject_id, event.owner_id) == (FAILED, owner.id, owner.id)
    assert (event.actor_id, event.address) == (None, "127.0.0.1")
    assert told(event) == ("POST", "/api/auth/login", 401, "invalid_credentials")


def test_a_name_that_nobody_has_is_not_written_down(app: Flask, client: FlaskClient) -> None:
    # People type their password there.
    client.post("/api/auth/login", json={"username": "my-secret-password", "password": "my-secret-password"})
    event = only(app)
    assert (event.type, event.subject_id) == (FAILED, NOBODY)
    assert "my-secret" not in str([event.after, event.context, event.request_id])


@pytest.mark.one_database
def test_a_sign_in_that_succeeds_is_no_refusal(app: Flask, client: FlaskClient, owner: Person) -> None:
    answer = client.post("/api/auth/login", json={"email": owner.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert written(app) == []


def refusal(address: str | None = "192.0.2.1") -> Refusal:
    return Refusal(told={"code": "unauthorized"}, address=address)


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_address_is_told_of_so_often_and_then_counted() -> None:
    clock = Clock()
    waiting = Refusals(clock)
    for _ in range(PER_ADDRESS + 7):
        waiting.add(refusal())
    waiting.add(refusal("192.0.2.2"))
    assert len(waiting.take()) == PER_ADDRESS + 1
    clock.now = WINDOW_SECONDS
    (rest,) = waiting.take()
    assert (rest.told, rest.address) == ({"repeated": 7}, "192.0.2.1")
    waiting.add(refusal())
    assert len(waiting.take()) == 1


def test_a_network_of_addresses_counts_as_one() -> None:
    waiting = Refusals(Clock())
    for number in range(PER_ADDRESS + 5):
        waiting.add(refusal(f"2001:db8::{number:x}"))
    assert len(waiting.take()) == PER_ADDRESS


def test_many_addresses_are_told_of_so_often_and_then_counted_together() -> None:
    clock = Clock()
    waiting = Refusals(clock)
    for number in range(IN_ALL + 200):
        waiting.add(refusal(f"10.0.{number // 250}.{number % 250}"))
    assert len(waiting.take()) == IN_ALL
    clock.now = WINDOW_SECONDS
    assert [(one.told, one.address) for one in waiting.take()] == [({"repeated": 200}, None)]


def test_while_nothing_can_be_written_no_more_waits_than_fits() -> None:
    clock = Clock()
    waiting = Refusals(clock)
    for minute in range(100):
        clock.now = minute * WINDOW_SECONDS
        for number in range(IN_ALL):
            waiting.add(refusal(f"10.0.{number // 250}.{number % 250}"))
        waiting.give_back(waiting.take())
    clock.now += WINDOW_SECONDS
    taken = waiting.take()
    assert len(taken) <= MAX_WAITING + IN_ALL
    clock.now += WINDOW_SECONDS
    counted = sum(one.told.get("repeated", 1) for one in [*taken, *waiting.take()])
    assert counted == 100 * IN_ALL


@pytest.mark.one_database
def test_nothing_is_lost_while_the_database_is_away(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/api/tasks").status_code == 401

    def fail(*_args: object, **_options: object) -> None:
        raise OperationalError("INSERT", {}, Exception("away"))

    with app.app_context(), monkeypatch.context() as patch:
        patch.setattr(refusals, "record_event", fail)
        assert write_refusals() == 0
    assert len(written(app)) == 1


def test_no_answer_waits_for_the_database(app: Flask, client: FlaskClient) -> None:
    if app.extensions["taskapi_settings"].uses_sqlite:
        # Its only writer is busy for as long as this block lasts.
        with app.app_context(), transaction():
            assert client.get("/api/tasks").status_code == 401
    else:
        with app.app_context(), transaction() as active:
            active.execute(sa.text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
            assert client.get("/api/tasks").status_code == 401
    assert len(written(app)) == 1


@pytest.mark.one_database
def test_a_thread_writes_them_beside_the_requests_and_at_the_end(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "PAUSE_SECONDS", 0.01)
    with app.app_context(), refusals_written(app):
        client.get("/api/tasks")
        is_written = threading.Event()
        for _ in range(500):
            if session().scalar(sa.select(sa.func.count()).select_from(Event)) == 1:
                break
            db.session.remove()
            is_written.wait(0.01)
        monkeypatch.setattr(refusals, "PAUSE_SECONDS", 5)
        client.get("/api/runs")
    assert len(written(app)) == 2


def test_a_closed_account_leaves_no_address_behind(app: Flask, owner: Person) -> None:
    owner.get("/api/admin/audit")
    assert only(app).owner_id == UUID(str(owner.id))
    assert owner.delete("/api/auth/me", json={"password": PASSWORD}).status_code == 204
    event = only(app)
    assert (event.address, event.context, event.after) == (None, None, None)
