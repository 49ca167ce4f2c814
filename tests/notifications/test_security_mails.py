"""What the owner of an account is told of its security, and that it cannot be switched off."""

from datetime import timedelta
from email.message import EmailMessage

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core import clock
from taskapi.core.db import transaction
from taskapi.core.events import record_event
from taskapi.core.mail_kinds import SECURITY_KINDS
from taskapi.notifications.security import NEWS
from tests.accounts.helpers import code, exchange
from tests.accounts.links import RESEND, ask, set_active
from tests.notifications.outbox import mailed
from tests.people import Person
from tests.smtp import MailServer, body
from tests.work import tick


def record(app: Flask, event_type: str, person: Person) -> None:
    """Let something happen to the person's account, and everything that follows."""
    with app.app_context(), transaction():
        record_event(event_type, subject=("user", person.id), owner_id=person.id)
    tick(app)


def reuse_an_old_token(client: FlaskClient, owner: Person, *, times: int) -> None:
    exchange(client, owner.refresh_token)
    moment = clock.now() + timedelta(minutes=1)
    with clock.use(lambda: moment):
        answers = [code(exchange(client, owner.refresh_token)) for _ in range(times)]
    assert answers == [(401, "refresh_token_reused")] + [(401, "token_revoked")] * (times - 1)


def test_reuse_of_a_refresh_token_is_mailed_once_although_it_is_replayed_five_times(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    reuse_an_old_token(client, owner, times=5)
    tick(app)
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == (owner.email, "An old sign-in of yours was used again")
    text = " ".join(body(message, "plain").split())
    assert "Somebody used an old sign-in of yours" in text
    assert "That session was ended. If it was not you, change your password." in text


@pytest.mark.parametrize("event_type", NEWS)
def test_what_happens_to_an_account_is_mailed_to_its_owner(
    app: Flask, owner: Person, teammate: Person, mail_server: MailServer, event_type: str
) -> None:
    record(app, event_type, owner)
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == (owner.email, NEWS[event_type].subject)
    assert "Account:  olivia@example.org\n" in body(message, "plain")
    for part in ("plain", "html"):
        assert NEWS[event_type].facts in " ".join(body(message, part).split())


@pytest.mark.parametrize("event_type", NEWS)
def test_an_inactive_account_is_mailed_nothing(app: Flask, owner: Person, event_type: str) -> None:
    set_active(app, owner, active=False)
    record(app, event_type, owner)
    assert mailed(app) == []


def all_mails(app: Flask, owner: Person, server: MailServer) -> list[EmailMessage]:
    """One of each kind."""
    ask(owner.client, owner.email)
    owner.post(RESEND)
    for event_type in (*NEWS, "user.invited"):
        record(app, event_type, owner)
    assert {kind for kind, _recipient in mailed(app)} == set(SECURITY_KINDS)
    return server.messages


def test_no_mail_about_security_offers_to_unsubscribe(
    app: Flask, owner: Person, mail_server: MailServer
) -> None:
    for message in all_mails(app, owner, mail_server):
        assert message["List-Unsubscribe"] is None
        assert message["Auto-Submitted"] == "auto-generated"
        assert "unsubscribe" not in message.as_string().lower()


@pytest.mark.parametrize("kind", SECURITY_KINDS)
def test_mails_about_security_cannot_be_switched_off(owner: Person, kind: str) -> None:
    answer = owner.patch("/api/auth/me", {"notification_preferences": {"email": {kind: False}}})
    assert list(answer.json["errors"]) == [f"notification_preferences.email.{kind}"]


def test_times_are_those_of_the_reader(app: Flask, owner: Person, mail_server: MailServer) -> None:
    owner.patch("/api/auth/me", {"timezone": "Asia/Tokyo"})
    record(app, "user.password_changed", owner)
    assert "(Asia/Tokyo)" in body(mail_server.messages[0], "plain")


def test_an_event_without_an_owner_is_told_to_nobody(app: Flask, owner: Person) -> None:
    with app.app_context(), transaction():
        record_event("user.password_changed", subject=("user", owner.id))
    tick(app)
    assert mailed(app) == []
