"""POST /api/auth/password-reset and /api/auth/password-reset/confirm"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core import clock
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.environment import Rate
from taskapi.notifications.models import Email
from tests.accounts.helpers import body, code, exchange, log_in, show_me
from tests.accounts.links import (
    CONFIRM,
    NEW_PASSWORD,
    RESET,
    ask,
    mailed_tokens,
    newest_token,
    reset,
    reset_token,
    set_active,
)
from tests.events.webhooks.making import path_of, subscribe
from tests.notifications.outbox import queue
from tests.people import PASSWORD, Person
from tests.schedules.making import make
from tests.settings import settings_changed
from tests.smtp import MailServer
from tests.smtp import body as text_of

VOID = (400, "invalid_one_time_token")


def later(**delta: float) -> AbstractContextManager[None]:
    """A virtual clock that stands at some time from now."""
    moment = clock.now() + timedelta(**delta)
    return clock.use(lambda: moment)


def test_the_mailed_link_sets_a_new_password(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    answer = reset(client, reset_token(app, mail_server, owner))
    assert (answer.status_code, answer.data) == (204, b"")
    assert log_in(client, owner.email, NEW_PASSWORD).status_code == 200
    assert code(log_in(client, owner.email, PASSWORD)) == (401, "invalid_credentials")


@pytest.mark.parametrize("case", ["known", "unknown", "inactive", "closed", "no address"])
def test_asking_is_answered_alike_for_every_address(
    app: Flask, client: FlaskClient, owner: Person, case: str
) -> None:
    """An unknown e-mail address gets the same 202 as a known one."""
    if case == "inactive":
        set_active(app, owner, active=False)
    if case == "closed":
        owner.delete("/api/auth/me", json={"password": PASSWORD})
    email = {"unknown": "nobody@example.org", "no address": "x"}.get(case, owner.email)
    answer = ask(client, email)
    assert (answer.status_code, body(answer)) == (
        202,
        {"detail": "If there is an active account with this address, a link is on its way to it."},
    )


def statements_of(app: Flask, client: FlaskClient, email: str) -> list[str]:
    """The SQL that one request leads to."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    ask(client, email)
    sa.event.remove(engine, "before_cursor_execute", note)
    return seen


def test_asking_does_the_same_work_for_every_address(app: Flask, client: FlaskClient, owner: Person) -> None:
    """The time tells nobody which addresses have an account."""
    known = statements_of(app, client, owner.email)
    assert known == statements_of(app, client, "nobody@example.org")
    set_active(app, owner, active=False)
    assert known == statements_of(app, client, owner.email)


def test_nothing_is_mailed_while_the_request_is_answered(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, owner.email)
    assert mail_server.messages == []
    assert len(mailed_tokens(app, mail_server)) == 1


def test_who_has_no_account_is_mailed_nothing(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, "nobody@example.org")
    assert mailed_tokens(app, mail_server) == []
    assert mail_server.messages == []


def test_the_link_goes_to_the_address_of_the_account_however_it_was_typed(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, " OLIVIA@Example.ORG ")
    mailed_tokens(app, mail_server)
    assert [message["To"] for message in mail_server.messages] == [owner.email]


