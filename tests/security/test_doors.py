"""Who is switched off, deleted or gone is out everywhere within five seconds, whatever they hold."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.events.live import process
from tests.accounts.authenticator import StandingClock, enable
from tests.accounts.helpers import bearer, exchange, log_in
from tests.accounts.links import reset, reset_token
from tests.admin.managing import user_path
from tests.calendar.making import fetch, make_feed
from tests.events.live.listening import UPGRADE, EventSource, Listening, ask
from tests.files.making import store
from tests.people import PASSWORD, Person
from tests.rules.access_table import CLOSED
from tests.s3 import new_bucket
from tests.smtp import MailServer

End = Callable[[Person, Person], object]
ENDS: dict[str, End] = {
    "switched off": lambda person, admin: admin.patch(user_path(person), {"is_active": False}),
    "deleted": lambda person, admin: admin.delete(user_path(person)),
    "gone": lambda person, _admin: person.delete("/api/auth/me", json={"password": PASSWORD}),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are looked at sooner than every two seconds."""
    assert process.STANDING_SECONDS < 3
    monkeypatch.setattr(process, "STANDING_SECONDS", 0.05)


@pytest.fixture
def signing_store(app: Flask, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads lead to a bucket."""
    storage = new_bucket(s3_url, tmp_path, signed_downloads=True)
    monkeypatch.setitem(app.extensions, "taskapi_storage", storage)


@pytest.mark.usefixtures("signing_store")
@pytest.mark.parametrize("how", ENDS)
def test_every_door_is_closed_within_five_seconds(
    app: Flask,
    client: FlaskClient,
    owner: Person,
    admin: Person,
    mail_server: MailServer,
    listening: Listening,
    how: str,
) -> None:
    program = owner.post("/api/auth/tokens", {"name": "program", "scopes": ["read"]}).json["token"]
    feed, link = make_feed(owner), reset_token(app, mail_server, owner)
    sockets = [listening.websocket(owner), listening.websocket(token=program)]
    assert [socket.is_silent() for socket in sockets] == [True, True]
    streams = [listening.stream(owner), listening.stream(replace(owner, access_token=program))]
    listening.wait_for_connections(4)
    file = f"/api/files/{store(owner)}/content"
    assert owner.get(file).status_code == 302
    assert fetch(client, feed).status_code == 200
    begun = time.monotonic()
    answer = ENDS[how](owner, admin)
    assert getattr(answer, "status_code", 0) in (200, 204)
    held = (owner.access_token, program)
    assert {client.get("/api/auth/me", headers=bearer(token)).status_code for token in held} == {401}
    assert {client.get(file, headers=bearer(token)).status_code for token in held} == {401}
    assert exchange(client, owner.refresh_token).status_code == 401
    assert log_in(client, owner.email).status_code == 401
    assert fetch(client, feed).status_code == 404
    assert reset(client, link).status_code == 400
    assert {socket.end() for socket in sockets} <= {(4401, "token_revoked"), (4401, "invalid_token")}
    assert {last_code(stream) for stream in streams} == {4401}
    assert time.monotonic() - begun < 5


def last_code(stream: EventSource) -> int:
    """Of the message after which it ends."""
    last: Any = None
    while (message := stream.message()) is not None:
        last = message
    return int(last["data"]["code"])


@pytest.fixture
def strong(admin: Person) -> Person:
    """An administrator with a second factor."""
    enable(admin, StandingClock())
    return admin


@pytest.mark.one_database
def test_a_password_without_the_code_opens_no_door_by_basic_authentication(
    app: Flask, client: FlaskClient, strong: Person
) -> None:
    assert log_in(client, strong.email).status_code == 401
    statuses = {}
    for route in [*CLOSED, "GET /admin/rq"]:
        method, path = route.split(" ")
        path = path.replace("<uuid:", "0199999900007000800000000000000").replace(">", "")
        statuses[route] = client.open(path, method=method, auth=(strong.email, PASSWORD)).status_code
    assert {route: status for route, status in statuses.items() if status not in (401, 404)} == {}
    assert statuses["GET /api/tasks"] == statuses["GET /admin/rq"] == 401
    socket = client.get("/calendar/feed.ics", auth=(strong.email, PASSWORD))
    assert socket.status_code == 404
    answer = ask(app, "/ws", UPGRADE, auth=(strong.email, PASSWORD))
    assert answer.status_code == 101
