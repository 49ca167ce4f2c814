"""PATCH, PUT and DELETE of a webhook, and another secret."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from standardwebhooks.webhooks import WebhookVerificationError

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.events.webhooks.models import WebhookDelivery
from tests.events.webhooks.making import Inbox, get, log_of, path_of, send, subscribe, sweep, verify
from tests.people import PASSWORD, Person
from tests.schedules.making import Time
from tests.settings import settings_changed
from tests.tasks.making import make_task

OWN = "a secret that somebody chose"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_fields_that_are_sent_are_changed(owner: Person, inbox: Inbox, method: str) -> None:
    webhook = subscribe(owner, inbox.url, description="The board")
    answer = owner.call(method, path_of(webhook), {"events": ["run.*"], "description": "Runs"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')
    changed = get(owner, webhook)
    assert changed == {
        **webhook,
        "events": ["run.*"],
        "description": "Runs",
        "secret": "***",
        "version": 2,
        "updated_at": changed["updated_at"],
    }


@pytest.mark.one_database
def test_what_it_is_already_is_no_change(owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    same = {name: webhook[name] for name in ("url", "events", "description", "is_active")}
    assert owner.put(path_of(webhook), {**same, "secret": "***"}).json["version"] == 1


@pytest.mark.one_database
def test_a_change_of_an_old_version_is_refused(owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    owner.patch(path_of(webhook), {"description": "new"})
    for method in ("PATCH", "DELETE"):
        json = {"description": "newer"} if method == "PATCH" else None
        answer = owner.call(method, path_of(webhook), json, headers={"If-Match": '"v1"'})
        assert answer.status_code == 412
    assert owner.get(path_of(webhook), headers={"If-None-Match": '"v2"'}).status_code == 304


def test_of_a_pause_nothing_is_told_and_what_waited_is_sent_after_it(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    inbox.statuses = [503, 200]
    make_task(owner, title="before")
    send(app)
    inbox.clear()
    assert owner.patch(path_of(webhook), {"is_active": False}).json["disabled_reason"] is None
    make_task(owner, title="meanwhile")
    send(app)
    time.pass_(hours=1)
    sweep(app)
    assert inbox.requests == []
    owner.patch(path_of(webhook), {"is_active": True})
    make_task(owner, title="after")
    send(app)
    assert inbox.titles == ["before", "after"]


@pytest.mark.one_database
def test_another_address_is_tried_at_once(app: Flask, time: Time, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url + "-gone")
    make_task(owner)
    send(app)
    assert log_of(owner, webhook)[0]["next_attempt_at"] is not None
    owner.patch(path_of(webhook), {"url": inbox.url})
    send(app)
    assert inbox.types == ["task.created"]


@pytest.mark.one_database
def test_a_secret_is_replaced_at_once(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    assert owner.patch(path_of(webhook), {"secret": OWN}).json["secret"] == "***"
    make_task(owner)
    send(app)
    (request,) = inbox.requests
    assert len(request.headers["webhook-signature"].split()) == 1
    with pytest.raises(WebhookVerificationError):
        verify(webhook["secret"], request)


def rotate(person: Person, webhook: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = person.post(path_of(webhook, "rotate-secret"), fields)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    rotated: dict[str, Any] = answer.json
    return rotated


@pytest.mark.one_database
def test_while_it_is_rotated_both_secrets_verify_and_then_the_new_one_alone(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    # Real time, by which the library of the standard judges.
    old = subscribe(owner, inbox.url)
    new = rotate(owner, old, keep_for="PT1H")
    assert new["secret"] not in (old["secret"], "***")
    assert new["previous_secret_until"] > new["updated_at"]
    assert get(owner, old) == {**new, "secret": "***"}
    make_task(owner)
    send(app)
    newest = rotate(owner, old, keep_for=0)
    assert newest["previous_secret_until"] is None
    make_task(owner)
    send(app)
    both, one = inbox.requests
    assert [text[:3] for text in both.headers["webhook-signature"].split()] == ["v1,", "v1,"]
    assert verify(old["secret"], both) == verify(new["secret"], both)
    verify(newest["secret"], one)
    for former in (old, new):
        with pytest.raises(WebhookVerificationError):
            verify(former["secret"], one)


@pytest.mark.one_database
def test_the_former_secret_signs_for_a_day_if_nothing_else_is_said(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    rotate(owner, webhook)
    signatures = []
    for _ in range(3):
        make_task(owner)
        send(app)
        signatures.append(len(inbox.requests[-1].headers["webhook-signature"].split()))
        time.now += timedelta(hours=12)
    assert signatures == [2, 2, 1]


@pytest.mark.one_database
def test_a_secret_outlives_a_change_of_the_key_of_the_installation(
    app: Flask, time: Time, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    key = app.extensions["taskapi_settings"].secret_key
    with settings_changed(app, secret_key="another key, long enough as well", secret_key_fallbacks=(key,)):
        send(app)
    assert inbox.types == ["task.created"]
    make_task(owner)
    with settings_changed(app, secret_key="a key that has never sealed anything"):
        send(app)
    assert get(owner, webhook)["disabled_reason"] == "secret_unreadable"
    assert log_of(owner, webhook)[1]["status"] == "pending"


def test_it_is_deleted_with_its_log(app: Flask, owner: Person, inbox: Inbox) -> None:
    webhook = subscribe(owner, inbox.url)
    make_task(owner)
    send(app)
    assert owner.delete(path_of(webhook)).status_code == 204
    assert owner.get(path_of(webhook)).status_code == 404
    with app.app_context():
        assert session().scalars(sa.select(WebhookDelivery)).all() == []


def test_it_goes_with_the_account(app: Flask, owner: Person, inbox: Inbox) -> None:
    subscribe(owner, inbox.url, "*")
    make_task(owner)
    assert owner.delete("/api/auth/me", json={"password": PASSWORD}).status_code == 204
    send(app)
    assert inbox.requests == []
    with app.app_context():
        assert session().scalars(sa.select(WebhookDelivery)).all() == []


@pytest.mark.one_database
def test_what_happens_to_it_is_recorded_without_what_is_secret(
    app: Flask, owner: Person, inbox: Inbox
) -> None:
    webhook = subscribe(owner, f"{inbox.url}/abc?key=abc", secret=OWN)
    owner.patch(path_of(webhook), {"events": ["run.*"]})
    rotate(owner, webhook)
    owner.delete(path_of(webhook))
    with app.app_context():
        events = session().scalars(sa.select(Event).where(Event.subject_type == "webhook").order_by(Event.id))
        found = [(event.type, str(event.before), str(event.after)) for event in events]
    kinds = ["webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.deleted"]
    assert [kind for kind, *_ in found] == kinds
    assert "task.*" in found[1][1]
    assert "run.*" in found[1][2]
    assert "abc" not in str(found)
    assert OWN not in str(found)
