"""Whose token ends is sent away, and who becomes somebody else is told as such."""

import time as clock
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from taskapi.accounts.models import User
from taskapi.accounts.tokens import new_access_token
from taskapi.core.db import session, transaction
from taskapi.events.live import process
from tests.events.live.listening import Listening
from tests.people import PASSWORD, Person
from tests.tasks.making import make_task


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STANDING_SECONDS", 0.05)


def change(app: Flask, person: Person, **values: object) -> None:
    with app.app_context(), transaction():
        user = session().get_one(User, person.id)
        for name, value in values.items():
            setattr(user, name, value)


ENDS: dict[str, Callable[[Flask, Person], object]] = {
    "signed out": lambda _, person: person.post("/api/auth/logout"),
    "signed out everywhere": lambda _, person: person.post("/api/auth/logout-all"),
    "account switched off": lambda app, person: change(app, person, is_active=False),
    "account closed": lambda _, person: person.delete("/api/auth/me", json={"password": PASSWORD}),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_session_that_ends_closes_its_connections(
    listening: Listening, owner: Person, teammate: Person, how: str
) -> None:
    client, source, other = (
        listening.websocket(owner),
        listening.stream(owner),
        listening.websocket(teammate),
    )
    assert client.is_silent()
    ENDS[how](listening.app, owner)
    assert client.end() == (4401, "token_revoked")
    while (message := source.message())["type"] != "closed":
        pass
    assert message["data"] == {"code": 4401, "reason": "token_revoked"}
    assert source.message() is None
    assert other.is_silent()


def test_a_personal_token_that_is_deleted_closes_its_connections_alone(
    listening: Listening, owner: Person
) -> None:
    made = [
        owner.post("/api/auth/tokens", {"name": name, "scopes": ["read"]}).json for name in ("one", "two")
    ]
    clients = [listening.websocket(token=token["token"]) for token in made]
    assert all(client.is_silent() for client in clients)
    owner.delete(f"/api/auth/tokens/{made[0]['id']}")
    assert clients[0].end() == (4401, "token_revoked")
    assert clients[1].is_silent()


@pytest.mark.one_database
def test_a_token_that_expires_closes_its_connections(listening: Listening, owner: Person) -> None:
    with listening.app.app_context():
        assert owner.actor.session_id is not None
        ids = {"user_id": owner.id, "session_id": owner.actor.session_id}
        token = new_access_token(**ids, lifetime=timedelta(seconds=1.2))
    client, source = (
        listening.websocket(token=token),
        listening.stream(replace(owner, access_token=token)),
    )
    assert client.end() == (4401, "token_expired")
    assert source.message()["data"]["reason"] == "token_expired"


def test_who_gets_another_role_is_told_to_fetch_everything_and_sees_as_such(
    listening: Listening, owner: Person, teammate: Person
) -> None:
    client = listening.websocket(teammate)
    assert client.is_silent()
    change(listening.app, teammate, role="admin")
    message = client.message()
    assert (message["type"], message["data"]) == ("resync", {"reason": "role_changed"})
    make_task(owner, title="Tea")
    listening.relay()
    assert client.message()["data"]["title"] == "Tea"
    change(listening.app, teammate, role="user")
    assert client.message()["type"] == "resync"
    make_task(owner, title="Secret")
    make_task(teammate, title="Coffee")
    listening.relay()
    assert client.message()["data"]["title"] == "Coffee"


@pytest.mark.one_database
def test_while_the_database_is_away_nobody_is_sent_away(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PAUSE_SECONDS", 0.01)
    asked = []

    def fail(*_args: object) -> None:
        asked.append(1)
        raise ConnectionError("no database")

    with monkeypatch.context() as patched:
        patched.setattr(process, "now_of", fail)
        patched.setattr(process, "read_batch", fail)
        client = listening.websocket(owner)
        make_task(owner, title="Tea")
        while len(asked) < 6:
            clock.sleep(0.01)
        assert client.is_silent()
    listening.relay()
    assert client.message()["data"]["title"] == "Tea"
