"""POST /api/admin/users"""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.helpers import body, code, log_in
from tests.accounts.links import mailed_tokens, reset
from tests.admin.managing import USERS
from tests.people import PASSWORD, Person
from tests.smtp import MailServer

NORA = {"email": "nora@example.org"}


def test_it_makes_an_account_that_can_sign_in(client: FlaskClient, admin: Person) -> None:
    sent = {**NORA, "username": "nora", "password": PASSWORD, "full_name": "Nora", "role": "admin"}
    answer = admin.post(USERS, {**sent, "timezone": "Europe/Paris"})
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{USERS}/{answer.json['id']}")
    assert admin.get(answer.headers["Location"]).json["timezone"] == "Europe/Paris"
    assert body(log_in(client, "nora"))["user"]["role"] == "admin"
    assert "password" not in answer.text


def test_without_a_password_its_owner_is_mailed_a_link_to_choose_one(
    app: Flask, client: FlaskClient, admin: Person, mail_server: MailServer
) -> None:
    assert code(log_in(client, body(admin.post(USERS, NORA))["username"], ""))[0] == 401
    (token,) = mailed_tokens(app, mail_server)
    assert mail_server.messages[0]["Subject"] == "Choose a password"
    assert reset(client, token, PASSWORD).status_code == 204
    assert log_in(client, NORA["email"]).status_code == 200


def test_who_is_made_inactive_is_mailed_the_link_once_they_are_let_in(
    app: Flask, admin: Person, mail_server: MailServer
) -> None:
    path = admin.post(USERS, {**NORA, "is_active": False}).headers["Location"]
    assert mailed_tokens(app, mail_server) == []
    admin.patch(path, {"is_active": True})
    assert len(mailed_tokens(app, mail_server)) == 1


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"email": "olivia@example.org"}, (409, "email_taken")),
        ({**NORA, "username": "OLIVIA"}, (409, "username_taken")),
        ({**NORA, "password": "short"}, (422, "validation_error")),
        ({**NORA, "role": "king"}, (422, "validation_error")),
        ({"username": "nora"}, (422, "validation_error")),
    ],
    ids=["email", "username", "password", "role", "no email"],
)
def test_what_cannot_be_is_refused(
    owner: Person, admin: Person, sent: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code(admin.post(USERS, sent)) == expected


@pytest.mark.one_database
def test_the_same_key_makes_one_account(admin: Person) -> None:
    sent = {"headers": {"Idempotency-Key": "k"}}
    first, second = admin.post(USERS, NORA, **sent), admin.post(USERS, NORA, **sent)
    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
