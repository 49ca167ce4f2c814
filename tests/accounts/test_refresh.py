"""POST /api/auth/refresh"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import SignInSession, User
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from tests.accounts.helpers import body, code, exchange, show_me
from tests.people import Person


def later(**delta: float) -> AbstractContextManager[None]:
    """A virtual clock that stands at some time from now."""
    moment = clock.now() + timedelta(**delta)
    return clock.use(lambda: moment)


def test_it_gives_a_new_pair_that_works(client: FlaskClient, owner: Person) -> None:
    pair = body(exchange(client, owner.refresh_token))
    assert pair["refresh_token"] != owner.refresh_token
    assert pair["user"]["id"] == str(owner.id)
    assert show_me(client, pair["access_token"]).status_code == 200
    assert exchange(client, pair["refresh_token"]).status_code == 200


def test_within_the_grace_time_a_spent_token_gives_another_pair(client: FlaskClient, owner: Person) -> None:
    first = body(exchange(client, owner.refresh_token))
    with later(seconds=29):
        second = body(exchange(client, owner.refresh_token))
        assert exchange(client, first["refresh_token"]).status_code == 200
        assert exchange(client, second["refresh_token"]).status_code == 200


def test_after_the_grace_time_a_spent_token_ends_the_whole_family(client: FlaskClient, owner: Person) -> None:
    pair = body(exchange(client, owner.refresh_token))
    with later(seconds=32):
        assert code(exchange(client, owner.refresh_token)) == (401, "refresh_token_reused")
        assert code(exchange(client, pair["refresh_token"])) == (401, "token_revoked")
        assert code(show_me(client, pair["access_token"])) == (401, "token_revoked")
        assert code(owner.get("/api/auth/me")) == (401, "token_revoked")


def test_the_grace_time_counts_from_the_first_exchange(client: FlaskClient, owner: Person) -> None:
    exchange(client, owner.refresh_token)
    with later(seconds=20):
        exchange(client, owner.refresh_token)
    with later(seconds=40):
        assert code(exchange(client, owner.refresh_token)) == (401, "refresh_token_reused")


def test_a_reuse_is_recorded(app: Flask, client: FlaskClient, owner: Person) -> None:
    exchange(client, owner.refresh_token)
    with later(seconds=60):
        exchange(client, owner.refresh_token)
    with app.app_context():
        assert (
            session().scalar(sa.select(Event.owner_id).where(Event.type == "session.reuse_detected"))
            == owner.id
        )


def test_other_sessions_of_the_user_go_on_after_a_reuse(
    client: FlaskClient, owner: Person, app: Flask
) -> None:
    other = body(
        client.post("/api/auth/login", json={"email": owner.email, "password": "correct horse battery"})
    )
    exchange(client, owner.refresh_token)
    with later(seconds=60):
        exchange(client, owner.refresh_token)
        assert show_me(client, other["access_token"]).status_code == 200


def test_a_session_that_is_not_used_expires(client: FlaskClient, owner: Person) -> None:
    with later(days=30, seconds=1):
        assert code(exchange(client, owner.refresh_token)) == (401, "token_expired")


def test_a_session_that_is_used_goes_on(client: FlaskClient, owner: Person) -> None:
    with later(days=29):
        pair = body(exchange(client, owner.refresh_token))
    with later(days=58):
        assert exchange(client, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["tar_unknown", "nonsense", "x" * 5000, "tar_\u00fc"])
def test_an_unknown_token_is_refused(client: FlaskClient, token: str) -> None:
    assert code(exchange(client, token)) == (401, "invalid_token")


def test_an_access_token_is_no_refresh_token(client: FlaskClient, owner: Person) -> None:
    assert code(exchange(client, owner.access_token)) == (401, "invalid_token")


def test_without_a_token_it_is_refused(client: FlaskClient) -> None:
    assert code(client.post("/api/auth/refresh")) == (401, "unauthorized")


def test_an_inactive_user_gets_no_new_pair(app: Flask, client: FlaskClient, owner: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    assert code(exchange(client, owner.refresh_token)) == (401, "token_revoked")


def test_tabs_that_exchange_one_token_at_once_all_get_working_pairs(app: Flask, owner: Person) -> None:
    together = threading.Barrier(4, timeout=10)

    def tab(_number: int) -> dict[str, str]:
        together.wait()
        return body(exchange(app.test_client(), owner.refresh_token))

    with ThreadPoolExecutor(4) as threads:
        pairs = list(threads.map(tab, range(4)))
    client = app.test_client()
    assert {show_me(client, pair["access_token"]).status_code for pair in pairs} == {200}
    assert {exchange(client, pair["refresh_token"]).status_code for pair in pairs} == {200}
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(SignInSession)) == 1


def test_without_a_token_it_asks_for_a_refresh_token(client: FlaskClient) -> None:
    answer = client.post("/api/auth/refresh")
    assert code(answer) == (401, "unauthorized")
    assert body(answer)["detail"].startswith("Send a refresh token")