def test_a_code_used_twice_is_refused(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    token = reset_token(app, mail_server, owner)
    reset(client, token)
    assert code(reset(client, token, "another battery horse")) == VOID
    assert log_in(client, owner.email, NEW_PASSWORD).status_code == 200


def test_of_two_uses_at_the_same_moment_one_succeeds(
    app: Flask, owner: Person, mail_server: MailServer
) -> None:
    token = reset_token(app, mail_server, owner)
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(lambda _: reset(app.test_client(), token).status_code, range(2))
        assert sorted(answers) == [204, 400]


@pytest.mark.parametrize(("minutes", "status"), [(59, 204), (60.1, 400)])
def test_a_link_works_for_an_hour(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, minutes: float, status: int
) -> None:
    token = reset_token(app, mail_server, owner)
    with later(minutes=minutes):
        assert reset(client, token).status_code == status


def test_asking_again_voids_the_older_link(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    """A code is refused after another was mailed."""
    older = reset_token(app, mail_server, owner)
    newer = reset_token(app, mail_server, owner)
    assert code(reset(client, older)) == VOID
    assert reset(client, newer).status_code == 204


def test_a_link_is_void_after_the_password_was_changed(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    token = reset_token(app, mail_server, owner)
    changed = owner.post(
        "/api/auth/me/password", {"current_password": PASSWORD, "new_password": "another battery horse"}
    )
    assert changed.status_code == 204
    assert code(reset(client, token)) == VOID


@pytest.mark.parametrize("token", ["", "nonsense", "tvr_" + "x" * 43, "tvr_\u00fc"])
def test_an_unknown_token_is_refused(client: FlaskClient, owner: Person, token: str) -> None:
    assert code(reset(client, token)) == VOID


def test_a_token_that_verifies_an_address_resets_no_password(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    owner.post("/api/auth/verify-email/resend")
    assert code(reset(client, newest_token(app, mail_server))) == VOID


def test_a_password_that_breaks_the_rules_leaves_the_link_as_it_is(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    owner.patch("/api/auth/me", {"full_name": "Liv Okonkwo"})
    token = reset_token(app, mail_server, owner)
    for weak in ("short", "olivia-and-more", "LivOkonkwo-2026"):
        answer = reset(client, token, weak)
        assert (answer.status_code, list(body(answer)["errors"])) == (422, ["password"])
    assert reset(client, token).status_code == 204


def test_a_reset_ends_all_sessions_and_their_tokens(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    other = body(log_in(client, owner.email))
    reset(client, reset_token(app, mail_server, owner))
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")
    for refresh_token in (owner.refresh_token, other["refresh_token"]):
        assert code(exchange(client, refresh_token)) == (401, "token_revoked")


def test_a_reset_shows_that_the_address_is_ones_own(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    reset(client, reset_token(app, mail_server, owner))
    assert body(log_in(client, owner.email, NEW_PASSWORD))["user"]["email_verified"] is True


def test_the_first_proof_of_an_address_ends_the_tokens_of_whoever_made_the_account(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    """Somebody may register another's address and wait until its owner takes the account over."""
    token = owner.post("/api/auth/tokens", {"name": "back door", "scopes": ["read"]}).json["token"]
    reset(client, reset_token(app, mail_server, owner))
    assert show_me(client, token).status_code == 401
    pair = body(log_in(client, owner.email, NEW_PASSWORD))
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    mine = {"name": "my own", "scopes": ["read"]}
    token = body(client.post("/api/auth/tokens", json=mine, headers=headers))["token"]
    reset(client, reset_token(app, mail_server, owner), "another horse battery")
    assert show_me(client, token).status_code == 200


def test_the_first_proof_of_an_address_has_nobody_told_of_what_the_account_sees(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    def set_up(person: Person) -> tuple[str, str, dict[str, Any]]:
        feed = person.post("/api/calendar/feeds", {"name": "phone"}).json
        webhook = subscribe(person, "https://example.org/told")
        params = {"kind": "tasks", "to": "eve@example.org"}
        return (
            urlsplit(feed["url"]).path,
            path_of(webhook),
            make(person, action="report", params=params, every=60),
        )

    feed, webhook, schedule = set_up(owner)
    token = reset_token(app, mail_server, owner)
    with app.app_context():
        queue("on its way", sender_id=owner.id)
    reset(client, token)
    pair = body(log_in(client, owner.email, NEW_PASSWORD))
    again = replace(owner, access_token=pair["access_token"])
    assert client.get(feed).status_code == 404
    assert again.get(webhook).status_code == 404
    with app.app_context():
        waiting = sa.select(Email.status).where(Email.key == "on its way")
        assert session().scalar(waiting) == "failed"
    kept = again.get(f"/api/schedules/{schedule['id']}").json
    assert (kept["status"], kept["params"]) == ("active", {"kind": "tasks"})
    feed, webhook, schedule = set_up(again)
    reset(client, reset_token(app, mail_server, owner), "another horse battery")
    pair = body(log_in(client, owner.email, "another horse battery"))
    again = replace(owner, access_token=pair["access_token"])
    assert client.get(feed).status_code == 200
    assert again.get(webhook).status_code == 200
    assert again.get(f"/api/schedules/{schedule['id']}").json["params"]["to"] == "eve@example.org"


def test_nobody_else_is_touched(
    app: Flask, client: FlaskClient, owner: Person, teammate: Person, mail_server: MailServer
) -> None:
    theirs = reset_token(app, mail_server, teammate)
    reset(client, reset_token(app, mail_server, owner))
    assert teammate.get("/api/auth/me").status_code == 200
    assert reset(client, theirs).status_code == 204


def test_a_reset_lets_somebody_in_again_whose_password_was_guessed_at(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    with settings_changed(app, rate_limit_account=Rate(1, 60)):
        answers = [log_in(client, owner.email, "wrong").status_code for _ in range(2)]
        reset(client, reset_token(app, mail_server, owner))
        assert answers == [401, 429]
        assert log_in(client, owner.email, NEW_PASSWORD).status_code == 200


def test_after_a_reset_the_owner_gets_in_from_there_while_somebody_goes_on_guessing(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    new_place = {"REMOTE_ADDR": "203.0.113.9"}
    sent = {"token": reset_token(app, mail_server, owner), "password": NEW_PASSWORD}
    with settings_changed(app, rate_limit_account=Rate(1, 60)):
        assert client.post(CONFIRM, json=sent, environ_base=new_place).status_code == 204
        assert [log_in(client, owner.email, "wrong").status_code for _ in range(2)] == [401, 429]
        credentials = {"email": owner.email, "password": NEW_PASSWORD}
        answer = client.post("/api/auth/login", json=credentials, environ_base=new_place)
        assert answer.status_code == 200


def test_a_disabled_account_is_mailed_no_link(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    set_active(app, owner, active=False)
    ask(client, owner.email)
    assert mailed_tokens(app, mail_server) == []


def test_a_link_mailed_before_an_account_was_disabled_works_no_longer(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    """A reset does not bring a disabled account back."""
    token = reset_token(app, mail_server, owner)
    set_active(app, owner, active=False)
    assert code(reset(client, token)) == VOID
    assert code(log_in(client, owner.email, NEW_PASSWORD)) == (401, "invalid_credentials")


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded"])
def test_the_link_leads_to_the_configured_address_whatever_host_was_asked(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer, header: str
) -> None:
    """A spoofed Host reaches no mail."""
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    client.post(RESET, json={"email": owner.email}, headers={header: value})
    mailed_tokens(app, mail_server)
    (message,) = mail_server.messages
    for kind in ("plain", "html"):
        assert f"http://127.0.0.1:8000{CONFIRM}#token=tvr_" in text_of(message, kind)
        assert "evil.example" not in text_of(message, kind)


def test_an_address_is_not_flooded_with_links_and_the_last_one_works(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    for _ in range(23):
        ask(client, owner.email)
    tokens = mailed_tokens(app, mail_server)
    # Links that are void before they leave are not even sent.
    assert len(tokens) == 1
    with app.app_context():
        assert session().scalar(sa.text("SELECT count(*) FROM one_time_tokens")) == 20
    assert reset(client, tokens[-1]).status_code == 204


def test_no_event_holds_a_secret_or_an_unknown_address(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    ask(client, "nobody@example.org")
    reset(client, reset_token(app, mail_server, owner))
    with app.app_context(), transaction():
        events = session().scalars(sa.select(Event).where(Event.type.like("user.password%"))).all()
    assert [(event.type, event.before, event.after) for event in sorted(events, key=lambda e: e.id)] == [
        ("user.password_reset_requested", None, None),
        ("user.password_reset_requested", None, None),
        ("user.password_changed", None, {"by": "reset"}),
    ]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        (RESET, {}, "email"),
        (RESET, {"email": "x" * 255}, "email"),
        (RESET, {"email": ["a@b.org"]}, "email"),
        (CONFIRM, {"token": "x"}, "password"),
        (CONFIRM, {"password": PASSWORD}, "token"),
        (CONFIRM, {"token": "x" * 101, "password": PASSWORD}, "token"),
    ],
)
def test_what_is_missing_or_too_long_is_named(
    client: FlaskClient, path: str, sent: dict[str, object], field: str
) -> None:
    assert list(body(client.post(path, json=sent))["errors"]) == [field]
