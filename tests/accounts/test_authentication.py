"""Who one is: access tokens, good and bad."""

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import User
from taskapi.accounts.tokens import new_access_token
from taskapi.core.db import session, transaction
from tests.accounts.helpers import code, exchange, show_me
from tests.people import Person
from tests.settings import settings_changed


def claims_of(app: Flask, person: Person) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(person.access_token, options={"verify_signature": False})
    return claims


def signed(app: Flask, claims: dict[str, Any], **options: Any) -> str:
    return jwt.encode(claims, app.config["SECRET_KEY"], algorithm=options.get("algorithm", "HS256"))


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_a_token_of_ours_is_accepted(app: Flask, client: FlaskClient, owner: Person) -> None:
    assert show_me(client, signed(app, claims_of(app, owner))).status_code == 200


def test_a_token_without_signature_is_refused(app: Flask, client: FlaskClient, owner: Person) -> None:
    assert code(show_me(client, unsigned(claims_of(app, owner)))) == (401, "invalid_token")


def test_a_token_signed_by_another_key_is_refused(app: Flask, client: FlaskClient, owner: Person) -> None:
    forged = jwt.encode(claims_of(app, owner), "another key that is long enough for HS256", algorithm="HS256")
    assert code(show_me(client, forged)) == (401, "invalid_token")


def test_another_algorithm_with_our_key_is_refused(app: Flask, client: FlaskClient, owner: Person) -> None:
    key = app.config["SECRET_KEY"] * 3
    forged = jwt.encode(claims_of(app, owner), key, algorithm="HS512")
    assert code(show_me(client, forged)) == (401, "invalid_token")


@pytest.mark.one_database
@pytest.mark.parametrize(
    "change",
    [
        {"sub": 7},
        {"sub": None},
        {"sub": "olivia"},
        {"sub": ["x"]},
        {"sid": None},
        {"sid": 7},
        {"sid": "x"},
        {"type": "refresh"},
        {"type": None},
        {"nbf": 9_999_999_999},
        {"exp": "soon"},
        {"iss": "another program"},
        {"aud": "another program"},
        {"aud": ["another", "program"]},
        {"iat": "now"},
    ],
    ids=str,
)
def test_a_signed_token_with_wrong_claims_is_refused(
    app: Flask, client: FlaskClient, owner: Person, change: dict[str, Any]
) -> None:
    """A future nbf, a wrong issuer, audience or type, and a sub that is a number: 401."""
    answer = show_me(client, signed(app, {**claims_of(app, owner), **change}))
    assert code(answer) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.one_database
@pytest.mark.parametrize("missing", ["sub", "sid", "exp", "iss", "aud"])
def test_a_signed_token_that_lacks_a_claim_is_refused(
    app: Flask, client: FlaskClient, owner: Person, missing: str
) -> None:
    claims = claims_of(app, owner)
    del claims[missing]
    assert code(show_me(client, signed(app, claims))) == (401, "invalid_token")


@pytest.mark.one_database
@pytest.mark.parametrize("kid", ["unknown", "", 7, ["x"], {"a": 1}, None, "../../dev/null", "' OR 1=1 --"])
def test_the_name_of_a_key_opens_nothing(app: Flask, client: FlaskClient, owner: Person, kid: object) -> None:
    key = "another key that is long enough for HS256"
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).rstrip(b"=")
    claims = base64.urlsafe_b64encode(json.dumps(claims_of(app, owner)).encode()).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(key.encode(), header + b"." + claims, "sha256"))
    forged = b".".join((header, claims, signature.rstrip(b"="))).decode()
    assert code(show_me(client, forged)) == (401, "invalid_token")


def test_what_a_former_key_signed_is_accepted_until_it_is_dropped(
    app: Flask, client: FlaskClient, owner: Person
) -> None:
    """A key of SECRET_KEY_FALLBACKS still verifies, and once it is removed no longer."""
    former, new = app.config["SECRET_KEY"], "a new key that is long enough for HS256"
    with settings_changed(app, secret_key=new, secret_key_fallbacks=("yet another", former)):
        assert show_me(client, owner.access_token).status_code == 200
        assert exchange(client, owner.refresh_token).status_code == 200
    with settings_changed(app, secret_key=new):
        assert code(show_me(client, owner.access_token)) == (401, "invalid_token")


def test_a_refresh_token_is_no_access_token(client: FlaskClient, owner: Person) -> None:
    assert code(show_me(client, owner.refresh_token)) == (401, "invalid_token")


@pytest.mark.one_database
@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "...", "é.é.é", "e30.e30.e30", "x" * 5000, "Bearer", "tap_unknown"]
)
def test_garbage_is_refused(client: FlaskClient, token: str) -> None:
    assert code(show_me(client, token)) == (401, "invalid_token")


def test_an_expired_token_is_told_so(app: Flask, client: FlaskClient, owner: Person) -> None:
    assert owner.actor.session_id is not None
    with app.app_context():
        token = new_access_token(
            user_id=owner.id, session_id=owner.actor.session_id, lifetime=timedelta(seconds=-1)
        )
    assert code(show_me(client, token)) == (401, "token_expired")


def test_a_token_of_another_persons_session_is_refused(
    app: Flask, client: FlaskClient, owner: Person, teammate: Person
) -> None:
    mixed = {**claims_of(app, owner), "sid": claims_of(app, teammate)["sid"]}
    assert code(show_me(client, signed(app, mixed))) == (401, "token_revoked")


def test_the_scheme_may_be_written_in_lower_case(client: FlaskClient, owner: Person) -> None:
    answer = client.get("/api/auth/me", headers={"Authorization": f"bearer {owner.access_token}"})
    assert answer.status_code == 200


def test_an_inactive_user_is_out_at_once(app: Flask, owner: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")


def test_a_role_counts_from_the_next_request_on(app: Flask, owner: Person) -> None:
    with app.app_context(), transaction():
        session().get_one(User, owner.id).timezone = "Asia/Tokyo"
    made = owner.post(
        "/api/schedules", {"name": "s", "action": "reminder", "params": {"message": "x"}, "cron": "0 9 * * *"}
    )
    assert made.json is not None
    assert made.json["timezone"] == "Asia/Tokyo"


def test_every_refusal_says_how_to_sign_in(app: Flask, client: FlaskClient, owner: Person) -> None:
    claims, key = claims_of(app, owner), app.config["SECRET_KEY"]
    tokens = {
        "garbage": "garbage",
        "unsigned": unsigned(claims),
        "another algorithm": jwt.encode(claims, key * 3, algorithm="HS512"),
        "another key": jwt.encode(claims, key[::-1], algorithm="HS256"),
        "expired": signed(app, {**claims, "exp": 1_000_000_000}),
        "a number as the subject": signed(app, {**claims, "sub": 7}),
        "a refresh token": owner.refresh_token,
    }
    for name, token in tokens.items():
        answer = show_me(client, token)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), name
