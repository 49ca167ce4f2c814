"""POST /api/auth/login"""

from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts import passwords, service, sign_in
from taskapi.accounts.errors import InvalidCredentials
from taskapi.accounts.models import User
from taskapi.accounts.passwords import hash_password
from taskapi.core.db import session, transaction
from taskapi.core.runtime import runtime_settings
from tests.accounts.helpers import body, code, log_in, show_me
from tests.people import PASSWORD, STRONG_HASH, Person
from tests.timed import work_of


@pytest.fixture
def inactive(app: Flask, teammate: Person) -> Person:
    """The teammate, whose account is not active."""
    with app.app_context(), transaction():
        session().get_one(User, teammate.id).is_active = False
    return teammate


@pytest.mark.parametrize(
    "login",
    [
        {"email": "olivia@example.org"},
        {"username": "OLIVIA"},
        {"username": "olivia@example.org"},
        {"email": "olivia"},
        {"email": " Olivia@Example.org "},
    ],
)
def test_one_signs_in_by_email_or_username(client: FlaskClient, owner: Person, login: dict[str, str]) -> None:
    answer = client.post("/api/auth/login", json={**login, "password": PASSWORD})
    assert answer.status_code == 200
    pair = body(answer)
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    assert pair["user"]["id"] == str(owner.id)
    assert show_me(client, pair["access_token"]).status_code == 200


def test_the_answer_holds_no_password_and_is_not_to_be_kept(client: FlaskClient, owner: Person) -> None:
    answer = log_in(client, owner.email)
    assert "password" not in answer.text
    assert PASSWORD not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


WRONG = [
    ("olivia@example.org", "wrong password"),
    ("nobody@example.org", PASSWORD),
    ("nobody", PASSWORD),
    ("tariq@example.org", PASSWORD),
    ("olivia@example.org", ""),
    ("olivia@example.org", PASSWORD.upper()),
    ("", PASSWORD),
]


@pytest.mark.parametrize(("login", "password"), WRONG)
def test_unknown_wrong_and_inactive_get_the_same_answer(
    client: FlaskClient, owner: Person, inactive: Person, login: str, password: str
) -> None:
    answer = log_in(client, login, password)
    told = body(answer)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (told["status"], told["code"], told["detail"]) == (
        401,
        "invalid_credentials",
        "The name or the password is wrong.",
    )


def test_an_unknown_name_costs_as_much_work_as_a_wrong_password(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, context: Flask
) -> None:
    """So does the name of an account that is not active."""
    monkeypatch.setattr(passwords, "_dummy_hash", STRONG_HASH)
    with transaction():
        service.create_user(email="olivia@example.org", password_hash=STRONG_HASH)
        service.create_user(email="tariq@example.org", password_hash=STRONG_HASH).is_active = False

    known, *others = names = ("olivia@example.org", "nobody@example.org", "tariq@example.org")
    # In turn, so that a busy moment comes to all of them, and the least, so that it does not count.
    rounds = [[work_of(partial(log_in, client, name, "wrong password")) for name in names] for _ in range(7)]
    least = dict(zip(names, map(min, *rounds), strict=True))
    for other in others:
        assert least[known] * 0.6 < least[other] < least[known] * 1.7, other


@pytest.mark.parametrize(
    "names",
    [{}, {"email": "olivia@example.org", "username": "olivia"}],
)
def test_exactly_one_name_is_asked_for(client: FlaskClient, names: dict[str, str]) -> None:
    answer = client.post("/api/auth/login", json={**names, "password": PASSWORD})
    assert body(answer)["errors"] == {"email": ["Send either email or username."]}


def test_a_password_of_unreasonable_length_is_not_even_hashed(client: FlaskClient, owner: Person) -> None:
    assert list(body(log_in(client, owner.email, "x" * 2000))["errors"]) == ["password"]


def test_each_sign_in_is_a_session_of_its_own(client: FlaskClient, owner: Person) -> None:
    first, second = (body(log_in(client, owner.email)) for _ in range(2))
    client.post("/api/auth/logout", headers={"Authorization": f"Bearer {first['access_token']}"})
    assert code(show_me(client, first["access_token"])) == (401, "token_revoked")
    assert show_me(client, second["access_token"]).status_code == 200


def test_a_password_that_changed_while_it_was_compared_signs_nobody_in(context: Flask, owner: Person) -> None:
    settings = runtime_settings()
    credentials = sign_in.check_credentials(
        settings=settings, login=owner.email, password=PASSWORD, device=sign_in.UNKNOWN_DEVICE
    )
    with transaction():
        session().get_one(User, owner.id).password_hash = hash_password("horse battery correct")
    with transaction(), pytest.raises(InvalidCredentials):
        sign_in.log_in(settings=settings, credentials=credentials)
