"""What was typed, shown or kept secret stands nowhere in the log."""

import json
import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from taskapi.events.audit.export import export_lines
from taskapi.events.audit.queries import AuditFilter
from taskapi.events.audit.refusals import write_refusals
from taskapi.events.service import relay_events
from tests.accounts.authenticator import Authenticator
from tests.accounts.conftest import phone, time
from tests.accounts.helpers import body
from tests.people import PASSWORD, Person
from tests.schedules.making import make
from tests.work import run_jobs

__all__ = ("phone", "time")

# Our tokens, JWTs, hashes of passwords, secrets of webhooks and authenticator apps.
OURS = re.compile(r"\bta[a-z]_[\w-]{8,}|eyJ[\w-]+\.|\$argon2|whsec_|otpauth:")
NEW = "another long password"
HEADER, BODY, SECRET = "Bearer of-the-receiver", "key-in-a-body", "whsec_" + "QUJD" * 8
# Where no name tells that it is one.
ODD_HEADER, ODD_BODY, PATH, QUERY = "of-a-door", "said-at-the-door", "T00-B00-in-a-path", "sig-in-a-query"


def use_accounts(client: FlaskClient, owner: Person, app: Authenticator) -> list[str]:
    """Do all that has to do with getting in; the secrets that were used or shown."""
    token = owner.post("/api/auth/tokens", {"name": "program", "scopes": ["read"]}).json["token"]
    shown = [PASSWORD, NEW, owner.access_token, owner.refresh_token, app.secret, token, *app.recovery_codes]
    wrong = {"Authorization": "Bearer tap_abcdefghijklmnop"}
    client.get("/api/tasks?token=in-the-query", headers=wrong)
    client.post("/api/auth/login", json={"email": "a-password-by-mistake", "password": "typed-by-nobody"})
    client.post("/api/auth/login", json={"email": owner.email, "password": "typed-by-somebody"})
    code = app.recovery_codes[0]
    with_code = {"email": owner.email, "password": PASSWORD, "code": code}
    pair = body(client.post("/api/auth/login", json=with_code))
    shown += [pair["access_token"], pair["refresh_token"]]
    refresh = {"Authorization": f"Bearer {pair['refresh_token']}"}
    shown.append(body(client.post("/api/auth/refresh", headers=refresh))["refresh_token"])
    client.post("/api/auth/password-reset", json={"email": owner.email})
    client.post("/api/auth/password-reset/confirm", json={"token": "tar_nonsense-token", "password": NEW})
    owner.post("/api/auth/me/password", {"current_password": "typed-wrongly", "new_password": NEW})
    owner.post("/api/auth/me/password", {"current_password": PASSWORD, "new_password": NEW})
    return [*shown, "a-password-by-mistake", "typed-by", "typed-wrongly", "in-the-query", "nonsense-token"]


def use_things(owner: Person) -> list[str]:
    """Make what has secrets of its own; these."""
    hook = owner.post("/api/webhooks", {"url": "https://1.1.1.1/?k=v", "events": ["*"], "secret": SECRET})
    made = owner.post("/api/webhooks", {"url": "https://1.1.1.1/", "events": ["*"]})
    owner.patch(f"/api/webhooks/{hook.json['id']}", {"description": "Tea"})
    call: dict[str, Any] = {
        "url": "https://1.1.1.1/",
        "headers": {"Authorization": HEADER, "X-Door": ODD_HEADER},
        "body": {"api_key": BODY},
        "secret": SECRET,
    }
    schedule = make(owner, action="webhook", params=call, every=3600)
    owner.patch(f"/api/schedules/{schedule['id']}", {"name": "Tea", "params": {**call, "method": "PUT"}})
    odd = {"url": f"https://1.1.1.1/services/{PATH}?sig={QUERY}", "body": ODD_BODY}
    owner.patch(f"/api/schedules/{schedule['id']}", {"params": {**call, **odd}})
    owner.patch(f"/api/schedules/{schedule['id']}", {"action": "reminder", "params": {"message": "Tea"}})
    owner.delete(f"/api/schedules/{schedule['id']}")
    ping = make(owner, action="expect_ping", params={"grace": 60}, every=3600)
    feed = owner.post("/api/calendar/feeds", {"name": "phone"})
    secrets = [ping["ping_url"], feed.json["url"]]
    tokens = [url.rpartition("/")[2].removesuffix(".ics") for url in secrets]
    owner.client.get(f"/calendar/{tokens[1]}x.ics")
    return [SECRET, HEADER, BODY, ODD_HEADER, ODD_BODY, PATH, QUERY, made.json["secret"], *tokens]


def test_no_secret_is_in_the_log(
    app: Flask, client: FlaskClient, owner: Person, phone: Authenticator
) -> None:
    secrets = [*use_things(owner), *use_accounts(client, owner, phone)]
    run_jobs(app)
    with app.app_context():
        write_refusals()
        relay_events()
        log = b"".join(export_lines(AuditFilter())).decode()
    types = {json.loads(line)["type"] for line in log.splitlines()}
    assert {"sign_in.failed", "access.refused", "user.password_changed", "token.created"} <= types
    assert {"webhook.created", "schedule.updated", "calendar_feed.created"} <= types
    assert all(len(secret) > 7 for secret in secrets)
    assert [secret for secret in secrets if secret in log] == []
    assert OURS.findall(log) == []
