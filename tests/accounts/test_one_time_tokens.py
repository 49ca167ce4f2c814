"""The secrets of mailed links: where they are kept, by which key they are made, when they are forgotten."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import OneTimeToken
from taskapi.accounts.one_time import secret_of
from taskapi.accounts.tokens import hash_token
from taskapi.core import clock
from taskapi.core.db import Base, session, transaction
from taskapi.core.events import record_event
from taskapi.events.service import relay_events
from taskapi.notifications.outbox import SECRET_PLACEHOLDER
from taskapi.ops.jobs import forget_old_rows
from tests.accounts.links import RESEND, ask, reset, reset_token, set_active, verify
from tests.notifications.outbox import deliver_at, emails, the_email
from tests.people import Person
from tests.settings import settings_changed
from tests.smtp import MailServer
from tests.work import run_jobs

NEW_KEY = "another secret for tests that is long enough"
WORD = re.compile(r"[\w{}.:/#=-]+")


def dump() -> list[str]:
    """All values in all tables as text."""
    rows: list[Any] = []
    for table in Base.metadata.sorted_tables:
        rows += session().execute(sa.select(table)).all()
    return [str(value) for row in rows for value in row]


def the_token() -> OneTimeToken:
    return session().scalars(sa.select(OneTimeToken).execution_options(populate_existing=True)).one()


def test_the_database_holds_no_token_that_works(app: Flask, client: FlaskClient, owner: Person) -> None:
    """Only the hash of a reset code is stored, and none stands in the outbox."""
    ask(client, owner.email)
    owner.post(RESEND)
    with app.app_context():
        relay_events()
        texts = dump()
    words = {word for text in texts for word in WORD.findall(text)}
    words |= {word.partition("#token=")[2] for word in words} | set(texts)
    assert any(SECRET_PLACEHOLDER in word for word in words)
    with app.app_context():
        hashes = set(session().scalars(sa.select(OneTimeToken.token_hash)))
    assert len(hashes) == 2
    assert hashes & {hash_token(word) for word in words} == set()
    for word in {word for word in words if word.startswith(("tvr_", "tve_"))} | hashes:
        assert (reset(client, word).status_code, verify(client, word).status_code) == (400, 400)


def test_a_mailed_token_stays_out_of_the_database(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    token = reset_token(app, mail_server, owner)
    reset(client, token)
    with app.app_context():
        assert not [text for text in dump() if token in text]
        assert the_token().token_hash == hash_token(token)


def test_a_link_is_made_and_works_by_a_former_key(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, owner.email)
    with app.app_context():
        relay_events()
        former = app.extensions["taskapi_settings"].secret_key
    with settings_changed(app, secret_key=NEW_KEY, secret_key_fallbacks=(former,)):
        run_jobs(app)
        link = re.search(r"#token=(\S+)", mail_server.messages[0].as_string().replace("=\r\n", ""))
        assert link is not None
        with app.app_context():
            token = secret_of(one_time_token_id=the_token().id)
        assert token is not None
        assert reset(client, token).status_code == 204


def test_without_the_key_that_made_it_a_link_is_not_mailed(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, owner.email)
    with app.app_context():
        relay_events()
    with settings_changed(app, secret_key=NEW_KEY, secret_key_fallbacks=()):
        run_jobs(app)
    with app.app_context():
        assert (the_email().status, the_email().last_error) == (
            "failed",
            "The link in it works no longer.",
        )
    assert mail_server.tried == 0


@pytest.mark.parametrize("why", ["disabled", "expired", "voided"])
def test_a_link_that_works_no_longer_is_not_mailed(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, context: Flask, why: str
) -> None:
    ask(client, owner.email)
    relay_events()
    if why == "disabled":
        set_active(app, owner, active=False)
    if why == "voided":
        ask(client, owner.email)
        relay_events()
    moment = clock.now() + timedelta(minutes=61 if why == "expired" else 0)
    deliver_at(moment, emails()[0].id)
    assert (emails()[0].status, mail_server.tried) == ("failed", 0)


def test_a_request_that_is_heard_of_too_late_makes_no_link(
    client: FlaskClient, owner: Person, context: Flask
) -> None:
    ask(client, owner.email)
    moment = clock.now() + timedelta(minutes=61)
    with clock.use(lambda: moment):
        relay_events()
    assert emails() == []


def test_a_request_of_a_user_who_is_gone_makes_no_link(context: Flask) -> None:
    gone = uuid4()
    with transaction():
        record_event("user.password_reset_requested", subject=("user", gone), owner_id=gone)
    relay_events()
    assert emails() == []


def test_an_unknown_id_has_no_secret(context: Flask) -> None:
    assert secret_of(one_time_token_id=uuid4()) is None


@pytest.mark.parametrize(("hours", "left"), [(24.5, 1), (25.5, 0)])
def test_an_expired_token_is_forgotten_after_a_day(
    app: Flask, owner: Person, mail_server: MailServer, hours: float, left: int
) -> None:
    reset_token(app, mail_server, owner)
    assert tokens_left(app, hours=hours) == left


@pytest.mark.parametrize(("hours", "left"), [(23.5, 1), (24.5, 0)])
def test_a_used_token_is_forgotten_after_a_day(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, hours: float, left: int
) -> None:
    reset(client, reset_token(app, mail_server, owner))
    assert tokens_left(app, hours=hours) == left


def tokens_left(app: Flask, *, hours: float) -> int:
    """How many the housekeeping of a later time leaves."""
    moment = clock.now() + timedelta(hours=hours)
    with clock.use(lambda: moment), app.app_context():
        forget_old_rows()
        return session().execute(sa.select(sa.func.count()).select_from(OneTimeToken)).scalar_one()
