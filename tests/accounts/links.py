"""Links that were mailed, and what several tests do with them."""

import re

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from tests.people import Person
from tests.smtp import MailServer, body
from tests.work import tick

TOKEN = re.compile(r"#token=(\S+)")
NEW_PASSWORD = "staple battery horse"
RESET = "/api/auth/password-reset"
CONFIRM = f"{RESET}/confirm"
VERIFY = "/api/auth/verify-email"
RESEND = f"{VERIFY}/resend"


def mailed_tokens(app: Flask, server: MailServer) -> list[str]:
    """The tokens in all links that were mailed, once everything that waits is done."""
    tick(app)
    return [found[1] for message in server.messages if (found := TOKEN.search(body(message, "plain")))]


def newest_token(app: Flask, server: MailServer) -> str:
    return mailed_tokens(app, server)[-1]


def ask(client: FlaskClient, email: str) -> TestResponse:
    return client.post(RESET, json={"email": email})


def reset_token(app: Flask, server: MailServer, person: Person) -> str:
    """The token in the link that the person was mailed after forgetting their password."""
    assert ask(person.client, person.email).status_code == 202
    return newest_token(app, server)


def reset(client: FlaskClient, token: str, password: str = NEW_PASSWORD) -> TestResponse:
    return client.post(CONFIRM, json={"token": token, "password": password})


def verify(client: FlaskClient, token: str) -> TestResponse:
    return client.post(VERIFY, json={"token": token})


def set_active(app: Flask, person: Person, *, active: bool) -> None:
    with app.app_context(), transaction():
        session().get_one(User, person.id).is_active = active
