"""What people do with secrets; each way gives back the secrets that were typed, shown or mailed."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields
from pytest_httpserver import HTTPServer
from sqlalchemy.exc import OperationalError

from taskapi.clients.mail import init_mail
from taskapi.config import MailSettings
from taskapi.core.schemas import Schema
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext
from tests.accounts.authenticator import Authenticator, sign_in
from tests.accounts.helpers import bearer, body, exchange, log_in, register
from tests.accounts.links import reset, reset_token, verify
from tests.calendar.making import make_feed
from tests.events.webhooks.making import Inbox, subscribe
from tests.people import Person
from tests.schedules.actions.calling import run_now
from tests.schedules.making import make
from tests.smtp import MailServer
from tests.tasks.making import make_task
from tests.work import tick

CHOSEN, CHANGED = "marked-password-chosen", "marked-password-changed"
SMTP, KEY, DATABASE = "marked-smtp-password", "marked-key-of-the-lock", "marked-database-password"
WEBHOOK = "marked secret of a webhook"


def sign_up(client: FlaskClient) -> list[str]:
    """Somebody new, who mistypes, signs in, goes on and signs out."""
    register(client, "nora@example.org", password=CHOSEN)
    register(client, "nora@example.org", password="marked-password-again")
    log_in(client, "marked-password-as-name", CHOSEN)
    log_in(client, "nora@example.org", "marked-password-wrong")
    pair = body(log_in(client, "nora@example.org", CHOSEN))
    newer = body(exchange(client, pair["refresh_token"]))
    client.post("/api/auth/logout", headers=bearer(newer["access_token"]))
    exchange(client, newer["refresh_token"])
    shown = [each[name] for each in (pair, newer) for name in ("access_token", "refresh_token")]
    return [CHOSEN, "marked-password", *shown]


def recover(app: Flask, client: FlaskClient, person: Person, server: MailServer) -> list[str]:
    """Forget the password, use the link twice, change it, and confirm the address."""
    token = reset_token(app, server, person)
    reset(client, token, "short")
    reset(client, token, CHANGED)
    reset(client, token, CHANGED)
    verify(client, token)
    access = body(log_in(client, person.email, CHANGED))["access_token"]
    sent = {"current_password": "marked-password-typed", "new_password": CHOSEN}
    client.post("/api/auth/me/password", json=sent, headers=bearer(access))
    return [token, CHANGED, access]


def use_second_factor(client: FlaskClient, phone: Authenticator) -> list[str]:
    codes = [phone.wrong_code(), phone.recovery_codes[0]]
    for code in codes:
        sign_in(client, phone.person, code=code)
    return [phone.secret, *phone.recovery_codes, codes[1].replace("-", "")]


def use_tokens(client: FlaskClient, person: Person) -> list[str]:
    """Make one, overstep it, delete it, go on; put it where it does not belong."""
    made = person.post("/api/auth/tokens", {"name": "program", "scopes": ["read"]}).json
    token: str = made["token"]
    program = replace(person, access_token=token)
    program.post("/api/tasks", {"title": "Tea"})
    program.get("/api/tasks", headers={"X-Request-ID": token})
    client.get(f"/api/tasks?access_token={token}")
    client.get(f"/ws/{token}")
    client.get(f"/calendar/{token}.ics")
    client.get(f"/nowhere/{token}")
    client.post("/api/auth/refresh", headers=bearer(token))
    person.delete(f"/api/auth/tokens/{made['id']}")
    program.get("/api/tasks")
    return [token]


def use_addresses(client: FlaskClient, person: Person) -> list[str]:
    """A calendar and a heartbeat check, whose addresses are secrets."""
    feed = make_feed(person)
    ping = make(person, action="expect_ping", params={"grace": 60}, every=3600)
    secrets = [feed["path"].rpartition("/")[2].removesuffix(".ics"), ping["ping_url"].rpartition("/")[2]]
    client.get(feed["path"])
    person.delete(f"/api/calendar/feeds/{feed['id']}")
    client.get(feed["path"])
    client.post(f"/ping/{secrets[1]}", data=b"done")
    client.get(f"/ping/{secrets[1]}x")
    return secrets


def use_webhooks(app: Flask, person: Person, server: HTTPServer) -> list[str]:
    """Subscriptions that are sent, refused and rotated, with a secret of one's own and one of ours."""
    inbox = Inbox(server, "/marked")
    inbox.statuses = [200, 500]
    mine = subscribe(person, inbox.url, secret=WEBHOOK)
    ours = subscribe(person, inbox.url)
    make_task(person, title="Tea")
    tick(app)
    rotated = person.post(f"/api/webhooks/{ours['id']}/rotate-secret", {}).json
    person.patch(f"/api/webhooks/{mine['id']}", {"secret": f"{WEBHOOK} again"})
    person.patch(f"/api/webhooks/{mine['id']}", {"secret": "whsec_marked~secret"})
    make_task(person, title="Milk")
    tick(app)
    assert len(inbox.requests) == 4
    return [WEBHOOK, "marked~secret", ours["secret"], rotated["secret"]]


class LockParams(Schema):
    """What opens a lock, and how it goes wrong."""

    key = fields.String(required=True)
    how = fields.String(required=True)


def _open_lock(_context: RunContext, params: dict[str, Any]) -> Any:
    if params["how"] == "raises":
        raise ValueError(f"no lock takes {params['key']}")
    if params["how"] == "fails":
        raise ActionFailed(f"the lock refused {params['key']}", code="locked", permanent=True)
    # A connection that is lost names, in words of whatever driver, where it led to.
    url = f"postgresql+psycopg://taskapi:{DATABASE}@db.internal/taskapi"
    raise OperationalError("SELECT 1", {"key": params["key"]}, Exception(f"could not connect to {url}"))


LOCK = Action("lock", "Opens a lock", LockParams, _open_lock, secrets=("key",))


def fail_jobs(app: Flask, person: Person) -> list[str]:
    """Runs with a secret among their params, which their errors quote."""
    for how in ("raises", "fails", "loses"):
        fields = {"action": "lock", "params": {"key": KEY, "how": how}, "every": 3600}
        schedule = make(person, **fields, retry={"max_attempts": 1})
        assert run_now(app, person, schedule)["status"] == "failed"
    tick(app)
    return [KEY, DATABASE]


def lose_the_mail_server(app: Flask, person: Person) -> list[str]:
    """Mail to a server that is not there, and that would ask for a password."""
    settings = app.extensions["taskapi_settings"]
    guarded = MailSettings(server="127.0.0.1", port=1, username="taskapi", password=SMTP)
    init_mail(app, replace(settings, mail=guarded))
    person.client.post("/api/auth/password-reset", json={"email": person.email})
    tick(app)
    init_mail(app, settings)
    return [SMTP]


def break_the_database(person: Person, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A request during which the database, and then the program, says too much."""
    url = f"postgresql+psycopg://taskapi:{DATABASE}@db.internal/taskapi"
    lost = OperationalError("SELECT 1", {}, Exception(f"connection to {url} failed"))
    for error in (lost, ValueError(url)):
        with monkeypatch.context() as patched:
            patched.setattr("taskapi.tasks.service.create_task", Mock(side_effect=error))
            assert person.post("/api/tasks", {"title": "Tea"}).status_code in (500, 503)
    return [DATABASE]
