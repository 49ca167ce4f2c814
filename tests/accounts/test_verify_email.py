"""POST /api/auth/verify-email and /api/auth/verify-email/resend, and the mail after registering"""

from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import User
from taskapi.core import clock
from taskapi.core.db import session
from taskapi.core.events import Event
from tests.accounts.helpers import body, code, log_in, register
from tests.accounts.links import RESEND, mailed_tokens, newest_token, reset_token, set_active, verify
from tests.people import Person
from tests.smtp import MailServer
from tests.smtp import body as text_of
from tests.work import tick

VOID = (400, "invalid_one_time_token")


def later(**delta: float) -> AbstractContextManager[None]:
    """A virtual clock that stands at some time from now."""
    moment = clock.now() + timedelta(**delta)
    return clock.use(lambda: moment)


def is_verified(person: Person) -> bool:
    found: bool = person.get("/api/auth/me").json["email_verified"]
    return found


@pytest.fixture
def token(app: Flask, owner: Person, mail_server: MailServer) -> str:
    """The token in a link that the owner was mailed."""
    answer = owner.post(RESEND)
    assert (answer.status_code, answer.json.keys()) == (202, {"detail"})
    return newest_token(app, mail_server)


def test_registering_mails_a_link_that_verifies_the_address(
    app: Flask, client: FlaskClient, mail_server: MailServer
) -> None:
    assert body(register(client, "nora@example.org"))["email_verified"] is False
    answer = verify(client, newest_token(app, mail_server))
    assert (answer.status_code, answer.data) == (204, b"")
    assert body(log_in(client, "nora@example.org"))["user"]["email_verified"] is True


def test_the_mail_leads_to_the_configured_address(
    app: Flask, client: FlaskClient, mail_server: MailServer
) -> None:
    """A spoofed Host reaches no mail."""
    sent = {"email": "nora@example.org", "password": "correct horse battery"}
    client.post("/api/auth/register", json=sent, headers={"Host": "evil.example"})
    tick(app)
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == ("nora@example.org", "Confirm your e-mail address")
    # Whoever registers chooses the name: it must not stand in a mail to somebody else.
    assert not {part for part in ("plain", "html") if "nora" in text_of(message, part)}
    assert "http://127.0.0.1:8000/api/auth/verify-email#token=tve_" in text_of(message, "html")
    assert "evil.example" not in message.as_string()


def test_nobody_is_mailed_for_an_account_that_an_administrator_makes(
    app: Flask, owner: Person, mail_server: MailServer
) -> None:
    tick(app)
    assert mail_server.messages == []


def test_a_link_works_once(client: FlaskClient, owner: Person, token: str) -> None:
    assert verify(client, token).status_code == 204
    assert code(verify(client, token)) == VOID
    assert is_verified(owner)


@pytest.mark.parametrize(("hours", "status"), [(23.9, 204), (24.1, 400)])
def test_a_link_works_for_a_day(client: FlaskClient, token: str, hours: float, status: int) -> None:
    with later(hours=hours):
        assert verify(client, token).status_code == status


def test_the_newest_link_alone_works(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, token: str
) -> None:
    owner.post(RESEND)
    newer = newest_token(app, mail_server)
    assert code(verify(client, token)) == VOID
    assert verify(client, newer).status_code == 204


def test_who_is_verified_is_sent_nothing(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, token: str
) -> None:
    verify(client, token)
    assert owner.post(RESEND).status_code == 202
    assert mailed_tokens(app, mail_server) == [token]


def test_who_is_verified_before_the_mail_is_made_is_sent_nothing(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, token: str
) -> None:
    owner.post(RESEND)
    verify(client, token)
    assert mailed_tokens(app, mail_server) == [token]


def test_only_who_signed_in_asks_for_another_link(client: FlaskClient, owner: Person) -> None:
    token = owner.post("/api/auth/tokens", {"name": "script", "scopes": ["write"]}).json["token"]
    assert code(client.post(RESEND)) == (401, "unauthorized")
    answer = client.post(RESEND, headers={"Authorization": f"Bearer {token}"})
    assert code(answer) == (403, "session_required")


@pytest.mark.parametrize("token", ["", "nonsense", "tve_" + "x" * 43])
def test_an_unknown_token_is_refused(client: FlaskClient, owner: Person, token: str) -> None:
    assert code(verify(client, token)) == VOID


def test_a_token_that_resets_a_password_verifies_no_address(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    assert code(verify(client, reset_token(app, mail_server, owner))) == VOID
    assert not is_verified(owner)


def test_a_link_of_a_disabled_account_works_no_longer(
    app: Flask, client: FlaskClient, owner: Person, token: str
) -> None:
    """Verifying does not bring a disabled account back."""
    set_active(app, owner, active=False)
    assert code(verify(client, token)) == VOID
    with app.app_context():
        user = session().get_one(User, owner.id)
    assert (user.is_active, user.email_verified) == (False, False)


def test_it_is_recorded(app: Flask, client: FlaskClient, owner: Person, token: str) -> None:
    verify(client, token)
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "user.email_verified")).one()
    assert (event.owner_id, event.after) == (owner.id, {"email_verified": True})
