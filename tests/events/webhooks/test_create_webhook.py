"""POST and GET /api/webhooks."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.db import session
from taskapi.core.idempotency import IdempotencyKey
from taskapi.events.webhooks import queries, service
from taskapi.events.webhooks.models import Webhook
from tests.clients.servers import Names
from tests.clients.targets import HOSTILE
from tests.events.webhooks.making import Inbox, get, path_of, subscribe
from tests.people import Person

URL = "https://1.1.1.1/hook?key=abc"


def refusals(person: Person, **fields: Any) -> dict[str, list[str]]:
    answer = person.post("/api/webhooks", {"url": URL, "events": ["*"], **fields})
    assert answer.status_code == 422, answer.text
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors


def test_a_webhook_is_answered_with_a_secret_that_is_shown_this_once(app: Flask, owner: Person) -> None:
    answer = owner.post("/api/webhooks", {"url": URL, "events": ["TASK.*", "task.*", "run.failed"]})
    webhook = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == path_of(webhook)
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == ('"v1"', "no-store")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", webhook["secret"])
    assert webhook == {
        "id": webhook["id"],
        "url": URL,
        "events": ["task.*", "run.failed"],
        "description": "",
        "secret": webhook["secret"],
        "previous_secret_until": None,
        "is_active": True,
        "disabled_at": None,
        "disabled_reason": None,
        "version": 1,
        "created_at": webhook["created_at"],
        "updated_at": webhook["created_at"],
    }
    assert get(owner, webhook) == {**webhook, "secret": "***"}
    assert owner.get("/api/webhooks").json["items"] == [{**webhook, "secret": "***"}]


@pytest.mark.one_database
def test_a_secret_of_ones_own_is_stored_sealed(app: Flask, owner: Person) -> None:
    assert subscribe(owner, URL, secret="correct horse")["secret"] == "correct horse"
    with app.app_context():
        stored = session().scalars(sa.select(Webhook.secret)).one()
    assert "correct" not in stored


@pytest.mark.one_database
def test_a_key_brings_the_secret_again_and_is_not_stored_with_it(app: Flask, owner: Person) -> None:
    first, second = (
        owner.post("/api/webhooks", {"url": URL, "events": ["*"]}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json == second.json
    with app.app_context():
        stored = session().scalars(sa.select(IdempotencyKey.body)).one()
    assert first.json["secret"].encode() not in (stored or b"")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("tasks.*", "Did you mean 'task.*'?"),
        ("task", "Did you mean 'task.*'?"),
        ("task.create", "Did you mean 'task.created'?"),
        ("task.", "Known are "),
        ("user.*", "There are no events of 'user'."),
        ("*.created", "There are no events of '*'."),
        ("webhook.*", "There are no events of 'webhook'."),
        ("", "Length must be between 1 and 80."),
    ],
)
def test_a_pattern_that_nothing_fits_is_refused_with_what_was_meant(
    owner: Person, pattern: str, words: str
) -> None:
    (message,) = refusals(owner, events=["task.*", pattern])["events.1"]
    assert words in message


def test_of_very_many_wrong_patterns_the_first_are_named(owner: Person) -> None:
    answer = owner.post("/api/webhooks", {"url": URL, "events": [f"task.made{n}" for n in range(5_000)]})
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [f"events.{number}" for number in range(20)]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"events": []}, "events"),
        ({"events": "task.*"}, "events"),
        ({"events": [None]}, "events.0"),
        ({"url": None}, "url"),
        ({"url": 5}, "url"),
        ({"url": "ftp://1.1.1.1/"}, "url"),
        ({"url": "https://1.1.1.1/" + "x" * 2000}, "url"),
        ({"secret": ""}, "secret"),
        ({"secret": "***"}, "secret"),
        ({"secret": "whsec_~"}, "secret"),
        ({"secret": "whsec_"}, "secret"),
        ({"description": "x" * 201}, "description"),
        ({"is_active": False}, "is_active"),
        ({"owner_id": "x"}, "owner_id"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(owner: Person, fields: dict[str, Any], field: str) -> None:
    assert field in refusals(owner, **fields)


@pytest.mark.one_database
@pytest.mark.parametrize("url", HOSTILE)
def test_an_address_that_only_this_machine_reaches_is_refused(owner: Person, url: str) -> None:
    assert refusals(owner, url=url).keys() == {"url"}
    webhook = subscribe(owner, URL)
    assert owner.patch(path_of(webhook), {"url": url}).json["errors"].keys() == {"url"}


@pytest.mark.one_database
def test_a_name_that_leads_to_a_private_address_is_refused(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.installed(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    assert "url" in refusals(owner, url="https://example.com/")


@pytest.mark.one_database
def test_what_the_operator_allows_may_be_called(owner: Person, inbox: Inbox) -> None:
    assert subscribe(owner, inbox.url)["url"] == inbox.url


@pytest.mark.one_database
def test_there_is_a_limit(owner: Person, teammate: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_WEBHOOKS", 1)
    subscribe(owner, URL)
    subscribe(teammate, URL)
    answer = owner.post("/api/webhooks", {"url": URL, "events": ["*"]})
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_webhooks")


def test_of_several_at_once_one_gets_the_last_place(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_WEBHOOKS", 1)
    together = Barrier(4)
    count = queries.count_webhooks

    def slowly(owner_id: UUID) -> int:
        found = count(owner_id)
        sleep(0.02)
        return found

    def ask(client: FlaskClient) -> int:
        together.wait()
        headers = {"Authorization": f"Bearer {owner.access_token}"}
        return client.post("/api/webhooks", json={"url": URL, "events": ["*"]}, headers=headers).status_code

    monkeypatch.setattr(queries, "count_webhooks", slowly)
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(ask, [app.test_client() for _ in range(4)]))
    assert statuses == [201, 409, 409, 409]


@pytest.mark.one_database
def test_others_do_not_see_it(owner: Person, teammate: Person, admin: Person) -> None:
    webhook = subscribe(owner, URL)
    for person in (teammate, admin):
        assert person.get("/api/webhooks").json["items"] == []
        assert person.get(path_of(webhook)).json["code"] == "webhook_not_found"
