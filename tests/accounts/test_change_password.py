"""POST /api/auth/me/password"""

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts import recovery
from taskapi.accounts.errors import TokenRevoked
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.environment import Rate
from tests.accounts.helpers import body, code, exchange, log_in, show_me
from tests.accounts.links import NEW_PASSWORD
from tests.people import PASSWORD, PASSWORD_HASH, Person
from tests.settings import settings_changed
from tests.smtp import MailServer
from tests.smtp import body as text_of
from tests.work import tick

if TYPE_CHECKING:
    from tests.people import Answer

PATH = "/api/auth/me/password"


def change(person: Person, new: str = NEW_PASSWORD, current: str = PASSWORD) -> "Answer":
    return person.post(PATH, {"current_password": current, "new_password": new})


def test_the_new_password_signs_in_and_the_old_one_does_not(client: FlaskClient, owner: Person) -> None:
    answer = change(owner)
    assert (answer.status_code, answer.data) == (204, b"")
    assert log_in(client, owner.email, NEW_PASSWORD).status_code == 200
    assert code(log_in(client, owner.email)) == (401, "invalid_credentials")


@pytest.mark.parametrize("current", ["wrong", "", PASSWORD.upper(), f"{PASSWORD} "])
def test_without_the_current_password_it_is_refused(client: FlaskClient, owner: Person, current: str) -> None:
    assert code(change(owner, current=current)) == (403, "wrong_password")
    assert log_in(client, owner.email).status_code == 200


def test_other_sessions_end_and_this_one_stays(client: FlaskClient, owner: Person) -> None:
    other = body(log_in(client, owner.email))
    change(owner)
    assert owner.get("/api/auth/me").status_code == 200
    assert exchange(client, owner.refresh_token).status_code == 200
    assert code(show_me(client, other["access_token"])) == (401, "token_revoked")
    assert code(exchange(client, other["refresh_token"])) == (401, "token_revoked")


def test_the_sessions_of_others_go_on(owner: Person, teammate: Person) -> None:
    change(owner)
    assert teammate.get("/api/auth/me").status_code == 200


def test_personal_access_tokens_go_on(client: FlaskClient, owner: Person) -> None:
    token = owner.post("/api/auth/tokens", {"name": "script", "scopes": ["read"]}).json["token"]
    change(owner)
    assert show_me(client, token).status_code == 200


def test_a_personal_access_token_may_not_change_the_password(client: FlaskClient, owner: Person) -> None:
    token = owner.post("/api/auth/tokens", {"name": "script", "scopes": ["write"]}).json["token"]
    sent = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = client.post(PATH, json=sent, headers={"Authorization": f"Bearer {token}"})
    assert code(answer) == (403, "session_required")


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("short", "Use 10 to 128"),
        ("olivia-and-more", "name or e-mail"),
        ("password1234", "first that others would try"),
        (PASSWORD, "the password that you have"),
    ],
)
def test_a_new_password_follows_the_rules_of_registration(owner: Person, new: str, reason: str) -> None:
    answer = change(owner, new)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["new_password"]
    assert reason in answer.json["errors"]["new_password"][0]


@pytest.mark.parametrize("new", ["my olivia okonkwo", "OliviaOkonkwo77"])
def test_the_full_name_is_no_new_password(owner: Person, new: str) -> None:
    owner.patch("/api/auth/me", {"full_name": "Olivia Okonkwo"})
    assert "name or e-mail" in change(owner, new).json["errors"]["new_password"][0]


def test_the_current_password_typed_another_way_is_not_new(owner: Person) -> None:
    change(owner, "sch\u00f6ne gr\u00fc\u00dfe")
    answer = change(owner, "scho\u0308ne gru\u0308\u00dfe", "sch\u00f6ne gr\u00fc\u00dfe")
    assert answer.json["errors"] == {"new_password": ["This is the password that you have."]}


@pytest.mark.parametrize("missing", ["current_password", "new_password"])
def test_both_passwords_are_needed(owner: Person, missing: str) -> None:
    sent = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    del sent[missing]
    assert list(owner.post(PATH, sent).json["errors"]) == [missing]


def test_guessing_the_current_password_is_limited(app: Flask, owner: Person) -> None:
    with settings_changed(app, rate_limit_account=Rate(2, 60)):
        answers = [change(owner, current="wrong").status_code for _ in range(3)]
        assert answers == [403, 403, 429]


def test_a_session_that_ended_while_the_password_was_hashed_changes_nothing(
    client: FlaskClient, owner: Person, context: Flask
) -> None:
    owner.post("/api/auth/logout")
    with pytest.raises(TokenRevoked), transaction():
        recovery.change_password(actor=owner.actor, password_hash="another")
    assert log_in(client, owner.email).status_code == 200


def test_the_owner_is_mailed(app: Flask, owner: Person, mail_server: MailServer) -> None:
    """A change of the password is told to the owner by e-mail."""
    change(owner)
    tick(app)
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == (owner.email, "Your password was changed")
    assert "If it was not you, reset your password at once" in text_of(message, "plain")


def test_the_event_tells_no_secret(app: Flask, owner: Person) -> None:
    change(owner)
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "user.password_changed")).one()
    assert (event.owner_id, event.actor_id, event.before) == (owner.id, owner.id, None)
    assert event.after == {"by": "change"}


def test_a_refused_change_leaves_no_trace(app: Flask, owner: Person) -> None:
    change(owner, current="wrong")
    change(owner, "short")
    with app.app_context():
        assert session().scalar(sa.text("SELECT password_hash FROM users")) == PASSWORD_HASH
        assert session().scalar(sa.select(Event.id).where(Event.type == "user.password_changed")) is None
