"""Who is not let in: their tokens, each of which was good, open no route."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.accounts.models import PersonalToken, User
from taskapi.accounts.tokens import new_access_token
from taskapi.core import clock
from taskapi.core.db import session, transaction
from tests.contract.things import FORBIDDEN, THINGS, UNKNOWN, VISIBILITIES, about, call
from tests.people import Person, make_person
from tests.rules.access_table import CLOSED, PUBLIC_ROUTES
from tests.settings import settings_changed

pytestmark = [pytest.mark.contract, pytest.mark.one_database("postgresql")]

# Another key than an access token opens them, and nobody shows it here.
WITH_KEYS_OF_THEIR_OWN = {"GET /admin/rq", "GET /admin/rq/<path:path>", "POST /api/auth/refresh"}


def _nothing(app: Flask, owner: Person) -> None:
    return None


def _of_an_inactive_user(app: Flask, owner: Person) -> str:
    """The account was switched off while they were signed in."""
    inactive = make_person(app, "ines@example.org")
    _switch_off(app, inactive)
    return inactive.access_token


def _token_of_an_inactive_user(app: Flask, owner: Person) -> str:
    inactive = make_person(app, "iris@example.org")
    token: str = _used_token(inactive)["token"]
    _switch_off(app, inactive)
    return token


def _of_an_ended_session(app: Flask, owner: Person) -> str:
    person = make_person(app, "rex@example.org")
    assert person.post("/api/auth/logout").status_code == 204
    return person.access_token


def _revoked_token(app: Flask, owner: Person) -> str:
    made = _used_token(owner)
    assert owner.delete(f"/api/auth/tokens/{made['id']}").status_code == 204
    return str(made["token"])


def _expired_access_token(app: Flask, owner: Person) -> str:
    """Of a session that goes on."""
    assert owner.actor.session_id is not None
    over = timedelta(seconds=-1)
    with app.app_context():
        return new_access_token(user_id=owner.id, session_id=owner.actor.session_id, lifetime=over)


def _expired_token(app: Flask, owner: Person) -> str:
    made = _used_token(owner)
    with app.app_context(), transaction():
        token = session().get_one(PersonalToken, UUID(made["id"]))
        token.expires_at = clock.now() - timedelta(seconds=1)
    return str(made["token"])


def _switch_off(app: Flask, person: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, person.id).is_active = False


def _used_token(person: Person) -> dict[str, Any]:
    """A token for all that users may do; this process has seen it before."""
    made: dict[str, Any] = person.post(
        "/api/auth/tokens", {"name": "a program", "scopes": ["read", "write"]}
    ).json
    answer = person.client.get("/api/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert answer.status_code == 200, answer.text
    return made


# Each makes such a token; where it can be, it is the owner's, so that only the token is wrong.
SHUT_OUT: dict[str, Callable[[Flask, Person], str | None]] = {
    "anonymous": _nothing,
    "inactive user": _of_an_inactive_user,
    "inactive user's token": _token_of_an_inactive_user,
    "ended session": _of_an_ended_session,
    "revoked token": _revoked_token,
    "expired access token": _expired_access_token,
    "expired token": _expired_token,
}


@pytest.mark.parametrize("caller", SHUT_OUT)
def test_who_is_shut_out_gets_nowhere(app: Flask, owner: Person, caller: str) -> None:
    token, made = SHUT_OUT[caller](app, owner), {name: make(owner) for name, make in THINGS.items()}
    for visibility, team_sees_tasks in VISIBILITIES.items():
        with settings_changed(app, team_sees_tasks=team_sees_tasks):
            met = {route: call(owner, route, about(route, made), token) for route in CLOSED}
        assert met == dict.fromkeys(CLOSED, UNKNOWN), visibility


def test_a_public_route_takes_no_notice_of_who_calls(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    tokens = [person.access_token for person in (owner, teammate, admin)]
    callers = [*tokens, *(shut_out(app, owner) for shut_out in SHUT_OUT.values())]
    for route in PUBLIC_ROUTES:
        met = {call(owner, route, re.sub(r"<.+?>", "x", route), token) for token in callers}
        assert len(met) == 1, route
        assert (met == {UNKNOWN}) == (route in WITH_KEYS_OF_THEIR_OWN), route
        assert met != {FORBIDDEN}, route
