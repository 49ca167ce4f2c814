"""GET /api/auth/sessions and DELETE /api/auth/sessions/{id}"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core import clock
from taskapi.core.db import session
from taskapi.core.events import Event
from tests.accounts.helpers import bearer, body, code, exchange, log_in, show_me
from tests.people import PASSWORD, Person
from tests.schedules.making import Time


def sessions_of(person: Person, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = body(person.get(f"/api/auth/sessions{query}"))["items"]
    return items


def sign_in_with(client: FlaskClient, agent: str, address: str = "203.0.113.9") -> dict[str, Any]:
    return body(
        client.post(
            "/api/auth/login",
            json={"email": "olivia@example.org", "password": PASSWORD},
            headers={"User-Agent": agent},
            environ_base={"REMOTE_ADDR": address},
        )
    )


def test_a_session_tells_when_and_where_it_was_used(client: FlaskClient, owner: Person) -> None:
    sign_in_with(client, "Firefox/150", "2001:db8::7")
    phone = sessions_of(owner)[0]
    assert set(phone) == {
        *("id", "created_at", "last_used_at", "expires_at", "address", "user_agent", "current")
    }
    assert (phone["address"], phone["user_agent"], phone["current"]) == ("2001:db8::7", "Firefox/150", False)


def test_the_session_that_asks_is_marked(owner: Person) -> None:
    (mine,) = sessions_of(owner)
    assert (mine["id"], mine["current"]) == (str(owner.actor.session_id), True)


def test_one_session_is_shown_as_in_the_list(client: FlaskClient, owner: Person) -> None:
    sign_in_with(client, "Firefox/150")
    for listed in sessions_of(owner):
        assert body(owner.get(f"/api/auth/sessions/{listed['id']}")) == listed


def test_a_session_that_ended_or_is_anothers_is_not_found(
    client: FlaskClient, owner: Person, teammate: Person
) -> None:
    sign_in_with(client, "Firefox/150")
    ended = sessions_of(owner)[0]["id"]
    owner.delete(f"/api/auth/sessions/{ended}")
    for unseen in (ended, teammate.actor.session_id, uuid4()):
        assert code(owner.get(f"/api/auth/sessions/{unseen}")) == (404, "session_not_found")


def test_the_last_used_comes_first_and_pages_go_on(client: FlaskClient, owner: Person) -> None:
    with Time(clock.now()).running() as time:
        for name in ("one", "two", "three"):
            time.pass_(minutes=1)
            sign_in_with(client, name)
        first = body(owner.get("/api/auth/sessions?per_page=2"))
        rest = body(owner.get(f"/api/auth/sessions?cursor={first['next_cursor']}&per_page=2"))
    names = [item["user_agent"] for page in (first, rest) for item in page["items"]]
    assert names == ["three", "two", "one", None]
    assert first["total"] == 4


def test_an_exchange_moves_a_session_to_where_it_is_used_now(client: FlaskClient, owner: Person) -> None:
    pair = sign_in_with(client, "old")
    with Time(clock.now() + timedelta(minutes=5)).running():
        client.post(
            "/api/auth/refresh",
            headers={**bearer(pair["refresh_token"]), "User-Agent": "new"},
            environ_base={"REMOTE_ADDR": "192.0.2.1"},
        )
    moved = sessions_of(owner)[0]
    assert (moved["address"], moved["user_agent"]) == ("192.0.2.1", "new")
    assert moved["last_used_at"] > moved["created_at"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("agent", "kept"),
    [("x" * 400, "x" * 300), ("a\tb\x7fc", "abc"), ("\u00e9clair", "\u00e9clair"), ("", None)],
)
def test_what_a_program_calls_itself_is_cut_and_printable(
    client: FlaskClient, owner: Person, agent: str, kept: str | None
) -> None:
    sign_in_with(client, agent)
    assert sessions_of(owner)[0]["user_agent"] == kept


def test_sessions_that_are_over_are_not_listed(client: FlaskClient, owner: Person) -> None:
    gone = sign_in_with(client, "gone")
    client.post("/api/auth/logout", headers=bearer(gone["access_token"]))
    assert [item["current"] for item in sessions_of(owner)] == [True]


def test_an_expired_session_is_not_listed(client: FlaskClient, owner: Person) -> None:
    with Time(clock.now() - timedelta(days=31)).running():
        sign_in_with(client, "old")
    assert [item["current"] for item in sessions_of(owner)] == [True]


def test_nobody_elses_sessions_are_listed(owner: Person, admin: Person) -> None:
    assert [item["id"] for item in sessions_of(admin)] == [str(admin.actor.session_id)]


def test_ending_a_session_stops_its_tokens_at_once(client: FlaskClient, owner: Person) -> None:
    other = body(log_in(client, owner.email))
    (found,) = [item for item in sessions_of(owner) if not item["current"]]
    answer = owner.delete(f"/api/auth/sessions/{found['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert code(show_me(client, other["access_token"])) == (401, "token_revoked")
    assert code(exchange(client, other["refresh_token"])) == (401, "token_revoked")
    assert owner.get("/api/auth/me").status_code == 200


def test_one_may_end_the_session_that_asks(owner: Person) -> None:
    assert owner.delete(f"/api/auth/sessions/{owner.actor.session_id}").status_code == 204
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")


def test_a_foreign_and_a_missing_session_answer_alike(owner: Person, teammate: Person) -> None:
    ids = (teammate.actor.session_id, uuid4())
    answers = [body(owner.delete(f"/api/auth/sessions/{wanted}")) for wanted in ids]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]
    assert (answers[0]["status"], answers[0]["code"]) == (404, "session_not_found")
    assert teammate.get("/api/auth/me").status_code == 200


def test_an_ended_session_is_missing(client: FlaskClient, owner: Person) -> None:
    log_in(client, owner.email)
    (found,) = [item for item in sessions_of(owner) if not item["current"]]
    answers = [owner.delete(f"/api/auth/sessions/{found['id']}").status_code for _ in range(2)]
    assert answers == [204, 404]


def test_the_end_of_a_session_is_recorded(app: Flask, owner: Person) -> None:
    owner.delete(f"/api/auth/sessions/{owner.actor.session_id}")
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "session.ended")).one()
        assert (event.subject_id, event.owner_id, event.actor_id) == (
            owner.actor.session_id,
            owner.id,
            owner.id,
        )


def test_an_unknown_parameter_is_refused(owner: Person) -> None:
    assert list(body(owner.get("/api/auth/sessions?user_id=1"))["errors"]) == ["user_id"]
