"""Who somebody is, is kept for a minute, and believed no moment longer than it is true."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from taskapi.accounts import sign_in
from taskapi.app import create_app
from taskapi.background import hints
from taskapi.background.scripts import Line
from taskapi.core import freshness
from taskapi.core.db import db, transaction
from taskapi.events.service import relay_events
from tests.accounts.helpers import code
from tests.conftest import settings_for
from tests.people import Person, set_role
from tests.tasks.conftest import statements
from tests.tasks.making import make_task

__all__ = ("statements",)

ME = "/api/auth/me"
LIST = "/api/tasks"


@pytest.fixture
def trips(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that are sent to Redis: each is a round trip."""
    sent: list[str] = []
    execute: Callable[..., Any] = Redis.execute_command

    def note(client: Redis, *words: Any, **options: Any) -> Any:
        sent.append(words[0])
        return execute(client, *words, **options)

    say: Callable[..., Any] = Line._say

    def note_on_line(line: Line, *words: Any) -> Any:
        sent.append(words[0])
        return say(line, *words)

    monkeypatch.setattr(Redis, "execute_command", note)
    monkeypatch.setattr(Line, "_say", note_on_line)
    return sent


@pytest.fixture
def other(app: Flask, owner: Person, tmp_path: Path, redis_url: str) -> Iterator[Person]:
    """The owner, at another process of the same installation."""
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    second = create_app(settings_for(tmp_path, redis_url, DATABASE_URL=url))
    yield replace(owner, client=second.test_client())
    with second.app_context():
        db.engine.dispose()


def nothing_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process were killed right after each commit."""
    monkeypatch.setattr(freshness, "_renew_after_commit", lambda _names: None)


def relay(app: Flask) -> None:
    with app.app_context():
        relay_events()


def test_a_kept_list_costs_one_question_and_no_statement(
    app: Flask, owner: Person, statements: list[str], trips: list[str]
) -> None:
    make_task(owner)
    for _ in range(2):
        owner.get(LIST)
    statements.clear()
    trips.clear()
    assert owner.get(LIST).headers["X-Cache"] == "hit"
    assert (statements, trips) == ([], ["EVALSHA"])


def test_other_requests_ask_once_too_and_no_statement_says_who_calls(
    owner: Person, statements: list[str], trips: list[str]
) -> None:
    task = make_task(owner)
    owner.get(f"{LIST}/{task['id']}")
    statements.clear()
    trips.clear()
    assert owner.get(f"{LIST}/{task['id']}").status_code == 200
    assert trips == ["EVALSHA"]
    assert not [statement for statement in statements if "FROM users JOIN sessions" in statement]


def test_a_first_request_asks_twice_and_then_once(owner: Person, trips: list[str]) -> None:
    owner.client.get("/health")
    counts = []
    for _ in range(2):
        trips.clear()
        owner.get(ME)
        counts.append(len(trips))
    assert counts == [2, 1]


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_database_says_who_calls(owner: Person, statements: list[str]) -> None:
    for _ in range(2):
        statements.clear()
        assert owner.get(ME).status_code == 200
        assert any("sessions" in statement for statement in statements)
    owner.post("/api/auth/logout")
    assert code(owner.get(ME)) == (401, "token_revoked")


def test_who_signs_out_is_out_at_once_in_every_process(owner: Person, other: Person) -> None:
    for person in (owner, other):
        assert person.get(ME).status_code == 200
    owner.post("/api/auth/logout")
    assert [code(person.get(ME)) for person in (other, owner)] == [(401, "token_revoked")] * 2


def test_a_deleted_token_is_refused_at_once_in_every_process(owner: Person, other: Person) -> None:
    made = owner.post("/api/auth/tokens", {"name": "script", "scopes": ["read"]}).json
    program = replace(other, access_token=made["token"])
    assert [program.get(ME).status_code for _ in range(3)] == [200] * 3
    owner.delete(f"/api/auth/tokens/{made['id']}")
    assert code(program.get(ME)) == (401, "invalid_token")


def test_another_role_counts_at_once_in_every_process(app: Flask, owner: Person, other: Person) -> None:
    assert other.get("/api/admin/stats").status_code == 403
    with app.app_context(), transaction():
        set_role(owner.email, "admin")
    assert other.get("/api/admin/stats").status_code == 200


def test_who_was_found_before_a_session_ended_is_not_believed_after(
    owner: Person, other: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow process reads the session, it is ended, and only then is kept what was read."""
    found = sign_in.authenticate

    def slow(token: str) -> Any:
        actor = found(token)
        monkeypatch.undo()
        assert owner.post("/api/auth/logout").status_code == 204
        return actor

    monkeypatch.setitem(other.client.application.extensions, "taskapi_authenticator", slow)
    assert other.get(ME).status_code == 200
    assert code(other.get(ME)) == (401, "token_revoked")


def test_the_relay_makes_up_for_a_process_that_dies_right_after_a_commit(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        owner.get(LIST)
    with monkeypatch.context() as killed:
        nothing_is_renewed(killed)
        make_task(owner)
        assert owner.get(LIST).json["total"] == 0
    relay(app)
    assert owner.get(LIST).json["total"] == 1
    with monkeypatch.context() as killed:
        nothing_is_renewed(killed)
        owner.post("/api/auth/logout")
        assert owner.get(ME).status_code == 200
    relay(app)
    assert code(owner.get(ME)) == (401, "token_revoked")


def test_a_process_that_could_not_tell_of_a_change_believes_nothing_of_before(
    app: Flask, owner: Person, other: Person
) -> None:
    """Redis is away for one process: what it makes up for holds for all."""
    for person in (owner, other):
        assert person.get(ME).status_code == 200
    there = app.extensions["taskapi_redis"]
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    owner.post("/api/auth/logout")
    app.extensions["taskapi_redis"] = there
    assert [code(person.get(ME)) for person in (owner, other)] == [(401, "token_revoked")] * 2


def test_a_flushed_redis_brings_no_standing_back(
    owner: Person, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.get(ME)
    with Redis.from_url(redis_url) as redis:
        kept = {key: redis.get(key) for key in redis.keys("taskapi:cache:standing:*")}
        owner.post("/api/auth/logout")
        redis.flushdb()
        for key, value in kept.items():
            redis.set(key, value or b"")
    assert kept
    assert code(owner.get(ME)) == (401, "token_revoked")


@pytest.mark.one_database
def test_who_writes_to_redis_makes_nobody_an_administrator(owner: Person, redis_url: str) -> None:
    owner.get(ME)
    with Redis.from_url(redis_url) as redis:
        (key,) = redis.keys("taskapi:cache:standing:*")
        kept = redis.get(key) or b""
        assert b'"user"' in kept
        redis.set(key, kept.replace(b'"user"', b'"admin"'))
    assert owner.get("/api/admin/stats").status_code == 403


@pytest.mark.one_database
def test_the_standing_of_one_is_not_another_persons(owner: Person, admin: Person, redis_url: str) -> None:
    """Also with the right versions under it, what was signed for one key is worth nothing under another."""
    for person in (owner, admin):
        person.get(ME)
    with Redis.from_url(redis_url) as redis:
        keys = {person.id.hex: redis.keys(f"*standing:{person.id.hex}*")[0] for person in (owner, admin)}
        versions = [f"{hints.VERSIONS}standing/{person.id.hex}" for person in (admin, owner)]
        redis.copy(versions[0], versions[1], replace=True)
        redis.copy(keys[admin.id.hex], keys[owner.id.hex], replace=True)
    assert owner.get("/api/admin/stats").status_code == 403
